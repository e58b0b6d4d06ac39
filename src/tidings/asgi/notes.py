# SPDX-License-Identifier: MIT
"""Notes about a request for its log lines and observers, such as its route, made while it is handled."""

from typing import Final, Protocol

from tidings.asgi.http import AsgiScope

RECORD: Final = "tidings.request"
"""The scope's key for the record of the request."""


class Notes(Protocol):
    """The part of the record that handlers complete."""

    fields: dict[str, object]
    route: str | None


def note(scope: AsgiScope, route: str | None = None, **fields: object) -> None:
    """Add the route or fields to the record of a request, if it has one."""
    record: Notes | None = scope.get(RECORD)
    if record is None:
        return
    if route is not None:
        record.route = route
    record.fields |= fields
