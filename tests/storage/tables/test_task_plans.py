# SPDX-License-Identifier: MIT
"""The plans of the engine's statements on the task table, on both databases: the index used, and updates in place."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from tasks.kit import KIND, KINDS, ORG, database, explained, new_task, rows
from tidings import ids
from tidings.ids import TaskId
from tidings.model.page import Order, PageWindow
from tidings.model.task import Checkpoint, ChunkResult, Plan, TaskPolicy, WireStatus
from tidings.storage.drivers.database import Database, Dialect, Sql, Statement
from tidings.storage.tables import claims, tasks
from tidings.storage.tables.tasks import TaskFilters

NOW = 1_700_000_000_000
EXPORT = "sdk.generate"
POLICY = TaskPolicy(lease_ms=10_000)
MANY = 100_000
_NUMBERS = {
    Dialect.SQLITE: "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :many)",
    Dialect.POSTGRESQL: "WITH number(n) AS (SELECT generate_series(1, CAST(:many AS BIGINT)))",
}
# For each `of` tasks, one is queued, and three run in all; the others have ended.
_FILL = (
    " INSERT INTO task (id, org_id, tenant, kind, args, state, wire_status, fair_round, ready_at, lease_until,"
    " finished_at, lock_key, size, created_at, updated_at)"
    " SELECT 'qtask_' || n, :org, 'app_' || (n % 500), :kind, '{}',"
    " CASE WHEN n <= 3 THEN 'running' WHEN n % CAST(:of AS BIGINT) = 0 THEN 'queued' ELSE 'succeeded' END,"
    " CASE WHEN n <= 3 OR n % CAST(:of AS BIGINT) = 0 THEN 'running' ELSE 'finished' END, n / 500, 0,"
    " CASE WHEN n <= 3 THEN n END, CASE WHEN n > 3 AND n % CAST(:of AS BIGINT) <> 0 THEN n END,"
    " 'endpoint:' || n, 0, 1, 1 FROM number"
)
LISTS = [f"task_{owner}{more}" for owner in ("org", "app") for more in ("", "_kind")]
CHOICES: dict[str, Statement] = {"the choice": claims._CHOOSE, "the lowest round": tasks.lowest_text([KIND])}  # noqa: SLF001
OTHERS: dict[str, Statement] = {
    "expired leases": claims._REQUEUE,  # noqa: SLF001
    "a tenant's highest round": tasks._OWN_HIGHEST,  # noqa: SLF001
    "a tenant's tasks": tasks._ACTIVE,  # noqa: SLF001
    "whether a task is ready": claims._READY,  # noqa: SLF001
    "the next timestamp": claims._LATER,  # noqa: SLF001
}
GIVEN: dict[str, Any] = {
    "now": NOW,
    "kinds": [KIND],
    "kind": KIND,
    "per_tenant": 2,
    "priority": 0,
    "tenant": "app_7",
    "limit": 5,
    "error": "{}",
    "many": 100,
    "backoff": 1_000,
    "backoff_max": 60_000,
    "percent": 100,
}


@pytest.fixture
async def db(migrated_url: str) -> AsyncIterator[Database]:
    async with database(migrated_url) as opened:
        yield opened


async def planned(db: Database, sql: Statement) -> str:
    text = sql.sqlite if isinstance(sql, Sql) else sql
    return await explained(db, sql, **{name: value for name, value in GIVEN.items() if f":{name}" in text})


def is_looked_up(plan: str) -> bool:
    """Return whether every row of the table is read through an index."""
    return "Seq Scan on task" not in plan and "SCAN task" not in plan.replace("SCAN task USING", "")


def is_read_in_order(plan: str, index: str) -> bool:
    """Return whether rows are read in the order of an index, so that the first match is the result."""
    return index in plan and is_looked_up(plan) and "Sort" not in plan and "TEMP B-TREE FOR ORDER BY" not in plan


async def test_a_claim_reads_the_index_of_rounds_for_any_number_of_tasks(db: Database) -> None:
    """100,000 queued tasks, then 100,000 of which a few are queued; PostgreSQL gathers statistics by itself."""
    async with db.write() as tx:
        for name in LISTS:  # not needed here, and slow to maintain
            await tx.run(f"DROP INDEX {name}")
    for of in (1, 500):
        async with db.write() as tx:
            if db.dialect is Dialect.POSTGRESQL:
                await tx.run("SET LOCAL statement_timeout = '60s'")
            await tx.run("DELETE FROM task")
            fill = Sql(*(_NUMBERS[each] + _FILL for each in (Dialect.SQLITE, Dialect.POSTGRESQL)))
            await tx.run(fill, many=MANY, org=ORG, kind=KIND, of=of)
            assert [MANY] == list(await tx.one("SELECT count(*) FROM task"))
            if db.dialect is Dialect.POSTGRESQL:
                await tx.run("ANALYZE task")
        for name, sql in CHOICES.items():
            plan = await planned(db, sql)
            assert is_read_in_order(plan, "task_ready"), f"{name}, 1 of {of} waits\n{plan}"
    for name, sql in OTHERS.items():
        assert is_looked_up(plan := await planned(db, sql)), f"{name}\n{plan}"


async def test_checkpoints_rewrite_the_row_in_place(postgres_dsn: str) -> None:
    """No index contains a column that a checkpoint changes."""
    async with database(postgres_dsn) as db:
        async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
            await tasks.add(
                tx, TaskId(ids.new(ids.TASK, NOW)), replace(new_task(), created_by="x" * 200), NOW, KINDS.names
            )
            task = await claims.claim(tx, POLICY, [KIND], "w", NOW)
            assert task is not None
        async with db.write() as tx:
            task = await claims.store_plan(tx, task.claim, Plan("0", 100, exact=True), POLICY, NOW)
        for number in range(60):
            async with db.write() as tx:
                task = await claims.checkpoint(
                    tx, task, ChunkResult(1, (), {"n": 1}), Checkpoint(str(number), 10, 1.0, 5), POLICY, NOW + number
                )
        async with asyncio.timeout(20):
            updates = hot = 0
            while updates < 61:
                await asyncio.sleep(0.05)
                sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'task'"
                ((updates, hot),) = await rows(db, sql)

        assert hot >= updates - 5


@pytest.mark.parametrize("analyzed", [False, True])
async def test_every_list_has_an_index_that_ends_in_its_order(db: Database, *, analyzed: bool) -> None:
    async with db.write() as tx:
        for number in range(1_500):
            task_id = TaskId(ids.new(ids.TASK, NOW + 4 * number))
            await tasks.add(
                tx, task_id, replace(new_task(app=f"app_{number % 7}"), kind=KINDS.listed[number % 5]), NOW, KINDS.names
            )
        await tasks.add(tx, TaskId(ids.new(ids.TASK, NOW)), replace(new_task(), kind=EXPORT), NOW, KINDS.names)
        await tx.run(
            "UPDATE task SET state = 'cancelled', wire_status = 'failed', finished_at = 1 WHERE fair_round % 3 = 0"
        )
        if analyzed:
            await tx.run("ANALYZE task")
    values = {"org": ORG, "app": "app_1", "kind": None, "first": "qtask_0", "below": "qtask_z"}
    for by_app, status, kind, order in product(
        (False, True), (None, WireStatus.FAILED), (None, "endpoint.replay", EXPORT), Order
    ):
        window = PageWindow(order, 51, below="qtask_z", first="qtask_0")
        text = tasks.page_text(window, TaskFilters(KINDS.listed, status, kind), by_app=by_app)
        plan = await explained(db, text, **values, above=None, rows=51)
        # A search for the few tasks of a rare kind does not scan all tasks.
        assert not analyzed or by_app or kind != EXPORT or "task_org_kind" in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "SCAN task" not in plan, plan
        # The rows of an index are in order already; only the merged pages of the statuses are sorted.
        assert not re.search(r"SEARCH task.*\nUSE TEMP B-TREE", plan), plan
        assert db.dialect is Dialect.POSTGRESQL or status is None or "TEMP B-TREE" not in plan, plan
