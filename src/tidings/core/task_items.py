# SPDX-License-Identifier: MIT
"""Use cases: list the items of a task with their outcomes, and count them."""

from tidings.core import tasks
from tidings.core.services import Services
from tidings.model.page import Cursor, Page
from tidings.model.status import Count
from tidings.model.task_item import ItemOutcome
from tidings.model.token import Principal
from tidings.storage.tables import task_items
from tidings.storage.tables.task_items import StoredItem

__all__ = ["StoredItem", "counts", "page"]


async def page(
    services: Services, principal: Principal, task_id: str, cursor: Cursor, *, outcome: ItemOutcome | None = None
) -> Page[StoredItem]:
    """Return a page of a task's items in the order of their keys; raise `not_found` if the caller may not see it."""
    await tasks.get(services, principal, task_id)
    outcomes = tuple(ItemOutcome) if outcome is None else (outcome,)
    async with services.db.read() as read:
        found = await task_items.page(read, task_id, cursor.window(), outcomes)
    return cursor.page(found, lambda item: item.key)


async def counts(services: Services, task_id: str) -> dict[ItemOutcome, Count]:
    """Return the number of a task's items by outcome, each exact up to 10,000; the caller has checked access."""
    async with services.db.read() as read:
        return await task_items.counts(read, task_id)
