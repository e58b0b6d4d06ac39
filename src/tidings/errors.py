# SPDX-License-Identifier: MIT
"""Errors of requests, independent of HTTP. The API maps each kind to a status in one place."""

from dataclasses import dataclass
from enum import Enum


class ErrorKind(Enum):
    """The kinds of request errors. An exception that is not an `AppError` is an internal error."""

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
    """An error from outside this process, often transient. Its message suffices: the log omits the traceback."""


class Outage(ExternalError):
    """A required service is unavailable or refuses work. Only the start and the end of an outage are logged."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One invalid value of a request: its location (`("body", "url")`), a message, and a machine-readable type."""

    loc: tuple[str, ...]
    msg: str
    type: str = "value_error"


class AppError(Exception):
    """An error that is returned to the caller: a kind, a machine-readable code and a sentence."""

    def __init__(self, kind: ErrorKind, code: str, detail: str, *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.kind = kind
        self.code = code
        self.detail = detail
        self.faults = faults


REPLAYABLE = frozenset({ErrorKind.BAD_REQUEST, ErrorKind.NOT_FOUND, ErrorKind.INVALID, ErrorKind.TOO_LARGE})
"""Errors that a repeated idempotency key suppresses: the caller gets the stored response instead."""


def not_found(detail: str = "Entity not found") -> AppError:
    """Return the error for an entity that does not exist, or that the caller may not see."""
    return AppError(ErrorKind.NOT_FOUND, "not_found", detail)


def conflict(
    detail: str = "This uid or event id is already in use. Choose another one, or update the existing object.",
    *,
    code: str = "conflict",
) -> AppError:
    """Return the error for a conflict: an identifier is in use, or the state does not allow the operation."""
    return AppError(ErrorKind.CONFLICT, code, detail)


def bad_request(code: str, detail: str) -> AppError:
    """Return the error for a valid request that cannot be carried out."""
    return AppError(ErrorKind.BAD_REQUEST, code, detail)


def unauthorized(detail: str = "Invalid token", *, code: str = "authentication_failed") -> AppError:
    """Return the error for a request without valid authentication."""
    return AppError(ErrorKind.UNAUTHORIZED, code, detail)


def forbidden() -> AppError:
    """Return the error for an authenticated caller without permission for the operation."""
    return AppError(ErrorKind.FORBIDDEN, "insufficient access", "Insufficient access for the given operation.")


def invalid(*faults: Fault) -> AppError:
    """Return the error for invalid values in a request, one fault for each value."""
    return AppError(ErrorKind.INVALID, "validation_error", "Validation error", faults=faults)


def moved(error: AppError, *places: str) -> AppError:
    """Return an error about a part of a body whose faults name their places in the whole body."""
    faults = tuple(Fault((fault.loc[0], *places, *fault.loc[1:]), fault.msg, fault.type) for fault in error.faults)
    return AppError(error.kind, error.code, error.detail, faults=faults)


def too_large() -> AppError:
    """Return the error for a request body over the size limit."""
    return AppError(
        ErrorKind.TOO_LARGE,
        "payload_too_large",
        "The request body exceeds the size limit of the server. Send a smaller one.",
    )


def too_many(detail: str) -> AppError:
    """Return the error for a request over a limit on rate or concurrency."""
    return AppError(ErrorKind.TOO_MANY, "too_many_requests", detail)


def unavailable(detail: str) -> AppError:
    """Return the error for a required service that is unavailable. The same request may succeed later."""
    return AppError(ErrorKind.UNAVAILABLE, "unavailable", detail)


def not_implemented(operation: str, reason: str) -> AppError:
    """Return the error for an operation that this service does not implement; `reason` is a sentence."""
    detail = f"The operation {operation} is not implemented. {reason}"
    return AppError(ErrorKind.NOT_IMPLEMENTED, "not_implemented", detail)
