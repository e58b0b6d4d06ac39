# SPDX-License-Identifier: MIT
"""Errors of requests, independent of HTTP: the API maps each kind to a status in one place."""

from dataclasses import dataclass
from enum import Enum


class ErrorKind(Enum):
    """The kinds of errors. Any exception other than an `AppError` is an internal error."""

    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"
    NOT_IMPLEMENTED = "not_implemented"


class ExternalError(Exception):
    """An error from outside this process, often transient. Its message is complete; a traceback would add nothing."""


class Outage(ExternalError):
    """A required service is unavailable or refuses work; the log has its start and its end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a request: where (`("body", "url")`), in words, and its machine type."""

    loc: tuple[str, ...]
    msg: str
    type: str = "value_error"


class AppError(Exception):
    """A refusal that the caller is told: a kind, a machine-readable code and a sentence."""

    def __init__(self, kind: ErrorKind, code: str, detail: str, *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.kind = kind
        self.code = code
        self.detail = detail
        self.faults = faults


REPLAYABLE = frozenset({ErrorKind.BAD_REQUEST, ErrorKind.NOT_FOUND, ErrorKind.INVALID, ErrorKind.TOO_LARGE})
"""Errors that a request with a used idempotency key never gets: it gets the stored response instead."""


def not_found(detail: str = "Entity not found") -> AppError:
    """Something does not exist, or not for this caller."""
    return AppError(ErrorKind.NOT_FOUND, "not_found", detail)


def conflict(
    detail: str = "This uid or event id is already in use. Choose another one, or update the existing object.",
    *,
    code: str = "conflict",
) -> AppError:
    """Something stands in the way: an identifier in use, a state that does not allow it."""
    return AppError(ErrorKind.CONFLICT, code, detail)


def bad_request(code: str, detail: str) -> AppError:
    """The request can be read, and cannot be done as it is."""
    return AppError(ErrorKind.BAD_REQUEST, code, detail)


def unauthorized(detail: str = "Invalid token", *, code: str = "authentication_failed") -> AppError:
    """Who calls is not known."""
    return AppError(ErrorKind.UNAUTHORIZED, code, detail)


def forbidden() -> AppError:
    """Who calls is known, and may not do this."""
    return AppError(ErrorKind.FORBIDDEN, "insufficient access", "Insufficient access for the given operation.")


def invalid(*faults: Fault) -> AppError:
    """Values in the request break its rules; each fault names one."""
    return AppError(ErrorKind.INVALID, "validation_error", "Validation error", faults=faults)


def too_large() -> AppError:
    """The body is over the limit."""
    return AppError(
        ErrorKind.TOO_LARGE,
        "payload_too_large",
        "The request body exceeds the size limit of the server. Send a smaller one.",
    )


def too_many(detail: str) -> AppError:
    """A limit on how much is at work at once, or how often, is reached."""
    return AppError(ErrorKind.TOO_MANY, "too_many_requests", detail)


def unavailable(detail: str) -> AppError:
    """Something that we need is unavailable for now; the same request may succeed later."""
    return AppError(ErrorKind.UNAVAILABLE, "unavailable", detail)


def not_implemented(operation: str) -> AppError:
    """The contract has the operation, and this service does not serve it."""
    return AppError(ErrorKind.NOT_IMPLEMENTED, "not_implemented", f"The operation {operation} is not implemented.")
