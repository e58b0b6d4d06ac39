# SPDX-License-Identifier: MIT
"""The JSON format: base structs, decoding and checking of request bodies, encoding of responses and errors.

A struct whose name ends in `In` is a request body: it is decoded strictly, then its `faults` are checked. A struct
whose name ends in `Out` is a response body. Field names are in camelCase in JSON.
"""

import re
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api import samples
from tidings.api.error_location import located
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
"""Maximum nesting of a body; a deeper body is refused before any recursion."""

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
    """A request body. Unknown members are ignored."""

    def faults(self) -> Iterable[Fault]:
        """Return a fault for each value that breaks a rule beyond its type."""
        return ()


class Out(msgspec.Struct, rename="camel", kw_only=True):
    """A response body."""


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
    """Return a response with a JSON object."""
    return Response(status, encode(body))


def listing(page: Page[Value], render: Callable[[Value], Rendered]) -> Response:
    """Return a response with a page of a list, shortened to the size limit of a response."""
    return json_response(200, list_body(page, render))


def list_body(page: Page[Value], render: Callable[[Value], Rendered]) -> ListResponse[msgspec.Raw]:
    """Return the body of such a response."""
    texts = page.mapped(lambda item: encode(render(item)))
    rendered = texts.within([len(text) for text in texts.items]).mapped(msgspec.Raw)
    return ListResponse(
        data=rendered.items,
        iterator=rendered.iterator,
        done=rendered.done,
        prev_iterator=UNSET if rendered.prev_iterator is None else rendered.prev_iterator,
    )


def refusal(error: AppError) -> Response:
    """Return the response to an error: a 422 lists the faults, any other status has one sentence."""
    status = STATUS[error.kind]
    if error.kind is ErrorKind.INVALID:
        found = tuple(ValidationError(loc=fault.loc, msg=fault.msg, type=fault.type) for fault in error.faults)
        return json_response(status, HTTPValidationError(detail=found))
    return json_response(status, HttpErrorOut(code=error.code, detail=error.detail))


def read(decoder: msgspec.json.Decoder[InT], body: bytes) -> InT:
    """Decode a body and check its rules; raise `AppError` if it breaks one."""
    value = decode(decoder, body)
    faults = tuple(value.faults())
    if faults:
        raise invalid(*faults)
    return value


def decode(decoder: msgspec.json.Decoder[InT], body: bytes) -> InT:
    """Decode a body; raise `invalid` unless it is UTF-8 JSON within the depth limit and with the right types."""
    try:
        if not body.isascii():
            body.decode()  # the decoder does not check the bytes of unknown and raw members
        _refuse_depth(body)
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _type_fault(str(error), body) from error
    except msgspec.DecodeError as error:
        return _with_surrogates(decoder, body, error)
    except (UnicodeDecodeError, RecursionError) as error:
        raise _json_fault(("", ""), str(error)) from error


def _with_surrogates(decoder: msgspec.json.Decoder[InT], body: bytes, error: msgspec.DecodeError) -> InT:
    """Decode a body with lone surrogates in members that are kept as source text; elsewhere they are refused."""
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
    """Return whether bytes are a JSON object that a body may contain."""
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


_STRINGS: Final = re.compile(
    rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL
)  # a match succeeds at every quote, so one pass is enough
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _refuse_depth(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") <= DEPTH_MAX:
        return
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEPTH_MAX:
        raise _json_fault(("", ""), f"more than {DEPTH_MAX} levels of nesting")


def _type_fault(sentence: str, body: bytes) -> AppError:
    """Convert the decoder's message into an error at the location that it names."""
    loc, words = located(sentence, body)
    return _json_fault(loc or ("", ""), words)


def _json_fault(loc: tuple[str, ...], text: str) -> AppError:
    return invalid(Fault(("body", *loc), text, "value_error.jsondecode"))
