# SPDX-License-Identifier: MIT
"""Use cases of endpoint health: read the throttle state, and enable an endpoint with an empty failure record."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidings.clock import DAY, SECOND
from tidings.core import operational
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.app import App
from tidings.model.endpoint import Endpoint
from tidings.model.health import NO_ATTEMPTS, NO_FAILURES
from tidings.model.task import Task
from tidings.model.throttle import SECOND_US
from tidings.storage.drivers.database import Database, Read, Write
from tidings.storage.tables import apps, attempts, endpoints, health, routing, throttles

_CHUNK: Final = 1_000


async def reset(tx: Write, endpoint_id: str) -> None:
    """Clear an endpoint's failure record; every code path that enables an endpoint calls this."""
    await health.reset(tx, endpoint_id)


async def note_disabled(tx: Write, endpoint_id: str, now: int) -> None:
    """Record when an endpoint was disabled, so that enabling it can resend the messages that it missed."""
    await health.note_disabled(tx, endpoint_id, now)


async def with_recent(read: Read, found: Sequence[Endpoint], now: int) -> list[Endpoint]:
    """Return endpoints with the totals of their recent attempts."""
    sums = await attempts.recent_attempts(read, [endpoint.id for endpoint in found], now) if found else {}
    return [replace(endpoint, recent=sums.get(endpoint.id, NO_ATTEMPTS)) for endpoint in found]


async def throttled_since(services: Services, app: App, ref: str) -> int | None:
    """Return the time in milliseconds since which a rate limit delays the endpoint's deliveries, or None."""
    async with services.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        held = await throttles.find(read, [endpoint.id, app.id])
        now = await throttles.shared_now(read)
    now = services.clock.now() * (SECOND_US // SECOND) if now is None else now
    return min((each.limited_since for each in held if each.limited_since and each.tat > now), default=None)


async def prune_idle_limits(db: Database, now: int) -> None:
    """Delete the state of rate limits that were idle for a day, in chunks; an idle limit behaves like a new one."""
    before, deleted = (now - DAY) * (SECOND_US // SECOND), _CHUNK
    while deleted == _CHUNK:
        async with db.write() as tx:
            deleted = await throttles.expire(tx, before=before, limit=_CHUNK)


StartCatchUp = Callable[[Services, Write, App, Endpoint, str], Awaitable[Task | None]]
"""Starts a task that resends messages; receives the endpoint as it was before, and the creator of the task."""


@dataclass(frozen=True, slots=True)
class EnableOptions:
    """How to enable an endpoint: what resends the messages of its outage, and the creator of those tasks."""

    catching_up: Sequence[StartCatchUp]
    created_by: str


@dataclass(frozen=True, slots=True)
class EnabledEndpoint:
    """An enabled endpoint, and the tasks that resend the messages of its outage."""

    endpoint: Endpoint
    tasks: tuple[Task, ...]


async def enable(
    services: Services,
    app: App,
    ref: str,
    options: EnableOptions,
    *,
    idempotency_key: str | None,
    render: Callable[[EnabledEndpoint], Response],
) -> Response:
    """Enable an endpoint and clear its failure record; on request, start the tasks that resend what it missed."""

    async def work(tx: Write) -> EnabledEndpoint:
        now = services.now()
        await apps.advance_routing_version(tx, app.id, now)
        before = await endpoints.get(tx, app.id, ref)
        if await health.enable(tx, before.id, now):
            await operational.emit(tx, app.org_id, operational.ENDPOINT_ENABLED, _event_data(app, before), now)
        await reset(tx, before.id)
        await routing.record_history(tx, before.id, now)
        started = [await start(services, tx, app, before, options.created_by) for start in options.catching_up]
        tx.after_commit(lambda: services.notifier.routing(app.id))
        [found] = await with_recent(tx, [before], now)
        after = replace(
            found, disabled=False, record=NO_FAILURES, updated_at=now if before.disabled else before.updated_at
        )
        return EnabledEndpoint(after, tuple(task for task in started if task is not None))

    return await services.idempotency.once(idempotency_key, work, render)


def _event_data(app: App, endpoint: Endpoint) -> dict[str, str | None]:
    return {"appId": app.id, "appUid": app.uid, "endpointId": endpoint.id, "endpointUid": endpoint.uid}
