# SPDX-License-Identifier: MIT
"""Use case: purge the payloads of all messages of an application."""

from collections.abc import Callable

import msgspec

from tidings.core import tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.app import App
from tidings.model.purge import PurgeArgs
from tidings.model.task import PURGE_CONTENT, NewTask, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables.key_ranges import MESSAGES


async def purge(
    services: Services, app: App, created_by: str, *, idempotency_key: str | None, render: Callable[[Task], Response]
) -> Response:
    """Start a task that deletes the payloads of all messages of an application."""

    async def work(tx: Write) -> Task:
        return await tasks.start(services, tx, await build_task(tx, app, created_by))

    return await services.idempotency.once(idempotency_key, work, render)


async def build_task(read: Read, app: App, created_by: str) -> NewTask:
    """Build the purge task; its lock key allows one purge per application at a time."""
    mark = await MESSAGES.high_water_mark_at_start(read, app.id)
    return NewTask(
        kind=PURGE_CONTENT,
        org_id=app.org_id,
        app_id=app.id,
        args=msgspec.json.encode(PurgeArgs(high_water_mark=mark)).decode(),
        lock_key=f"purge:{app.id}",
        created_by=created_by,
    )
