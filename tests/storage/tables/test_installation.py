# SPDX-License-Identifier: MIT
"""Totals of tasks, nodes, limits and the size of the database, and the claim of a reading."""

import pytest

from tasks.kit import explained
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import installation

NOW = 1_800_000_000_000
LIMITED_US = (NOW + 1_000) * 1_000
_THROTTLE = "INSERT INTO throttle (key, tat_us, limited_since) VALUES (:key, :tat, :since)"
_TASK = (
    "INSERT INTO task (id, org_id, tenant, kind, args, state, wire_status, fair_round, ready_at, lease_until, size,"
    " created_at, updated_at, finished_at) VALUES (:id, 'org_1', 'org_1', :kind, '{}', :state, :wire, 1, :ready,"
    " :until, 1, 1, :updated, :finished)"
)


async def add_task(tx: Write, name: str, state: str, *, kind: str = "endpoint.recover", **times: int) -> None:
    ready, updated = times.get("ready", 0), times.get("updated", 1)
    until = NOW if state == "running" else None
    finished = NOW if state == "succeeded" else None
    wire = "finished" if state == "succeeded" else "running"
    given = {"id": name, "kind": kind, "state": state, "wire": wire}
    await tx.run(_TASK, **given, ready=ready, until=until, updated=updated, finished=finished)


async def test_only_limits_that_let_a_delivery_pass_within_a_minute_are_in_force(db: Database) -> None:
    async with db.write() as tx:
        await tx.run(_THROTTLE, key="ep_1", tat=LIMITED_US, since=1)
        await tx.run(_THROTTLE, key="ep_2", tat=LIMITED_US, since=None)
        await tx.run(_THROTTLE, key="ep_3", tat=(NOW - 61_000) * 1_000, since=1)

    async with db.read() as read:
        assert await installation.limits_in_force(read, NOW) == 1


async def test_tasks_are_counted_and_the_one_without_progress_is_found(db: Database) -> None:
    async with db.write() as tx:
        await add_task(tx, "qtask_1", "running", updated=NOW - 10)
        await add_task(tx, "qtask_2", "queued", ready=NOW - 20, updated=NOW - 90)
        await add_task(tx, "qtask_3", "queued", ready=NOW + 20, updated=NOW - 99)
        await add_task(tx, "qtask_4", "paused", updated=1, kind="application.purge_content")
        await add_task(tx, "qtask_5", "succeeded", updated=1)

    async with db.read() as read:
        counted = await installation.tasks_by_kind(read)
        assert await installation.oldest_progress(read, NOW) == NOW - 20
    recover = "endpoint.recover"
    assert counted == {
        (recover, "running"): 1,
        (recover, "queued"): 2,
        ("application.purge_content", "paused"): 1,
    }


async def test_the_size_of_the_database_is_known_and_on_sqlite_that_of_its_file_system(db: Database) -> None:
    async with db.read() as read:
        found = await installation.database_size(read)
        nodes = await installation.nodes_by_state(read)

    assert found.size > 100_000
    assert (found.free is not None) == (found.file_system is not None) == db.has_one_writer
    assert nodes == (None if db.has_one_writer else {"alive": 0, "lost": 0})


async def test_one_node_claims_each_reading(db: Database) -> None:
    async def claims(now: int) -> bool:
        async with db.write() as tx:
            return await installation.claim_reading(tx, now, 15_000)

    assert await claims(NOW)
    assert not await claims(NOW + 14_000)
    assert await claims(NOW + 15_001)
    assert await claims(NOW - 90_000), "a claim of a clock that was ahead must not hold for good"


async def test_totals_are_stored_for_the_other_nodes(db: Database) -> None:
    async with db.write() as tx:
        assert await installation.stored_totals(tx) is None
        await installation.store_totals(tx, "old")
        await installation.store_totals(tx, "new")
        assert await installation.stored_totals(tx) == "new"


@pytest.mark.parametrize(
    ("statement", "index", "given"),
    [
        (installation._PROGRESS, "task_", {"now": NOW, "limit": 10}),  # noqa: SLF001
        (installation._TASKS, "task_active", {"limit": 10}),  # noqa: SLF001
        (installation._LIMITED, "throttle_limited", {"limit": 10, "limited_us": 1}),  # noqa: SLF001
    ],
)
async def test_totals_read_an_index(db: Database, statement: str, index: str, given: dict[str, int]) -> None:
    assert index in await explained(db, statement, **given)
