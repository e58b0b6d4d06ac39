# SPDX-License-Identifier: MIT
"""Request ids: accepted from the caller or generated, returned with each response, and part of each 5xx body."""

import itertools
import re
import secrets
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import msgspec

from tidings.core.idempotency import Response

NAME: Final = b"x-request-id"
KEY: Final = "tidings.request_id"
"""The entry of the ASGI scope with the id of the request."""
_VALID: Final = re.compile(rb"[!-~]{1,128}")
"""Visible ASCII: it is safe in a header, in a log and in JSON."""
_PREFIX: Final = secrets.token_hex(5).encode()
"""Distinguishes the ids of this process from those of others."""
new_ids: Final = map((_PREFIX + b"-%x").__mod__, itertools.count(1))
"""Ids for requests without one; an iterator without Python code of its own, for the fast path."""


def request_id(given: bytes | None) -> bytes:
    """Return the id that the caller gave, or a new one if there is none or it is not 1 to 128 visible ASCII bytes."""
    if given is not None and _VALID.fullmatch(given):
        return given
    return next(new_ids)


def with_id(given: Response, identifier: bytes | None) -> Response:
    """Return a response; a 5xx has the request id in its `detail`, so that a caller who shows it can be helped.

    Bodies without that member, such as the one of the health check, keep their shape; the header has the id.
    """
    if given.status < HTTPStatus.INTERNAL_SERVER_ERROR or not given.body or identifier is None:
        return given
    body = msgspec.json.decode(given.body)
    if not isinstance(body, dict) or not isinstance(body.get("detail"), str):
        return given
    body["detail"] = f"{body['detail'].removesuffix('.')}. Request id: {identifier.decode()}"
    return replace(given, body=msgspec.json.encode(body))
