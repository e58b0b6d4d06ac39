# SPDX-License-Identifier: MIT
"""Calling the janitor: a task of the service itself, of no organisation, that deletes what was kept long enough."""

from typing import Final

from tidings import ids
from tidings.clock import DAY, HOUR, Clock
from tidings.core.wake import Wake, hint
from tidings.ids import OrgId, TaskId
from tidings.model.task import JANITOR, NewTask
from tidings.storage import exports, janitor, tasks
from tidings.storage.database import Database

KEPT_MS: Final = 90 * DAY
"""How long a task is kept after its end."""
AGAIN_MS: Final = 20 * HOUR
NOBODY: Final = OrgId("system")


async def call_janitor(db: Database, clock: Clock, wake: Wake) -> bool:
    """Start the janitor if there is something for it to do and it has not been called lately; tell whether it was."""
    now = clock.now()
    async with db.read() as read:
        old = await janitor.old_tasks(read, before=now - KEPT_MS, limit=1)
        if not old and not await exports.expired(read, now, limit=1):
            return False
    async with db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
        if await janitor.was_at_work(tx, NOBODY, JANITOR, ids.first_at(ids.TASK, now - AGAIN_MS)):
            return False
        new = NewTask(kind=JANITOR, org_id=NOBODY, app_id=None, args="{}", lock_key=JANITOR, priority=-1)
        await tasks.add(tx, TaskId(ids.new(ids.TASK, now)), new, now)
        hint(tx, wake.tasks)
    return True
