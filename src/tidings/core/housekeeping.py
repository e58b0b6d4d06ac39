# SPDX-License-Identifier: MIT
"""The janitor task, which deletes expired exports and old background tasks; it belongs to no organization."""

from typing import Final

from tidings import ids
from tidings.clock import DAY, HOUR, Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.ids import OrgId, TaskId
from tidings.model.task import JANITOR, NewTask
from tidings.storage.drivers.database import Database
from tidings.storage.tables import exports, janitor, tasks

RETENTION_MS: Final = 90 * DAY
"""How long a task is stored after its end."""
INTERVAL_MS: Final = 20 * HOUR
"""The shortest interval between two runs of the janitor."""
SYSTEM_ORG: Final = OrgId("system")


async def start_janitor(db: Database, clock: Clock, notifier: Notifier) -> bool:
    """Start the janitor if it has work and did not run within the interval; return whether it started."""
    now = clock.now()
    async with db.read() as read:
        old = await janitor.old_tasks(read, before=now - RETENTION_MS, limit=1)
        if not old and not await exports.expired(read, now, limit=1):
            return False
    async with db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
        if await janitor.has_started_since(tx, SYSTEM_ORG, JANITOR, ids.first_at(ids.TASK, now - INTERVAL_MS)):
            return False
        new = NewTask(kind=JANITOR, org_id=SYSTEM_ORG, app_id=None, args="{}", lock_key=JANITOR, priority=-1)
        await tasks.add(tx, TaskId(ids.new(ids.TASK, now)), new, now)
        notify_after_commit(tx, notifier.tasks)
    return True
