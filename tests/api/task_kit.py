# SPDX-License-Identifier: MIT
"""Tasks in any state, endpoints that have failed, and a runner that recovers them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from api.kit import ORG, Api, Json
from tidings import ids
from tidings.clock import HOUR, rfc3339
from tidings.ids import AppId, TaskId
from tidings.model.task import ENDED, WIRE_STATUS, NewTask, State
from tidings.storage.drivers.database import Dialect
from tidings.storage.tables import tasks
from tidings.tasks.registry import KINDS, handlers
from tidings.tasks.runner import Runner, RunnerLimits

LEASED = "lease = 7, lease_until = 4000000000000"
_LIST = {
    Dialect.SQLITE: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
    Dialect.POSTGRESQL: "SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'p')"
    " AND relnamespace = 'public'::regnamespace",
}


async def stored(api: Api, state: State, *, kind: str = "endpoint.recover", app: str | None = None) -> str:
    """Store a task in a state."""
    api.clock.advance(ids.STEP_MS)
    task_id = TaskId(ids.new(ids.TASK, api.clock.now()))
    new = NewTask(kind=kind, org_id=ORG, app_id=AppId(app) if app else None, args="{}")
    values: Json = {
        "state": state.value,
        "wire_status": WIRE_STATUS[state].value,
        "finished_at": 1 if state in ENDED else None,
        "lease_until": 1 << 50 if state is State.RUNNING else None,
    }
    async with api.db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        await tasks.add(tx, task_id, new, api.clock.now(), KINDS.names)
        changes = ", ".join(f"{name} = CAST(:{name} AS BIGINT)" for name in ("finished_at", "lease_until"))
        await tx.run(
            f"UPDATE task SET state = :state, wire_status = :wire_status, {changes} WHERE id = :id",
            id=task_id,
            **values,
        )
    return task_id


async def failing(api: Api, messages: int) -> tuple[str, str, list[str]]:
    """Create an endpoint whose every message is exhausted; return the application, the endpoint and the messages."""
    app = await api.app()
    endpoint = await api.endpoint(app)
    made = []
    for _ in range(messages):
        msg = await api.message(app)
        await api.attempt(app, endpoint, msg, status=2, code=500)
        made.append(msg)
    async with api.db.write() as tx:
        await tx.run("DELETE FROM delivery WHERE endpoint_id = :endpoint", endpoint=endpoint)
    return app, endpoint, made


async def commanded(api: Api, app: str, endpoint: str, **more: Any) -> Json:
    """Request a recovery of the last hour."""
    body = {"since": rfc3339(api.clock.now() - HOUR), **more}
    return await api.made(f"/app/{app}/endpoint/{endpoint}/recover", body)


@asynccontextmanager
async def recovering(api: Api, limits: RunnerLimits | None = None) -> AsyncIterator[None]:
    """Run a task runner for the length of a block."""
    notifier = api.context.services.notifier
    runner = Runner(api.db, api.clock, limits or RunnerLimits(), handlers(api.clock, notifier))
    notifier.tasks = runner.wake
    await runner.start()
    try:
        yield
    finally:
        await runner.stop()


async def tables(api: Api) -> dict[str, int]:
    """Count the rows of every table."""
    async with api.db.read() as read:
        names = [row["name"] for row in await read.rows(_LIST[read.dialect])]
        return {name: (await read.one(f"SELECT count(*) AS n FROM {name}"))["n"] for name in names}
