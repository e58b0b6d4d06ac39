# SPDX-License-Identifier: MIT
"""Sending an endpoint's messages again in bulk: those it was never sent, or those it was."""

from collections.abc import Callable
from typing import Final

from tidings.core import tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.app import App
from tidings.model.resending import ReplayArgs, ReplayRequest, ReplayScope, checked_window
from tidings.model.task import BULK_REPLAY, REPLAY, NewTask, Task
from tidings.storage import replays
from tidings.storage.database import Dialect, Read, Write

_KINDS: Final = {ReplayScope.MISSING: REPLAY, ReplayScope.SENT: BULK_REPLAY}


async def replay(
    services: Services,
    app: App,
    chosen: ReplayRequest,
    *,
    idempotency_key: str | None,
    render: Callable[[Task], Response],
) -> Response:
    """Start sending what is chosen."""

    async def work(tx: Write) -> Task:
        return await tasks.start(services, tx, await build_task(services, tx, app, chosen))

    return await services.idempotency.once(idempotency_key, work, render)


async def build_task(services: Services, read: Read, app: App, chosen: ReplayRequest) -> NewTask:
    """Check what is chosen, and return the task that would send it."""
    until = checked_window(chosen.since, chosen.until, services.clock.now())
    endpoint = await tasks.require_enabled_endpoint(read, app, chosen.endpoint_ref, force=chosen.force)
    args = ReplayArgs(
        endpoint_id=endpoint.id,
        since=chosen.since,
        until=until,
        high_water_mark=await replays.high_water_mark(read, app.id) if read.dialect is Dialect.SQLITE else None,
        force=chosen.force,
        filters=chosen.filters,
    )
    new = tasks.endpoint_task(_KINDS[chosen.scope], app, endpoint.id, chosen.created_by, args)
    return tasks.with_rate_limit(new, chosen.rate_limit)
