# SPDX-License-Identifier: MIT
"""Use cases of event types: create, update, archive, expunge, get and list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import conflict, not_found
from tidings.ids import OrgId
from tidings.model.event_type import EventType, EventTypeDraft
from tidings.model.page import Cursor, Page
from tidings.model.token import Principal
from tidings.storage.drivers.database import Busy, Write, retried
from tidings.storage.tables import event_types


@dataclass(frozen=True, slots=True)
class UpsertedEventType:
    """The event type that an upsert returns, and whether the upsert created it."""

    event_type: EventType
    is_new: bool


async def create(
    services: Services,
    org_id: OrgId,
    draft: EventTypeDraft,
    *,
    idempotency_key: str | None,
    render: Callable[[EventType], Response],
) -> Response:
    """Create an event type; one with this name that is archived is replaced and unarchived."""

    async def work(tx: Write) -> EventType:
        if not await event_types.add(tx, from_draft(org_id, draft, services.now())):
            raise conflict(
                "An event type with this name already exists. Use PUT to replace it.", code="event_type_exists"
            )
        stored = await event_types.find(tx, org_id, draft.name)
        assert stored is not None  # noqa: S101 - this transaction wrote it
        return stored

    return await services.idempotency.once(idempotency_key, work, render)


async def put(
    services: Services, org_id: OrgId, draft: EventTypeDraft, *, render: Callable[[UpsertedEventType], Response]
) -> Response:
    """Replace an event type, or create it if it does not exist."""

    async def work(tx: Write) -> UpsertedEventType:
        proposed = from_draft(org_id, draft, services.now())
        before = await event_types.find_locked(tx, org_id, draft.name)
        if before is None and await event_types.add(tx, proposed):
            return UpsertedEventType(proposed, is_new=True)
        # Without a row and not added: another request has just created it. A retry would lose to the next deletion.
        before = before or await event_types.find_locked(tx, org_id, draft.name)
        if before is None:
            raise Busy("another request has just deleted the event type")  # the retry creates it
        after = replace(proposed, created_at=before.created_at)
        await event_types.change(tx, after)
        return UpsertedEventType(after, is_new=False)

    return await services.idempotency.once(None, work, render)


async def change(
    services: Services,
    org_id: OrgId,
    name: str,
    edit: Callable[[EventType], EventType],
    *,
    render: Callable[[EventType], Response],
) -> Response:
    """Apply an edit to an event type."""

    async def work(tx: Write) -> EventType:
        before = await event_types.find_locked(tx, org_id, name)
        if before is None:
            raise not_found()
        after = replace(edit(before), updated_at=services.now())
        await event_types.change(tx, after)
        return after

    return await services.idempotency.once(None, work, render)


async def delete(services: Services, org_id: OrgId, name: str, *, expunge: bool) -> None:
    """Archive an event type; with `expunge`, delete its row."""

    async def work() -> None:
        async with services.db.write() as tx:
            found = await (
                event_types.expunge(tx, org_id, name)
                if expunge
                else event_types.archive(tx, org_id, name, services.now())
            )
            if not found:
                raise not_found()

    await retried(work)


def from_draft(org_id: OrgId, draft: EventTypeDraft, now: int) -> EventType:
    """Return the event type that a draft describes, as a new one."""
    return EventType(
        org_id=org_id,
        name=draft.name,
        description=draft.description,
        archived=draft.archived,
        deprecated=draft.deprecated,
        schemas=draft.schemas,
        feature_flags=draft.feature_flags,
        group_name=draft.group_name,
        created_at=now,
        updated_at=now,
    )


async def active(services: Services, org_id: OrgId, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of the names that are event types to which an endpoint can subscribe, in their order."""
    async with services.db.read() as read:
        known = await event_types.known(read, org_id, names) if names else set()
    return tuple(name for name in names if name in known)


async def get(services: Services, principal: Principal, name: str) -> EventType:
    """Return an event type, archived or not; raise `not_found` if the caller may not see it."""
    async with services.db.read() as read:
        event_type = await event_types.find(read, principal.org_id, name)
    if event_type is None or not principal.may_see(event_type.feature_flags):
        raise not_found()
    return event_type


async def page(
    services: Services, principal: Principal, cursor: Cursor, *, archived: bool, with_schemas: bool, search: str = ""
) -> Page[EventType]:
    """Return a page of the event types that the caller may see; `search` is a part of the name or the description."""
    flags = None if principal.app_id is None else sorted(principal.feature_flags)
    async with services.db.read() as read:
        rows = await event_types.page(
            read, principal.org_id, cursor.window(), flags=flags, archived=archived, search=search
        )
        found = cursor.page(rows, lambda event_type: event_type.name)
        if not with_schemas:
            return found
        found = found.within([event_type.schemas_bytes for event_type in found.items])
        schemas = await event_types.schemas(read, principal.org_id, found.items)
    return found.mapped(lambda event_type: replace(event_type, schemas=schemas.get(event_type.name)))
