# SPDX-License-Identifier: MIT
"""A transformation: a script that changes each request to an endpoint, its input, and the rules of its result."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tidings.errors import Fault
from tidings.model.endpoint import HEADERS_BYTES, HEADERS_MAX, header_error
from tidings.model.url import InvalidUrl, normalize_url

CODE_MIN: Final = 10
CODE_MAX: Final = 51_200
"""Characters of a script."""
VARIABLES_MAX: Final = 64
VARIABLES_BYTES: Final = 16 * 1024
"""The total size of all names and values."""
PAYLOAD_MAX: Final = 1 << 20
"""Bytes of a payload that a script returns."""
# Beside these, the rules for the headers of an endpoint apply. Scripts that change the format name the new one.
_PERMITTED: Final = frozenset(("content-type",))
_FORBIDDEN: Final = frozenset(("host",))
_PREFIXES: Final = ("webhook-", "svix-")


class TransformationHttpMethod(Enum):
    """The method of a transformed request."""

    POST = "POST"
    """The method of requests without a transformation."""
    PUT = "PUT"
    PATCH = "PATCH"


METHODS: Final = tuple(each.value for each in TransformationHttpMethod)


def code_faults(code: str) -> Iterator[Fault]:
    """Yield the fault of a script that cannot be compiled or stored."""
    if not CODE_MIN <= len(code) <= CODE_MAX:
        yield Fault(("body", "code"), f"code must have {CODE_MIN} to {CODE_MAX} characters.")
    elif "\0" in code or any("\ud800" <= character <= "\udfff" for character in code):
        yield Fault(("body", "code"), "code must not contain NUL or half of a surrogate pair.")


def variable_faults(variables: Mapping[str, str]) -> Iterator[Fault]:
    """Yield the fault of variables that are too many or too large."""
    if len(variables) > VARIABLES_MAX:
        yield Fault(("body", "variables"), f"variables must have at most {VARIABLES_MAX} items.")
    elif sum(_bytes(name) + _bytes(value) for name, value in variables.items()) > VARIABLES_BYTES:
        yield Fault(("body", "variables"), f"variables must have at most {VARIABLES_BYTES} bytes in all.")


def _bytes(value: str) -> int:
    return len(value.encode(errors="surrogatepass"))


@dataclass(frozen=True, slots=True)
class Script:
    """The source of a script and its variables, which it finds in `webhook.env`."""

    code: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Webhook:
    """The request that a script may change."""

    url: str
    event_type: str
    payload: bytes
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Transformed:
    """The request that a script returned, checked as a caller's input is. A canceled one is not sent."""

    method: str
    url: str
    """In normal form if the script changed it."""
    headers: tuple[tuple[str, str], ...]
    payload: bytes
    is_canceled: bool = False


class ScriptFault(Enum):
    """Why a script made no request. The values are the labels of a metric."""

    ERROR = "error"
    """It did not compile, threw, or returned an invalid request."""
    TIMEOUT = "timeout"
    MEMORY = "memory"
    """It used its memory."""
    CRASH = "crash"
    """Its process ended, twice."""
    OTHER = "other"
    """It could not run: the extra is missing, or the variables cannot be decrypted."""


class ScriptError(Exception):
    """A script that did not compile, failed, or returned an invalid request. The place counts from 1."""

    def __init__(
        self, text: str, *, line: int | None = None, column: int | None = None, fault: ScriptFault = ScriptFault.ERROR
    ) -> None:
        super().__init__(text)
        self.text = text
        self.line = line
        self.column = column
        self.fault = fault

    @property
    def is_timeout(self) -> bool:
        """Whether the script used its time."""
        return self.fault is ScriptFault.TIMEOUT

    def __str__(self) -> str:
        if self.line is None:
            return self.text
        return f"{self.text} (line {self.line}, column {self.column})"


def checked(returned: Mapping[str, object], webhook: Webhook, payload: bytes, *, https_only: bool) -> Transformed:
    """Return the request that a script returned. Raises `ScriptError` for a value that a caller could not give."""
    method = returned.get("method") or "POST"
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise ScriptError(f"method must be one of {', '.join(METHODS)}")
    return Transformed(
        method.upper(),
        _checked_url(returned.get("url"), webhook, https_only=https_only),
        tuple(_checked_headers(returned.get("headers"))),
        payload,
        is_canceled=returned.get("cancel") is True,
    )


def _checked_url(url: object, webhook: Webhook, *, https_only: bool) -> str:
    if url is None or url == webhook.url:
        return webhook.url
    if not isinstance(url, str):
        raise ScriptError("url must be a string")
    try:
        normal = normalize_url(url)
    except InvalidUrl as error:
        raise ScriptError(f"url: {error}") from None
    if https_only and not normal.startswith("https:"):
        raise ScriptError("url: Endpoint URL schemes must be https when endpoint_https_only is set.")
    return normal


def _checked_headers(headers: object) -> Iterator[tuple[str, str]]:
    if headers is None:
        return
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ScriptError("headers must be an object whose values are strings")
    if len(headers) > HEADERS_MAX:
        raise ScriptError(f"headers: a request has at most {HEADERS_MAX} headers of its own")
    if sum(len(name) + len(value) for name, value in headers.items()) > HEADERS_BYTES:
        raise ScriptError(f"headers: the headers of a request have at most {HEADERS_BYTES} bytes in all")
    for name, value in headers.items():
        error = _header_error(name, value)
        if error is not None:
            raise ScriptError(f"headers: {name[:100]}: {error}")
        yield name, value


def _header_error(name: str, value: str) -> str | None:
    lower = name.lower()
    if lower in _FORBIDDEN or lower.startswith(_PREFIXES):
        return "Header uses a forbidden key."
    return header_error("x-content-type" if lower in _PERMITTED else name, value)
