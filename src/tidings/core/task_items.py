# SPDX-License-Identifier: MIT
"""What has become of each item of a task."""

from tidings.core import tasks
from tidings.core.services import Services
from tidings.model.page import Cursor, Page
from tidings.model.task_item import ItemOutcome
from tidings.model.token import Principal
from tidings.storage import task_outcomes
from tidings.storage.task_outcomes import StoredItem

__all__ = ["StoredItem", "page"]


async def page(
    services: Services, principal: Principal, task_id: str, cursor: Cursor, *, outcome: ItemOutcome | None = None
) -> Page[StoredItem]:
    """Return a page of the items of a task that the caller may see, by their keys."""
    await tasks.get(services, principal, task_id)
    outcomes = tuple(ItemOutcome) if outcome is None else (outcome,)
    async with services.db.read() as read:
        found = await task_outcomes.page(read, task_id, cursor.window(), outcomes)
    return cursor.page(found, lambda item: item.key)
