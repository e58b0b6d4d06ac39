# SPDX-License-Identifier: MIT
"""What a route is, and what its handler is given.

A route is an entry of a table; the router, the permission check and the OpenAPI document are made from the table.
By the time a handler runs its query has been read, the caller is known and allowed, the application in the path has
been found, and the body has been read: in this order.
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
"""The body of a route that has none: whatever is sent is ignored."""


class EventStream:
    """Stands for server-sent events where a route says what it answers."""


class Access(Enum):
    """Who may call."""

    OPEN = "anybody"
    ANY = "any token; the handler shows each caller its own"
    APP = "the organisation, or the application in the path"
    ORG = "the organisation"


@dataclass(frozen=True, slots=True)
class Call(Generic[QueryT, BodyT]):
    """One request, checked."""

    context: Context
    query: QueryT
    body: BodyT
    path: Mapping[str, str]
    """The parameters of the path by name, decoded."""
    agent: str = ""
    """The `user-agent` header: some SDKs need an answer of their own."""
    idempotency_key: str | None = None
    """The key of the idempotency record, for a POST with an idempotency key."""
    caller: Principal | None = None
    found: App | None = None
    seen: str = ""
    """The `last-event-id` header: up to where a stream has been read before."""
    base_url: Callable[[], str] = "http://localhost".__str__
    """Returns the URL under which the caller reached this server."""

    def origin(self) -> str:
        """Return where users find this server: what the settings say, or else how the caller reached us."""
        return self.context.portal_url or self.base_url()

    @property
    def now(self) -> int:
        """The wall time."""
        return self.context.services.clock.now()

    @property
    def principal(self) -> Principal:
        """Who calls; every route but an open one has a caller."""
        assert self.caller is not None  # noqa: S101 - the router let nobody through
        return self.caller

    @property
    def app(self) -> App:
        """The application in the path; every path with `{app_id}` has one."""
        assert self.found is not None  # noqa: S101 - the router answered 404
        return self.found


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[QueryT, BodyT]):
    """One operation: where it is, who may call it, what goes in and what comes out."""

    method: str
    path: str
    """Below `/api/v1`, without a trailing slash; `{names}` in braces."""
    operation: str
    """The operation's id in the contract."""
    tag: str
    summary: str
    access: Access
    needs: Capability | None = Capability.VIEW_BASE
    """What the token of an application must be able to, if anything."""
    names_app: bool = True
    """Whether the application in the path must be there, and is looked up."""
    query: type[QueryT]
    body: type[BodyT]
    handler: Callable[[Call[QueryT, BodyT]], Awaitable[Response]]
    answers: Mapping[int, object]
    """The type of the body by status of success, None where there is no body."""
    varies: tuple[str, object] | None = None
    """Another answer of success: for which callers, and the type of its body, None where it has none."""
    is_deprecated: bool = False
    decoder: msgspec.json.Decoder[BodyT] = field(init=False)

    def __post_init__(self) -> None:
        """Make the decoder once."""
        object.__setattr__(self, "decoder", msgspec.json.Decoder(self.body))

    @property
    def has_body(self) -> bool:
        """Tell whether the request's body is read."""
        return self.body is not Nothing

    @property
    def has_app(self) -> bool:
        """Tell whether the path names an application that must be there."""
        return self.names_app and "{app_id}" in self.path


AnyRoute = Route[Any, Any]
"""An entry of the table, where it does not matter what goes in."""

EMPTY: Final = Response(202, b"{}")
"""The answer to what has nothing to tell but that it will be done."""
