# SPDX-License-Identifier: MIT
"""Errors of use cases as faults beside the fields of a form."""

from tidings.errors import AppError, ErrorKind, Fault


def explained(error: AppError, field: str) -> list[Fault]:
    """Return the faults of an error; one without faults is shown at `field`. Raise it if no field can mend it."""
    if error.kind is ErrorKind.INVALID and error.faults:
        return list(error.faults)
    if error.kind in (ErrorKind.BAD_REQUEST, ErrorKind.CONFLICT, ErrorKind.INVALID, ErrorKind.TOO_LARGE):
        return [Fault(("body", field), error.detail)]
    raise error
