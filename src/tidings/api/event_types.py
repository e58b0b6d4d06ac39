# SPDX-License-Identifier: MIT
"""Event types over HTTP."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api import samples
from tidings.api.fields import NAME, WORDS, Name, Object, given
from tidings.api.query import Direction, Flag, NameIterator, PageLimit, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import (
    CreatedAt,
    In,
    ListResponse,
    Out,
    UpdatedAt,
    encode,
    format_timestamp,
    json_response,
    listing,
)
from tidings.core import event_types
from tidings.core.idempotency import Response
from tidings.core.schemas import is_draft_7
from tidings.errors import Fault, invalid
from tidings.model import text
from tidings.model.event_type import EventType, EventTypeDraft
from tidings.model.faults import flag_faults, set_faults, text_faults, unique
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order

TAG: Final = "Event Type"
_FLAGS: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": text.FLAGS_MAX})
_OLD_FLAG: Final = Meta(
    extra_json_schema={"maxLength": text.LENGTH_MAX, "pattern": r"^[a-zA-Z0-9\-_.]+$", "deprecated": True}
)
_SCHEMAS: Final = Meta(extra_json_schema={"additionalProperties": True})

Schemas = Mapping[str, object]


class EventTypeUpsertIn(In, kw_only=True):
    """The new content of an event type."""

    description: Annotated[str, WORDS]
    """A description for people, at most 4,096 bytes."""
    archived: bool = False
    """Whether the event type is archived: new subscriptions cannot name it. False by default."""
    deprecated: bool = False
    """Whether the event type is deprecated. It has no effect on deliveries. False by default."""
    schemas: Annotated[dict[str, Any] | None, _SCHEMAS] = None
    """JSON Schemas (Draft 7) of the payload, by version. Null, the default, means none."""
    group_name: Annotated[str | None, NAME] = None
    """The name of a group of event types. Null, the default, means none."""
    feature_flags: Annotated[list[Name] | None, _FLAGS] = None
    """Only application tokens with one of these feature flags may see the event type. Null, the default, means all."""
    feature_flag: Annotated[str | None, _OLD_FLAG] = None
    """The former form of `featureFlags`, which takes precedence: a single flag."""

    @property
    def flags(self) -> list[str] | None:
        """The feature flags, from either of their two names."""
        if self.feature_flags is None and self.feature_flag is not None:
            return [self.feature_flag]
        return self.feature_flags

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from _name_faults("groupName", self.group_name)
        yield from text_faults("description", self.description)
        yield from _flag_faults(self.flags)
        yield from _schema_faults(self.schemas or {})

    def drafted(self, name: str) -> EventTypeDraft:
        """Return the event type that the body describes."""
        return EventTypeDraft(
            name=name,
            description=self.description,
            archived=self.archived,
            deprecated=self.deprecated,
            schemas=_encoded(self.schemas),
            feature_flags=unique(self.flags),
            group_name=self.group_name,
        )


class EventTypeIn(EventTypeUpsertIn, kw_only=True):
    """The event type to create."""

    name: Name
    """The name of the event type, unique in the organization. At most 256 characters."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from _name_faults("name", self.name)
        yield from EventTypeUpsertIn.faults(self)


class EventTypePatch(In, kw_only=True):
    """The changes to an event type. An absent property stays as it is, and null clears one that may be null."""

    description: Annotated[str | UnsetType, WORDS] = UNSET
    """The new description for people, at most 4,096 bytes."""
    archived: bool | UnsetType = UNSET
    """Whether the event type is archived: new subscriptions cannot name it."""
    deprecated: bool | UnsetType = UNSET
    """Whether the event type is deprecated. It has no effect on deliveries."""
    schemas: Annotated[dict[str, Any] | UnsetType | None, _SCHEMAS] = UNSET
    """The new JSON Schemas (Draft 7) of the payload, by version. Null removes them."""
    group_name: Annotated[str | UnsetType | None, NAME] = UNSET
    """The new name of its group of event types. Null removes it."""
    feature_flags: Annotated[list[Name] | UnsetType | None, _FLAGS] = UNSET
    """Only application tokens with one of these feature flags may see the event type. Null means all."""
    feature_flag: Annotated[str | UnsetType | None, _OLD_FLAG] = UNSET
    """The former form of `featureFlags`, which takes precedence: a single flag."""

    @property
    def flags(self) -> list[str] | UnsetType | None:
        """The feature flags, from either of their two names."""
        if self.feature_flags is UNSET and isinstance(self.feature_flag, str):
            return [self.feature_flag]
        return self.feature_flag if self.feature_flags is UNSET else self.feature_flags  # type: ignore[return-value]

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from _name_faults("groupName", given(self.group_name))
        yield from text_faults("description", given(self.description))
        yield from _flag_faults(given(self.flags))
        yield from _schema_faults(given(self.schemas) or {})

    def applied(self, event_type: EventType) -> EventType:
        """Return an event type with the changes."""
        return replace(
            event_type,
            description=event_type.description if self.description is UNSET else self.description,
            archived=event_type.archived if self.archived is UNSET else self.archived,
            deprecated=event_type.deprecated if self.deprecated is UNSET else self.deprecated,
            schemas=event_type.schemas if self.schemas is UNSET else _encoded(self.schemas),
            feature_flags=event_type.feature_flags if self.flags is UNSET else unique(self.flags),
            group_name=event_type.group_name if self.group_name is UNSET else self.group_name,
        )


def _encoded(schemas: dict[str, Any] | None) -> str | None:
    return None if schemas is None else encode(schemas).decode()


def _name_faults(field: str, name: str | None) -> Iterator[Fault]:
    yield from set_faults(field, map(text.name_error, [] if name is None else [name]))


def _flag_faults(flags: list[str] | None) -> Iterator[Fault]:
    if flags is None:
        return
    if not flags:
        yield Fault(("body", "featureFlags"), "featureFlags must have at least one item, or be set to null.")
    yield from flag_faults("featureFlags", flags)


def _schema_faults(schemas: Schemas) -> Iterator[Fault]:
    for version, schema in schemas.items():
        if not is_draft_7(schema):
            yield Fault(("body", "schemas", version), "not a valid JSON Schema (Draft 7)", "value_error.jsondecode")


class EventTypeOut(Out, kw_only=True):
    """An event type."""

    name: Annotated[str, Meta(extra_json_schema={"example": samples.EVENT_TYPE})]
    """The name of the event type."""
    description: str
    """A description for people."""
    archived: bool
    """Whether the event type is archived: new subscriptions cannot name it."""
    deprecated: bool
    """Whether the event type is deprecated. It has no effect on deliveries."""
    schemas: Object | None
    """JSON Schemas of the payload, by version. Null if there are none, or if they are not included."""
    created_at: CreatedAt
    updated_at: UpdatedAt
    feature_flag: str | None
    """The first of `featureFlags`. Null if there is none."""
    feature_flags: tuple[str, ...] | None
    """Only application tokens with one of these feature flags may see the event type. Null means all."""
    group_name: str | None
    """The name of its group of event types. Null if there is none."""


class EventTypeListQuery(Query, kw_only=True):
    """Filters and page of a list of event types."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: NameIterator = None
    order: Direction = None
    """The sort order by name: `ascending` by default."""
    include_archived: Flag = False
    """Include archived event types."""
    with_content: Flag = False
    """Include the schemas; otherwise `schemas` is null."""


class EventTypeDeleteQuery(Query, kw_only=True):
    """How to delete an event type."""

    expunge: Flag = False
    """Delete the event type for good instead of archiving it."""


async def create(call: Call[Query, EventTypeIn]) -> Response:
    """Create an event type.

    An archived event type of this name is replaced and unarchived. A name in use is a 409 with the code
    `event_type_exists`.
    """
    return await event_types.create(
        call.context.services,
        call.principal.org_id,
        call.body.drafted(call.body.name),
        idempotency_key=call.idempotency_key,
        render=lambda event_type: json_response(201, render_event_type(event_type)),
    )


async def put(call: Call[Query, EventTypeUpsertIn]) -> Response:
    """Replace an event type, or create it if there is none of this name.

    An archived event type is unarchived unless the body sets `archived`.
    """
    name = call.path["event_type_name"]
    faults = [Fault(("path", "event_type_name", *fault.loc[2:]), fault.msg) for fault in _name_faults("name", name)]
    if faults:
        raise invalid(*faults)
    return await event_types.put(
        call.context.services,
        call.principal.org_id,
        call.body.drafted(name),
        render=lambda settled: json_response(201 if settled.is_new else 200, render_event_type(settled.event_type)),
    )


async def patch(call: Call[Query, EventTypePatch]) -> Response:
    """Update the given properties of an event type.

    An absent property stays as it is, and null clears one that may be null.
    """
    return await event_types.change(
        call.context.services,
        call.principal.org_id,
        call.path["event_type_name"],
        call.body.applied,
        render=lambda event_type: json_response(200, render_event_type(event_type)),
    )


async def delete(call: Call[EventTypeDeleteQuery, Nothing]) -> Response:
    """Archive an event type, or delete it with `expunge`.

    Subscriptions to an archived event type stay, and no new ones can name it.
    """
    await event_types.delete(
        call.context.services, call.principal.org_id, call.path["event_type_name"], expunge=call.query.expunge
    )
    return Response(204)


async def get(call: Call[Query, Nothing]) -> Response:
    """Return an event type, archived or not.

    An event type whose feature flags the caller's token lacks is a 404.
    """
    name = call.path["event_type_name"]
    return json_response(200, render_event_type(await event_types.get(call.context.services, call.principal, name)))


async def page(call: Call[EventTypeListQuery, Nothing]) -> Response:
    """Return a page of the organization's event types, by name."""
    query = call.query
    cursor = Cursor(query.order or Order.ASCENDING, query.limit, query.iterator)
    found = await event_types.page(
        call.context.services,
        call.principal,
        cursor,
        archived=query.include_archived,
        with_schemas=query.with_content,
    )
    return listing(found, render_event_type)


def render_event_type(event_type: EventType) -> EventTypeOut:
    """Render an event type as a response body."""
    flags = event_type.feature_flags
    return EventTypeOut(
        name=event_type.name,
        description=event_type.description,
        archived=event_type.archived,
        deprecated=event_type.deprecated,
        schemas=None if event_type.schemas is None else msgspec.Raw(event_type.schemas.encode()),
        created_at=format_timestamp(event_type.created_at),
        updated_at=format_timestamp(event_type.updated_at),
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
        summary="List event types",
        access=Access.ANY,
        query=EventTypeListQuery,
        body=Nothing,
        handler=page,
        responses={200: ListResponse[EventTypeOut]},
    ),
    Route(
        method="POST",
        path="/event-type",
        operation="v1.event-type.create",
        tag=TAG,
        summary="Create an event type",
        access=Access.ORG,
        query=Query,
        body=EventTypeIn,
        handler=create,
        responses={201: EventTypeOut},
    ),
    Route(
        method="GET",
        path="/event-type/{event_type_name}",
        operation="v1.event-type.get",
        tag=TAG,
        summary="Get an event type",
        access=Access.ANY,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: EventTypeOut},
    ),
    Route(
        method="PUT",
        path="/event-type/{event_type_name}",
        operation="v1.event-type.upsert",
        tag=TAG,
        summary="Replace an event type, or create it",
        access=Access.ORG,
        query=Query,
        body=EventTypeUpsertIn,
        handler=put,
        responses={200: EventTypeOut, 201: EventTypeOut},
    ),
    Route(
        method="PATCH",
        path="/event-type/{event_type_name}",
        operation="v1.event-type.patch",
        tag=TAG,
        summary="Update parts of an event type",
        access=Access.ORG,
        query=Query,
        body=EventTypePatch,
        handler=patch,
        responses={200: EventTypeOut},
    ),
    Route(
        method="DELETE",
        path="/event-type/{event_type_name}",
        operation="v1.event-type.delete",
        tag=TAG,
        summary="Archive or delete an event type",
        access=Access.ORG,
        query=EventTypeDeleteQuery,
        body=Nothing,
        handler=delete,
        responses={204: None},
    ),
)
