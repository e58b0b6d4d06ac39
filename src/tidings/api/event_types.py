# SPDX-License-Identifier: MIT
"""Event types over HTTP."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import jsonschema_rs
import msgspec
from msgspec import Meta

from tidings.api.fields import NAME, Name, Object, set_faults, unique
from tidings.api.query import Direction, Flag, Limit, NameIterator, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import In, ListResponse, Moment, Out, answer, encode, listing, moment_out
from tidings.core import event_types
from tidings.core.receipts import Answer
from tidings.errors import Fault
from tidings.model import text
from tidings.model.event_type import EventType, EventTypeDraft
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order

TAG: Final = "Event Type"
_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"
_FLAGS: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1})
_SCHEMAS: Final = Meta(extra_json_schema={"additionalProperties": True})

Schemas = Mapping[str, object]


class EventTypeIn(In, kw_only=True):
    """An event type to be made."""

    name: Name
    description: str
    archived: bool = False
    deprecated: bool = False
    schemas: Annotated[dict[str, Any] | None, _SCHEMAS] = None
    group_name: Annotated[str | None, NAME] = None
    feature_flags: Annotated[list[Name] | None, _FLAGS] = None
    feature_flag: Annotated[str | None, Meta(extra_json_schema={"deprecated": True})] = None

    @property
    def flags(self) -> list[str] | None:
        """The feature flags, under whichever of their two names they came."""
        if self.feature_flags is None and self.feature_flag is not None:
            return [self.feature_flag]
        return self.feature_flags

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong beyond the types of the members."""
        for field, name in (("name", self.name), ("groupName", self.group_name)):
            yield from set_faults(field, map(text.wrong_name, [] if name is None else [name]))
        wrong = text.wrong_words(self.description)
        if wrong is not None:
            yield Fault(("body", "description"), wrong)
        if self.flags is not None:
            if not self.flags:
                yield Fault(("body", "featureFlags"), "featureFlags must have at least one item, or be set to null.")
            yield from set_faults("featureFlags", map(text.wrong_name, self.flags))
        yield from _schema_faults(self.schemas or {})


def _schema_faults(schemas: Schemas) -> Iterator[Fault]:
    for version, schema in schemas.items():
        if not _is_draft_7(schema):
            yield Fault(("body", "schemas", version), "not a valid JSON Schema (Draft 7)", "value_error.jsondecode")


def _is_draft_7(schema: object) -> bool:
    """Tell whether a value is a schema; nothing that it refers to is looked at, let alone fetched."""
    if isinstance(schema, dict):
        return jsonschema_rs.meta.is_valid({**schema, "$schema": _DRAFT_7})
    return isinstance(schema, bool)


class EventTypeOut(Out, kw_only=True):
    """An event type."""

    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: Object | None
    created_at: Moment
    updated_at: Moment
    feature_flag: str | None
    feature_flags: tuple[str, ...] | None
    group_name: str | None


class ListQuery(Query, kw_only=True):
    """Which event types are wanted."""

    limit: Limit = LIMIT_DEFAULT
    iterator: NameIterator = None
    order: Direction = None
    include_archived: Flag = False
    with_content: Flag = False


async def create(call: Call[Query, EventTypeIn]) -> Answer:
    """Make an event type."""
    body = call.body
    draft = EventTypeDraft(
        name=body.name,
        description=body.description,
        archived=body.archived,
        deprecated=body.deprecated,
        schemas=None if body.schemas is None else encode(body.schemas).decode(),
        feature_flags=unique(body.flags),
        group_name=body.group_name,
    )
    return await event_types.create(
        call.context.desk,
        call.principal.org_id,
        draft,
        receipt=call.receipt,
        render=lambda event_type: answer(201, shown(event_type)),
    )


async def get(call: Call[Query, Nothing]) -> Answer:
    """Tell of an event type."""
    name = call.path["event_type_name"]
    return answer(200, shown(await event_types.get(call.context.desk, call.principal, name)))


async def page(call: Call[ListQuery, Nothing]) -> Answer:
    """Tell of the organisation's event types by name."""
    query = call.query
    cursor = Cursor(query.order or Order.ASCENDING, query.limit, query.iterator)
    found = await event_types.page(
        call.context.desk,
        call.principal,
        cursor,
        archived=query.include_archived,
        with_schemas=query.with_content,
    )
    return listing(found, shown)


def shown(event_type: EventType) -> EventTypeOut:
    """Return an event type as it goes over the wire."""
    flags = event_type.feature_flags
    return EventTypeOut(
        name=event_type.name,
        description=event_type.description,
        archived=event_type.archived,
        deprecated=event_type.deprecated,
        schemas=None if event_type.schemas is None else msgspec.Raw(event_type.schemas.encode()),
        created_at=moment_out(event_type.created_at),
        updated_at=moment_out(event_type.updated_at),
        feature_flag=flags[0] if flags else None,
        feature_flags=flags,
        group_name=event_type.group_name,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/event-type",
        operation="v1.event-type.list",
        tag=TAG,
        summary="List the organisation's event types",
        access=Access.ANY,
        query=ListQuery,
        body=Nothing,
        handler=page,
        answers={200: ListResponse[EventTypeOut]},
    ),
    Route(
        method="POST",
        path="/event-type",
        operation="v1.event-type.create",
        tag=TAG,
        summary="Make an event type, or take an archived one back into use",
        access=Access.ORG,
        query=Query,
        body=EventTypeIn,
        handler=create,
        answers={201: EventTypeOut},
    ),
    Route(
        method="GET",
        path="/event-type/{event_type_name}",
        operation="v1.event-type.get",
        tag=TAG,
        summary="Get an event type by its name",
        access=Access.ANY,
        query=Query,
        body=Nothing,
        handler=get,
        answers={200: EventTypeOut},
    ),
)
