# SPDX-License-Identifier: MIT
"""What goes over the wire: the base of its structs, bodies read and checked, answers and refusals written.

A struct that ends in `In` is a request's body: it is decoded strictly, then asked for its `faults`. One that ends in
`Out` is an answer's. Field names are camelCase on the wire.
"""

import re
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api import samples
from tidings.api.places import located
from tidings.clock import parse_rfc3339, rfc3339
from tidings.core.idempotency import Response
from tidings.errors import AppError, ErrorKind, Fault, invalid
from tidings.model import surrogates
from tidings.model.page import Page
from tidings.model.surrogates import LoneSurrogate

Value = TypeVar("Value")
Rendered = TypeVar("Rendered")
InT = TypeVar("InT", bound="In")

DEPTH_MAX: Final = 128
"""Levels of nesting in a body; more is refused before anything recurses into it."""

STATUS: Final = {
    ErrorKind.BAD_REQUEST: 400,
    ErrorKind.UNAUTHORIZED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.INVALID: 422,
    ErrorKind.TOO_MANY: 429,
    ErrorKind.NOT_IMPLEMENTED: 501,
    ErrorKind.UNAVAILABLE: 503,
}


class In(msgspec.Struct, rename="camel", kw_only=True):
    """A request's body. Unknown members are ignored."""

    def faults(self) -> Iterable[Fault]:
        """Return what is wrong beyond the types of the members."""
        return ()


class Out(msgspec.Struct, rename="camel", kw_only=True):
    """An answer's body."""


class ListResponse(Out, Generic[Rendered]):
    """One page of a list."""

    data: tuple[Rendered, ...]
    """The items of this page, in the order of the list."""
    iterator: str | None
    """Where the next page begins: pass it as the parameter `iterator`. Null on an empty page."""
    done: bool
    """Whether the list ends with this page."""
    prev_iterator: str | UnsetType | None = UNSET
    """Where the previous page ends: pass it as the parameter `iterator`. Absent on an empty page."""


class HttpErrorOut(Out):
    """An error."""

    code: str
    """The machine-readable code of the error."""
    detail: str
    """A sentence that states the error and, if possible, how to resolve it."""


class ValidationError(Out):
    """One value that breaks a rule."""

    loc: tuple[str, ...]
    """Where the value is in the request, such as `["body", "url"]`."""
    msg: str
    """A sentence that states which rule the value breaks."""
    type: str
    """The machine-readable type of the error: `value_error`, or `value_error.jsondecode` for an unreadable value."""


class HTTPValidationError(Out):
    """An error that names each value that breaks a rule."""

    detail: tuple[ValidationError, ...]
    """The values that break a rule."""


class EmptyResponse(Out):
    """An empty object."""


_DATE_TIME: Final[dict[str, object]] = {"format": "date-time", "example": samples.TIMESTAMP}

Timestamp = Annotated[str, Meta(extra_json_schema=_DATE_TIME)]
"""A timestamp in RFC 3339."""
CreatedAt = Annotated[str, Meta(description="When it was created.", extra_json_schema=_DATE_TIME)]
UpdatedAt = Annotated[str, Meta(description="When it was last changed.", extra_json_schema=_DATE_TIME)]

_encoder: Final = msgspec.json.Encoder()
encode: Final = _encoder.encode


def json_response(status: int, body: Out) -> Response:
    """Answer with a JSON object."""
    return Response(status, encode(body))


def listing(page: Page[Value], render: Callable[[Value], Rendered]) -> Response:
    """Answer with a page of a list, which ends where its answer would be too long."""
    texts = page.mapped(lambda item: encode(render(item)))
    rendered = texts.within([len(text) for text in texts.items]).mapped(msgspec.Raw)
    body = ListResponse(
        data=rendered.items,
        iterator=rendered.iterator,
        done=rendered.done,
        prev_iterator=UNSET if rendered.prev_iterator is None else rendered.prev_iterator,
    )
    return Response(200, encode(body))


def refusal(error: AppError) -> Response:
    """Answer with what is wrong; a 422 tells a list, everything else a sentence."""
    status = STATUS[error.kind]
    if error.kind is ErrorKind.INVALID:
        found = tuple(ValidationError(loc=fault.loc, msg=fault.msg, type=fault.type) for fault in error.faults)
        return json_response(status, HTTPValidationError(detail=found))
    return json_response(status, HttpErrorOut(code=error.code, detail=error.detail))


def read(decoder: msgspec.json.Decoder[InT], body: bytes) -> InT:
    """Decode a body and check its rules; raises the refusal that the caller is told."""
    value = decode(decoder, body)
    faults = tuple(value.faults())
    if faults:
        raise invalid(*faults)
    return value


def decode(decoder: msgspec.json.Decoder[InT], body: bytes) -> InT:
    """Decode a body, refusing what is not JSON in UTF-8, nests too deep or has members of other types."""
    try:
        if not body.isascii():
            body.decode()  # the decoder skips unknown members and raw ones without looking at their bytes
        _refuse_depth(body)
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _type_fault(str(error), body) from error
    except msgspec.DecodeError as error:
        return _with_surrogates(decoder, body, error)
    except (UnicodeDecodeError, RecursionError) as error:
        raise _json_fault(("", ""), str(error)) from error


def _with_surrogates(decoder: msgspec.json.Decoder[InT], body: bytes, error: msgspec.DecodeError) -> InT:
    """Decode a body that has lone surrogates in members which stay as they came; any other is refused."""
    try:
        value: InT | None = surrogates.decode(decoder, body)
    except LoneSurrogate as found:
        raise _json_fault((found.member,) if found.member else ("", ""), str(found)) from error
    except msgspec.ValidationError as other:
        raise _type_fault(str(other), body) from other
    except msgspec.DecodeError as other:
        raise _json_fault(("", ""), str(other)) from other
    if value is None:
        raise _json_fault(("", ""), str(error)) from error
    return value


def is_object(body: bytes) -> bool:
    """Tell whether bytes are a JSON object that we would take in a body."""
    try:
        _refuse_depth(body)
        return surrogates.is_object(body)
    except (RecursionError, AppError):
        return False


def parse_timestamp(text: str, *loc: str) -> int:
    """Parse a timestamp of a body into milliseconds."""
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise _json_fault(loc, f"not a timestamp in RFC 3339: {error}") from error


def format_timestamp(timestamp: int) -> str:
    """Format a timestamp in RFC 3339."""
    return rfc3339(timestamp)


_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # matches wherever it starts: one pass
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _refuse_depth(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") <= DEPTH_MAX:
        return
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEPTH_MAX:
        raise _json_fault(("", ""), f"more than {DEPTH_MAX} levels of nesting")


def _type_fault(sentence: str, body: bytes) -> AppError:
    """Make the decoder's sentence into a fault with the place that it names."""
    loc, words = located(sentence, body)
    return _json_fault(loc or ("", ""), words)


def _json_fault(loc: tuple[str, ...], text: str) -> AppError:
    return invalid(Fault(("body", *loc), text, "value_error.jsondecode"))
