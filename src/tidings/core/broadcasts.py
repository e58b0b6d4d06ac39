# SPDX-License-Identifier: MIT
"""Use case: broadcast one message to every application of an organization."""

from collections.abc import Callable

import msgspec

from tidings.core import tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.broadcast import BroadcastArgs
from tidings.model.message import Draft
from tidings.model.task import BROADCAST, NewTask, Task
from tidings.model.token import Principal
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import task_items
from tidings.storage.tables.key_ranges import APPLICATIONS


async def broadcast(
    services: Services,
    principal: Principal,
    draft: Draft,
    *,
    idempotency_key: str | None,
    render: Callable[[Task], Response],
) -> Response:
    """Start a task that creates the message in every existing application."""

    async def work(tx: Write) -> Task:
        task = await tasks.start(services, tx, await build_task(tx, principal, draft))
        await task_items.keep_input(tx, task.id, draft.payload)
        return task

    return await services.idempotency.once(idempotency_key, work, render)


async def build_task(read: Read, principal: Principal, draft: Draft) -> NewTask:
    """Build the broadcast task; its payload is stored separately, as the task's input."""
    args = BroadcastArgs(
        event_type=draft.event_type,
        event_id=draft.event_id,
        channels=draft.channels,
        retention_ms=draft.retention_ms,
        high_water_mark=await APPLICATIONS.high_water_mark_at_start(read, principal.org_id),
    )
    return NewTask(
        kind=BROADCAST,
        org_id=principal.org_id,
        app_id=None,
        args=msgspec.json.encode(args).decode(),
        created_by=principal.subject,
    )
