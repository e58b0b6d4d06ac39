# SPDX-License-Identifier: MIT
"""What can be wrong with a request, told without HTTP: the API maps each kind to a status in one place."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The kinds of refusal. Anything that is not an `AppError` is our own fault, and is told as such."""

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


class Trouble(Exception):
    """Something outside this process that may pass. Its sentence says all: where it was met adds nothing to it."""


class Outage(Trouble):
    """A whole service that we need is away or refuses its work; it is logged at its start and at its end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a request: where (`("body", "url")`), in words, and its machine type."""

    loc: tuple[str, ...]
    msg: str
    type: str = "value_error"


class AppError(Exception):
    """A refusal that the caller is told: a kind, a machine-readable code and a sentence."""

    def __init__(self, kind: Kind, code: str, detail: str, *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.kind = kind
        self.code = code
        self.detail = detail
        self.faults = faults


REPLAYABLE = frozenset({Kind.BAD_REQUEST, Kind.NOT_FOUND, Kind.INVALID, Kind.TOO_LARGE})
"""Errors that a request with a used idempotency key never gets: it gets the stored response instead."""


def not_found(detail: str = "Entity not found") -> AppError:
    """Something does not exist, or not for this caller."""
    return AppError(Kind.NOT_FOUND, "not_found", detail)


def conflict(detail: str = "A conflict has occurred", *, code: str = "conflict") -> AppError:
    """Something stands in the way: an identifier in use, a state that does not allow it."""
    return AppError(Kind.CONFLICT, code, detail)


def bad_request(code: str, detail: str) -> AppError:
    """The request can be read, and cannot be done as it is."""
    return AppError(Kind.BAD_REQUEST, code, detail)


def unauthorized(detail: str = "Invalid token", *, code: str = "authentication_failed") -> AppError:
    """Who calls is not known."""
    return AppError(Kind.UNAUTHORIZED, code, detail)


def forbidden() -> AppError:
    """Who calls is known, and may not do this."""
    return AppError(Kind.FORBIDDEN, "insufficient access", "Insufficient access for the given operation.")


def invalid(*faults: Fault) -> AppError:
    """Values in the request break its rules; each fault names one."""
    return AppError(Kind.INVALID, "validation_error", "Validation error", faults=faults)


def too_large() -> AppError:
    """The body is over the limit."""
    return AppError(Kind.TOO_LARGE, "payload_too_large", "Request payload is too large.")


def too_many(detail: str) -> AppError:
    """A limit on how much is at work at once, or how often, is reached."""
    return AppError(Kind.TOO_MANY, "too_many_requests", detail)


def unavailable(detail: str) -> AppError:
    """Something that we need is gone for the moment; the same request may succeed later."""
    return AppError(Kind.UNAVAILABLE, "unavailable", detail)


def not_implemented(operation: str) -> AppError:
    """The contract has the operation, and this service does not serve it."""
    return AppError(Kind.NOT_IMPLEMENTED, "not_implemented", f"The operation {operation} is not implemented.")
