# SPDX-License-Identifier: MIT
"""Making and finding event types."""

from collections.abc import Callable

from tidings.core.desk import Desk
from tidings.core.receipts import Answer
from tidings.errors import conflict, not_found
from tidings.ids import OrgId
from tidings.model.event_type import EventType, EventTypeDraft
from tidings.model.page import Cursor, Page
from tidings.model.token import Principal
from tidings.storage import event_types
from tidings.storage.database import Write


async def create(
    desk: Desk, org_id: OrgId, draft: EventTypeDraft, *, receipt: str | None, render: Callable[[EventType], Answer]
) -> Answer:
    """Make an event type, or take an archived one back into use and overwrite it."""

    async def work(tx: Write) -> EventType:
        if not await event_types.add(tx, _drafted(org_id, draft, desk.now())):
            raise conflict("An event_type with this name already exists", code="event_type_exists")
        stored = await event_types.find(tx, org_id, draft.name)
        assert stored is not None  # noqa: S101 - this transaction wrote it
        return stored

    return await desk.receipts.once(receipt, work, render)


def _drafted(org_id: OrgId, draft: EventTypeDraft, now: int) -> EventType:
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


async def get(desk: Desk, principal: Principal, name: str) -> EventType:
    """Return an event type that the caller may see, archived or not."""
    async with desk.db.read() as read:
        event_type = await event_types.find(read, principal.org_id, name)
    if event_type is None or not principal.may_see(event_type.feature_flags):
        raise not_found()
    return event_type


async def page(
    desk: Desk, principal: Principal, cursor: Cursor, *, archived: bool, with_schemas: bool
) -> Page[EventType]:
    """Return a page of the event types that the caller may see."""
    flags = None if principal.app_id is None else sorted(principal.feature_flags)
    async with desk.db.read() as read:
        rows = await event_types.page(
            read, principal.org_id, cursor.span(), flags=flags, archived=archived, with_schemas=with_schemas
        )
    return cursor.page(rows, lambda event_type: event_type.name)
