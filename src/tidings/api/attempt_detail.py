# SPDX-License-Identifier: MIT
"""Details of an attempt beyond the contract: its number and its headers, in a member that SDKs skip."""

from tidings.api.wire import Out
from tidings.model.attempt import Attempt
from tidings.model.attempt_headers import Header


class HeaderOut(Out, kw_only=True):
    """One header."""

    name: str
    """The name, as it was sent."""
    value: str
    """The value; `***` in place of a secret."""


class AttemptHeadersOut(Out, kw_only=True):
    """The headers of an attempt."""

    signature: tuple[HeaderOut, ...]
    """The id, the timestamp and the signature, as they were sent."""
    configured: tuple[str, ...]
    """The names of the endpoint's own headers. Their values are not recorded."""
    response: tuple[HeaderOut, ...]
    """The headers of the response, at most 1 KiB. Values that hold secrets are masked."""
    is_truncated: bool
    """Whether headers were left out, because they did not fit."""


class AttemptDetailOut(Out, kw_only=True):
    """Details of an attempt that the Svix API does not have."""

    number: int | None
    """Which attempt of the retry schedule it was, from 1. Null for a resend, which the schedule does not count."""
    task_id: str | None
    """The background task that requested the attempt. Null if none did."""
    method: str
    """The method of the request: `POST`, or the one that a transformation chose. `POST` if the response was deleted."""
    recorded_headers: AttemptHeadersOut | None
    """The headers that were recorded. Null for most successful ones with `POST`, and if the response was deleted."""


def detail_of(attempt: Attempt, *, with_content: bool) -> AttemptDetailOut:
    """Return the details of an attempt; the headers of the response only `with_content`."""
    found = attempt.headers
    headers = None
    if found is not None:
        headers = AttemptHeadersOut(
            signature=_headers(found.signed(attempt.msg_id)),
            configured=found.configured,
            response=_headers(found.response) if with_content else (),
            is_truncated=found.is_truncated,
        )
    return AttemptDetailOut(
        number=attempt.number, task_id=attempt.task_id, method=attempt.method, recorded_headers=headers
    )


def _headers(headers: tuple[Header, ...]) -> tuple[HeaderOut, ...]:
    return tuple(HeaderOut(name=name, value=value) for name, value in headers)
