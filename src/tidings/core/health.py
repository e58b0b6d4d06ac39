# SPDX-License-Identifier: MIT
"""What a user does about an endpoint's health: look at its limit, and enable it again with a clean record."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from tidings.clock import MINUTE, SECOND
from tidings.core import operational, tasks
from tidings.core.desk import Desk
from tidings.core.receipts import Answer
from tidings.model.app import App
from tidings.model.endpoint import Endpoint
from tidings.model.health import NOTHING
from tidings.model.recovery import LONGEST_MS
from tidings.model.task import Task
from tidings.model.throttle import SECOND_US
from tidings.storage import apps, endpoints, health, throttles
from tidings.storage.database import Write


async def reset(tx: Write, endpoint_id: str) -> None:
    """Forget what is on record of an endpoint's failures. Whoever enables one calls this."""
    await health.reset(tx, endpoint_id)


async def throttled_since(desk: Desk, app: App, ref: str) -> int | None:
    """Return since when a limit holds up an endpoint's deliveries, in milliseconds; None if none does."""
    async with desk.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        held = await throttles.find(read, [endpoint.id, app.id])
        now = await throttles.shared_now(read)
    now = desk.clock.now() * (SECOND_US // SECOND) if now is None else now
    return min((each.limited_since for each in held if each.limited_since and each.tat > now), default=None)


@dataclass(frozen=True, slots=True)
class Revival:
    """How an endpoint is wanted to be enabled: whether it catches up on its bad time, and by whom."""

    catch_up: bool
    created_by: str


@dataclass(frozen=True, slots=True)
class Enabled:
    """An endpoint that is enabled again, and the tasks that catch up on what it missed."""

    endpoint: Endpoint
    tasks: tuple[Task, ...]


Begin = Callable[[Desk, Write, App, Endpoint, str], Awaitable[Task | None]]
"""Starts a task that catches up; given the endpoint as it was before it was enabled, and by whom."""


async def enable(
    desk: Desk,
    app: App,
    ref: str,
    wanted: Revival,
    *,
    receipt: str | None,
    render: Callable[[Enabled], Answer],
) -> Answer:
    """Enable an endpoint with a clean record; start what catches up on its bad time, if that is wanted."""

    async def work(tx: Write) -> Enabled:
        now = desk.now()
        await apps.touch(tx, app.id, now)
        before = await endpoints.get(tx, app.id, ref)
        if await health.enable(tx, before.id, now):
            await operational.emit(tx, app.org_id, operational.ENDPOINT_ENABLED, _named(app, before), now)
        await reset(tx, before.id)
        catching_up = CATCHING_UP if wanted.catch_up else ()
        begun = [await begin(desk, tx, app, before, wanted.created_by) for begin in catching_up]
        tx.after_commit(lambda: desk.wake.routing(app.id))
        after = replace(
            before, disabled=False, record=NOTHING, updated_at=now if before.disabled else before.updated_at
        )
        return Enabled(after, tuple(task for task in begun if task is not None))

    return await desk.receipts.once(receipt, work, render)


def _named(app: App, endpoint: Endpoint) -> dict[str, str | None]:
    return {"appId": app.id, "appUid": app.uid, "endpointId": endpoint.id, "endpointUid": endpoint.uid}


async def _recover(desk: Desk, tx: Write, app: App, before: Endpoint, created_by: str) -> Task | None:
    """Send again what failed since the record began, or, if there was none, since the endpoint was disabled."""
    record = before.record
    began = record.failing_since or record.unreachable_since or record.disabled_at
    if began is None:
        return None
    # The attempt that began the record was made before its outcome was written, at most so long.
    since = max(began - MINUTE, desk.clock.now() - LONGEST_MS + MINUTE)
    wanted = tasks.Recovery(endpoint_ref=before.id, since=since, until=None, created_by=created_by)
    return await tasks.begin_recovery(desk, tx, app, before.id, wanted)


CATCHING_UP: Final[tuple[Begin, ...]] = (_recover,)
"""What catches up on a bad time."""
