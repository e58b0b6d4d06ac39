# SPDX-License-Identifier: MIT
"""The import of event types from an OpenAPI document, over HTTP."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from tidings.api.event_types import TAG
from tidings.api.fields import Name, Object
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Route
from tidings.api.wire import In, Out, json_response
from tidings.core import event_type_imports
from tidings.core.event_type_imports import ImportPlan, ImportSource
from tidings.core.idempotency import Response
from tidings.model.event_type import EventType

_DOCUMENT: Final[dict[str, object]] = {
    "openapi": "3.1.0",
    "info": {"title": "Events", "version": "1"},
    "webhooks": {"invoice.paid": {"post": {"description": "An invoice was paid."}}},
}
_SPEC: Final = Meta(extra_json_schema={"additionalProperties": True, "example": _DOCUMENT})
_RAW: Final = Meta(
    extra_json_schema={
        "example": "openapi: 3.1.0\ninfo: {title: Events, version: '1'}\nwebhooks:\n  invoice.paid: {post: {}}\n"
    }
)


class EventTypeImportOpenApiIn(In, kw_only=True):
    """An OpenAPI document with webhooks, either as `spec` or as `specRaw`."""

    spec: Annotated[dict[str, Any] | None, _SPEC] = None
    """The document as an object."""
    spec_raw: Annotated[str | None, _RAW] = None
    """The document as text in YAML or JSON."""
    dry_run: bool = False
    """Return what the import would change, without changing it. False by default."""
    replace_all: bool = False
    """Archive the event types that the document does not have. False by default."""


class EventTypeFromOpenApi(Out, kw_only=True):
    """An event type as the import would store it."""

    name: Name
    """The name of the event type: that of the webhook."""
    description: str
    """A description for people."""
    deprecated: bool
    """Whether the event type is deprecated. It has no effect on deliveries."""
    schemas: Object | None
    """JSON Schemas of the payload, by version; the one of the document is version `1`. Null if there are none."""
    group_name: str | None
    """The name of its group of event types. Null if there is none."""
    feature_flags: tuple[str, ...] | None
    """Only application tokens with one of these feature flags may see the event type. Null means all."""


class EventTypeImportDetailOut(Out, kw_only=True):
    """What an import changes, apart; the Svix API does not have it."""

    created: tuple[Name, ...]
    """The event types that are new."""
    updated: tuple[Name, ...]
    """The event types that exist and differ from the document, or are archived."""
    archived: tuple[Name, ...]
    """The event types that the document does not have, with `replaceAll`."""
    in_use: tuple[Name, ...]
    """Those of `archived` to which endpoints subscribe. The endpoints keep their subscriptions."""
    unchanged: int
    """How many event types are as the document states them."""


class EventTypeImportOpenApiOutData(Out, kw_only=True):
    """What an import changes."""

    modified: tuple[Name, ...]
    """The names of the event types that are created, updated or archived, or would be in a dry run; in order."""
    to_modify: tuple[EventTypeFromOpenApi, ...] | None = msgspec.field(name="to_modify")
    """In a dry run, the event types that would be created or updated. Null otherwise."""
    x: EventTypeImportDetailOut
    """Members that extend the Svix API."""


class EventTypeImportOpenApiOut(Out, kw_only=True):
    """The result of an import, or of its dry run."""

    data: EventTypeImportOpenApiOutData
    """The event types of the document and the changes to them."""


async def import_openapi(call: Call[Query, EventTypeImportOpenApiIn]) -> Response:
    """Create and update event types from the webhooks of an OpenAPI 3 document, all of them or none.

    Each member of `webhooks` and `x-webhooks` is an event type, at most 5,000. Descriptions, `deprecated`, the schema
    of the JSON body, `x-svix-group-name` and `x-svix-feature-flags` are taken; what the document does not state stays
    as it is. References are resolved inside the document. An archived event type is unarchived. A second import of the
    same document changes nothing.
    """
    body, services, org_id = call.body, call.context.services, call.principal.org_id
    stated = await event_type_imports.read(ImportSource(body.spec, body.spec_raw))
    if body.dry_run:
        plan = await event_type_imports.plan(services, org_id, stated, replaces=body.replace_all)
        return _rendered(plan, (*plan.created, *plan.updated))
    return await event_type_imports.run(
        services,
        org_id,
        stated,
        replaces=body.replace_all,
        idempotency_key=call.idempotency_key,
        render=lambda plan: _rendered(plan, None),
    )


def _rendered(plan: ImportPlan, to_modify: tuple[EventType, ...] | None) -> Response:
    ordered = None if to_modify is None else sorted(to_modify, key=lambda each: each.name)
    data = EventTypeImportOpenApiOutData(
        modified=tuple(plan.modified),
        to_modify=None if ordered is None else tuple(map(_rendered_type, ordered)),
        x=EventTypeImportDetailOut(
            created=tuple(each.name for each in plan.created),
            updated=tuple(each.name for each in plan.updated),
            archived=plan.archived,
            in_use=plan.in_use,
            unchanged=plan.unchanged,
        ),
    )
    return json_response(200, EventTypeImportOpenApiOut(data=data))


def _rendered_type(event_type: EventType) -> EventTypeFromOpenApi:
    return EventTypeFromOpenApi(
        name=event_type.name,
        description=event_type.description,
        deprecated=event_type.deprecated,
        schemas=None if event_type.schemas is None else msgspec.Raw(event_type.schemas.encode()),
        group_name=event_type.group_name,
        feature_flags=event_type.feature_flags,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/event-type/import/openapi",
        operation="v1.event-type.import-openapi",
        tag=TAG,
        summary="Import event types from an OpenAPI document",
        access=Access.ORG,
        query=Query,
        body=EventTypeImportOpenApiIn,
        handler=import_openapi,
        responses={200: EventTypeImportOpenApiOut},
    ),
)
