# SPDX-License-Identifier: MIT
"""Integrations over HTTP: programs that act for one application, each with a key of its own.

Only the organization manages them: an integration may have feature flags that the users of the application lack.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from tidings import ids
from tidings.api import samples
from tidings.api.context import Context
from tidings.api.fields import WORDS, Name
from tidings.api.query import Direction, PageLimit, Query, iterator_of
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import CreatedAt, In, ListResponse, Out, UpdatedAt, format_timestamp, json_response, listing
from tidings.core import integrations
from tidings.core.idempotency import Response
from tidings.core.integrations import IntegrationDraft
from tidings.errors import Fault
from tidings.model import text
from tidings.model.faults import flag_faults, text_faults, unique
from tidings.model.integration import Integration
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order

TAG: Final = "Integration"
_FLAGS: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": text.FLAGS_MAX})
_ID: Final = Meta(description="The id of the integration.", extra_json_schema={"example": samples.INTEGRATION})


class IntegrationIn(In, kw_only=True):
    """The integration to create."""

    name: Annotated[str, WORDS]
    """A name for people, such as the program that uses the key. At most 4,096 bytes."""
    feature_flags: Annotated[list[Name] | None, _FLAGS] = None
    """The feature flags of its key: it sees the event types that have one of them. None by default."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from text_faults("name", self.name)
        if self.feature_flags is not None and not self.feature_flags:
            yield Fault(("body", "featureFlags"), "featureFlags must have at least one item, or be absent.")
        yield from flag_faults("featureFlags", self.feature_flags)

    def drafted(self) -> IntegrationDraft:
        """Return the integration that the body describes."""
        return IntegrationDraft(self.name, unique(self.feature_flags))


class IntegrationUpdate(IntegrationIn, kw_only=True):
    """The new name and feature flags of an integration. Without `featureFlags` it has none."""


class IntegrationOut(Out, kw_only=True):
    """An integration."""

    id: Annotated[str, _ID]
    name: str
    """A name for people."""
    feature_flags: tuple[Name, ...] | UnsetType = UNSET
    """The feature flags of its key: it sees the event types that have one of them. Absent if it has none."""
    created_at: CreatedAt
    updated_at: UpdatedAt


class IntegrationKeyOut(Out, kw_only=True):
    """The new key of an integration."""

    key: Annotated[str, Meta(extra_json_schema={"example": "tidings_…"})]
    """The key, for the header `Authorization: Bearer …`. It is not stored, and cannot be shown again."""


class IntegrationListQuery(Query, kw_only=True):
    """A page of integrations."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: Annotated[str | None, iterator_of(ids.INTEGRATION)] = None
    order: Direction = None
    """The sort order by creation: `ascending`, the default, lists the oldest integration first."""


async def create(call: Call[Query, IntegrationIn]) -> Response:
    """Create an integration of an application.

    It has no key yet: the first `rotate` creates it. An application has at most 100 integrations.
    """
    return await integrations.create(
        call.context.services,
        call.app,
        call.body.drafted(),
        idempotency_key=call.idempotency_key,
        render=lambda integration: json_response(201, _rendered(integration)),
    )


async def page(call: Call[IntegrationListQuery, Nothing]) -> Response:
    """Return a page of the integrations of an application, oldest first by default."""
    query = call.query
    cursor = Cursor(query.order or Order.ASCENDING, query.limit, query.iterator)
    return listing(await integrations.page(call.context.services, call.app, cursor), _rendered)


async def get(call: Call[Query, Nothing]) -> Response:
    """Return an integration of an application."""
    found = await integrations.get(call.context.services, call.app, call.path["integ_id"])
    return json_response(200, _rendered(found))


async def put(call: Call[Query, IntegrationUpdate]) -> Response:
    """Replace the name and the feature flags of an integration.

    Its key stays, and has the new feature flags on every node within two seconds.
    """
    draft = call.body.drafted()
    return json_response(
        200,
        _rendered(await integrations.change(call.context.services, call.app, call.path["integ_id"], draft)),
    )


async def delete(call: Call[Query, Nothing]) -> Response:
    """Delete an integration; every node refuses its key within two seconds, and open streams end."""
    await integrations.delete(call.context.services, call.app, call.path["integ_id"])
    return Response(204)


async def rotate(call: Call[Query, Nothing]) -> Response:
    """Give an integration a new key, which only this response contains.

    The previous key ends: every node refuses it within two seconds, and open streams end. A request repeated with the
    same idempotency key returns the same key, unless `jwt_secret` has changed since, or is a public key: then it is a
    409.
    """
    caller = call.principal
    key = await integrations.rotate_key(
        call.context.services,
        call.app,
        call.path["integ_id"],
        signer=call.context.gatekeeper.signer,
        created_by=caller.subject if caller.key is None else caller.key.id,
        idempotency_key=call.idempotency_key,
    )
    return json_response(200, IntegrationKeyOut(key=key))


def _repeated(context: Context, _agent: str, stored: Response) -> Response:
    return json_response(200, IntegrationKeyOut(key=integrations.key_in(context.gatekeeper.signer, stored)))


def _rendered(integration: Integration) -> IntegrationOut:
    return IntegrationOut(
        id=integration.id,
        name=integration.name,
        feature_flags=integration.feature_flags or UNSET,
        created_at=format_timestamp(integration.created_at),
        updated_at=format_timestamp(integration.updated_at),
    )


_ALL: Final = "/app/{app_id}/integration"
_ONE: Final = _ALL + "/{integ_id}"


def _route(method: str, path: str, name: str, summary: str, **more: Any) -> AnyRoute:  # noqa: ANN401 - fields of Route
    parts = {"query": Query, "body": Nothing, "responses": {200: IntegrationOut}, **more}
    return Route(
        method=method,
        path=path,
        operation=f"v1.integration.{name}",
        tag=TAG,
        summary=summary,
        access=Access.ORG,
        **parts,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    _route(
        "GET",
        _ALL,
        "list",
        "List the integrations of an application",
        query=IntegrationListQuery,
        handler=page,
        responses={200: ListResponse[IntegrationOut]},
    ),
    _route(
        "POST",
        _ALL,
        "create",
        "Create an integration",
        body=IntegrationIn,
        handler=create,
        responses={201: IntegrationOut},
    ),
    _route("GET", _ONE, "get", "Get an integration", handler=get),
    _route("PUT", _ONE, "update", "Replace an integration", body=IntegrationUpdate, handler=put),
    _route("DELETE", _ONE, "delete", "Delete an integration", handler=delete, responses={204: None}),
    _route(
        "POST",
        f"{_ONE}/key/rotate",
        "rotate-key",
        "Rotate the key of an integration",
        handler=rotate,
        responses={200: IntegrationKeyOut},
        repeat=_repeated,
    ),
)
