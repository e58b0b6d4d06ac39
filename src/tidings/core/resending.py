# SPDX-License-Identifier: MIT
"""Use case: replay messages to an endpoint in bulk, either those never sent to it or those already sent."""

from collections.abc import Callable
from typing import Final

from tidings.core import tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.app import App
from tidings.model.resending import ReplayArgs, ReplayRequest, ReplayScope, checked_window
from tidings.model.task import BULK_REPLAY, REPLAY, NewTask, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables.key_ranges import MESSAGES

_KINDS: Final = {ReplayScope.MISSING: REPLAY, ReplayScope.SENT: BULK_REPLAY}


async def replay(
    services: Services,
    app: App,
    request: ReplayRequest,
    *,
    idempotency_key: str | None,
    render: Callable[[Task], Response],
) -> Response:
    """Start a task that replays the selected messages."""

    async def work(tx: Write) -> Task:
        return await tasks.start(services, tx, await build_task(services, tx, app, request))

    return await services.idempotency.once(idempotency_key, work, render)


async def build_task(services: Services, read: Read, app: App, request: ReplayRequest) -> NewTask:
    """Check a replay request, and build its task."""
    until = checked_window(request.since, request.until, services.clock.now())
    endpoint = await tasks.require_enabled_endpoint(read, app, request.endpoint_ref, force=request.force)
    args = ReplayArgs(
        endpoint_id=endpoint.id,
        since=request.since,
        until=until,
        high_water_mark=await MESSAGES.high_water_mark_at_start(read, app.id),
        force=request.force,
        filters=request.filters,
    )
    new = tasks.endpoint_task(_KINDS[request.scope], app, endpoint.id, request.created_by, args)
    return tasks.with_rate_limit(new, request.rate_limit)
