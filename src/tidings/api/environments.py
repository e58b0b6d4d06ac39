# SPDX-License-Identifier: MIT
"""Export and import of an organization's configuration over HTTP."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Final

from msgspec import Meta

from tidings.api.connector_bodies import ConnectorIn
from tidings.api.connectors import ConnectorOut, render_connector
from tidings.api.event_types import EventTypeIn, EventTypeOut, render_event_type
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import CreatedAt, In, Out, encode, format_timestamp, json_response
from tidings.core import environments
from tidings.core.environments import SETTINGS_MAX, TYPES_MAX, EnvironmentDraft
from tidings.core.idempotency import Response
from tidings.errors import Fault
from tidings.model.connector import CONNECTORS_MAX

TAG: Final = "Environment"
_FAULTS_MAX: Final = 100
_NONE: Final = Meta(extra_json_schema={"example": []})
_TYPES: Final = Meta(extra_json_schema={"maxItems": TYPES_MAX, "example": []})
_CONNECTORS: Final = Meta(extra_json_schema={"maxItems": CONNECTORS_MAX})
_SETTINGS: Final = Meta(extra_json_schema={"additionalProperties": True, "example": {"displayName": "Acme"}})


class EnvironmentIn(In, kw_only=True):
    """What to create and update. All else stays as it is: an import deletes nothing."""

    event_types: Annotated[list[EventTypeIn] | None, _TYPES] = None
    """Event types to create or replace, by name, at most 5,000. None by default."""
    settings: Annotated[dict[str, Any] | None, _SETTINGS] = None
    """Settings to keep, at most 64 KiB as JSON. They have no effect; an export returns them. None by default."""
    connectors: Annotated[list[ConnectorIn] | None, _CONNECTORS] = None
    """Connectors to create or replace, by uid, or without one by name. None by default."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault if there is too much, else those of the items, at most 100."""
        types, own = self.event_types or [], self.connectors or []
        too_many = [*_count_faults("eventTypes", types, TYPES_MAX), *_count_faults("connectors", own, CONNECTORS_MAX)]
        if too_many:
            yield from too_many
        else:
            yield from islice(self._item_faults(types, own), _FAULTS_MAX)

    def _item_faults(self, types: Sequence[EventTypeIn], own: Sequence[ConnectorIn]) -> Iterator[Fault]:
        yield from _faults_in("eventTypes", types)
        yield from _repeated("eventTypes", "name", [each.name for each in types])
        yield from _faults_in("connectors", own)
        yield from _repeated("connectors", "uid", [each.uid for each in own])
        if self.settings is not None and len(encode(self.settings)) > SETTINGS_MAX:
            yield Fault(("body", "settings"), f"settings must have at most {SETTINGS_MAX:,} bytes as JSON.")

    def drafted(self) -> EnvironmentDraft:
        """Return the import that the body describes."""
        return EnvironmentDraft(
            event_types=[each.drafted(each.name) for each in self.event_types or ()],
            connectors=[each.made() for each in self.connectors or ()],
            settings=self.settings,
        )


def _count_faults(field: str, items: Sequence[object], items_max: int) -> Iterator[Fault]:
    if len(items) > items_max:
        yield Fault(("body", field), f"{field} has {len(items):,} items; an import takes at most {items_max:,}.")


def _faults_in(field: str, items: Sequence[In]) -> Iterator[Fault]:
    for index, each in enumerate(items):
        for fault in each.faults():
            yield Fault(("body", field, f"[{index}]", *fault.loc[1:]), fault.msg, fault.type)


def _repeated(field: str, member: str, names: Sequence[str | None]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Fault(("body", field, f"[{index}]", member), "An earlier item has the same one.")
        if name is not None:
            seen.add(name)


class EnvironmentOut(Out, kw_only=True):
    """The configuration of an organization."""

    version: Annotated[int, Meta(ge=1)]
    """The version of this format: 1."""
    created_at: CreatedAt
    event_types: Annotated[tuple[EventTypeOut, ...], _NONE]
    """All event types with their schemas, archived ones too, by name."""
    settings: dict[str, Any] | None
    """The settings of earlier imports. Null if there were none."""
    connectors: tuple[ConnectorOut, ...]
    """The connectors of the organization, the oldest first, without the built-in ones."""


async def export(call: Call[Query, Nothing]) -> Response:
    """Return the event types, the connectors and the imported settings of the organization, for an import.

    An organization with more than 5,000 event types, or more than 16 MiB of them, is a 400.
    """
    found = await environments.exported(call.context.services, call.principal.org_id)
    body = EnvironmentOut(
        version=1,
        created_at=format_timestamp(found.at),
        event_types=tuple(map(render_event_type, found.event_types)),
        settings=found.settings,
        connectors=tuple(map(render_connector, found.connectors)),
    )
    return json_response(200, body)


async def import_(call: Call[Query, EnvironmentIn]) -> Response:
    """Create and update the event types, connectors and settings in the body, all of them or none.

    An import deletes nothing. A repeated one changes nothing, and concurrent ones run one after the other.
    """
    return await environments.imported(
        call.context.services,
        call.principal.org_id,
        call.body.drafted(),
        idempotency_key=call.idempotency_key,
        render=lambda _: Response(204),
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/environment/export",
        operation="v1.environment.export",
        tag=TAG,
        summary="Export the configuration of the organization",
        access=Access.ORG,
        is_read=True,
        query=Query,
        body=Nothing,
        handler=export,
        responses={200: EnvironmentOut},
    ),
    Route(
        method="POST",
        path="/environment/import",
        operation="v1.environment.import",
        tag=TAG,
        summary="Import a configuration into the organization",
        access=Access.ORG,
        query=Query,
        body=EnvironmentIn,
        handler=import_,
        responses={204: None},
    ),
)
