# SPDX-License-Identifier: MIT
"""Routes, and the calls that their handlers receive.

A route is an entry of a table. The router, the permission check and the OpenAPI document are built from that table.
Before a handler runs, these steps have succeeded, in this order: the query is parsed, the caller is authenticated and
authorized, the application in the path is found, and the body is decoded.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import msgspec

from tidings.api.context import Context
from tidings.api.query import Query
from tidings.api.wire import In
from tidings.core.idempotency import Response
from tidings.model.app import App
from tidings.model.token import Capability, Principal

PREFIX: Final = "/api/v1"

QueryT = TypeVar("QueryT", bound=Query)
BodyT = TypeVar("BodyT", bound=In)

Nothing = In
"""The body of a route that has none; a request's body is ignored."""


class EventStream:
    """Marks a route that responds with server-sent events."""


class Access(Enum):
    """The callers that may use a route."""

    OPEN = "anybody"
    ANY = "any token or key but those of operators; the handler shows each caller its own"
    APP = "the organization, or the application in the path"
    ORG = "the organization"
    ORG_OR_OPERATOR = "the organization or an operator; the handler shows each its own"
    OPERATOR = "an operator of the installation"


@dataclass(frozen=True, slots=True)
class Call(Generic[QueryT, BodyT]):
    """One request that has passed all checks."""

    context: Context
    query: QueryT
    body: BodyT
    path: Mapping[str, str]
    """The parameters of the path by name, decoded."""
    agent: str = ""
    """The `user-agent` header: some SDKs need a response of their own."""
    idempotency_key: str | None = None
    """The key of the idempotency record, for a POST with an idempotency key."""
    caller: Principal | None = None
    found: App | None = None
    last_event_id: str = ""
    """The `last-event-id` header: the last event of the stream that the client has received."""
    base_url: Callable[[], str] = "http://localhost".__str__
    """Returns the URL at which the caller reached this server."""

    def origin(self) -> str:
        """Return the URL of this server for users: from the settings, or else the one that the caller used."""
        return self.context.portal_url or self.base_url()

    @property
    def now(self) -> int:
        """The current wall-clock time, in milliseconds."""
        return self.context.services.clock.now()

    @property
    def principal(self) -> Principal:
        """The caller. Every route that requires a token has one."""
        assert self.caller is not None  # noqa: S101 - the router requires a token
        return self.caller

    @property
    def app(self) -> App:
        """The application in the path. Every route whose path has `{app_id}` and requires that application has one."""
        assert self.found is not None  # noqa: S101 - the router responded 404
        return self.found


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[QueryT, BodyT]):
    """One operation: its location, its callers, its parameters and body, and its responses."""

    method: str
    path: str
    """The path below `/api/v1`, without a trailing slash; parameters are in braces."""
    operation: str
    """The id of the operation in the contract."""
    tag: str
    summary: str
    access: Access
    needs: Capability | None = Capability.VIEW_BASE
    """The capability that the token of an application needs, if any."""
    names_app: bool = True
    """Whether the application in the path must exist, and is looked up."""
    query: type[QueryT]
    body: type[BodyT]
    handler: Callable[[Call[QueryT, BodyT]], Awaitable[Response]]
    responses: Mapping[int, object]
    """The type of the response body by status of success; None if there is no body."""
    varies: tuple[str, object] | None = None
    """Another response with success: the callers that get it, and the type of its body, or None without a body."""
    is_deprecated: bool = False
    is_read: bool = False
    """Whether the operation changes nothing although its method is not GET, so that a read-only key may use it."""
    repeat: Callable[[Context, str, Response], Response] | None = None
    """Makes the response from the idempotency record and the `user-agent`, if the record is not the response itself."""
    decoder: msgspec.json.Decoder[BodyT] = field(init=False)

    def __post_init__(self) -> None:
        """Create the decoder once."""
        object.__setattr__(self, "decoder", msgspec.json.Decoder(self.body))

    def admits(self, caller: Principal) -> bool:
        """Return whether callers of this kind may use the route; a read-only one may not use routes that write."""
        if caller.is_read_only and self.method != "GET" and not self.is_read:
            return False
        if caller.is_operator:
            return self.access in (Access.OPERATOR, Access.ORG_OR_OPERATOR)
        if self.access in (Access.ORG, Access.ORG_OR_OPERATOR):
            return caller.app_id is None
        return self.access is not Access.OPERATOR

    @property
    def has_body(self) -> bool:
        """Whether the request's body is read."""
        return self.body is not Nothing

    @property
    def has_app(self) -> bool:
        """Whether the path names an application that must exist."""
        return self.names_app and "{app_id}" in self.path


AnyRoute = Route[Any, Any]
"""A route with any types of query and body."""

EMPTY: Final = Response(202, b"{}")
"""The response to a request that is accepted and has no result yet."""
