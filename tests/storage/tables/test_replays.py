# SPDX-License-Identifier: MIT
"""Sends that a task requests while another caller requests them too: on PostgreSQL both write concurrently."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tasks.kit import ORG, database, rows, run_sql
from tidings.clock import SystemClock
from tidings.model.attempt import MessageStatus
from tidings.model.delivery import Lane, Mode
from tidings.model.resending import ReplayFilters
from tidings.model.undelivered import UndeliveredState
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import deliveries, replays
from tidings.storage.tables.deliveries import ManualSend
from tidings.storage.tables.index_order import use_index_order
from tidings.storage.tables.replays import ReplayTarget

NOW = SystemClock().now()
MESSAGES = [f"msg_{number:02}" for number in range(20)]
THEIRS = MESSAGES[10]
TARGET = ReplayTarget("ep_1", "app_1", ORG, "qtask_1", NOW)
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
Send = Callable[[Write, ReplayTarget, Sequence[str]], Awaitable[int]]
CASES: dict[str, tuple[Send, int, str | None]] = {
    "missing": (replays.send_missing, 19, None),
    "failed": (replays.send_failed, 20, "qtask_1"),
    "any": (lambda tx, target, msgs: replays.send_any(tx, target, msgs, ReplayFilters()), 20, "qtask_1"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_resend_requested_between_lookup_and_write_is_kept(
    postgres_dsn: str, case: tuple[Send, int, str | None]
) -> None:
    """No delivery exists at the lookup, but one exists at the write: each message still has one row."""
    send, count, task = case
    again = ManualSend(THEIRS, "ep_1", "app_1", ORG, Lane.LIVE, Mode.ALWAYS, None)
    async with database(postgres_dsn) as db:
        async with db.write() as other:
            await deliveries.schedule_manual_sends(other, [again], NOW)
            sending = asyncio.create_task(_sent(db, send))
            await _blocked(db)
        assert await sending == count

        assert await rows(db, "SELECT msg_id FROM delivery ORDER BY msg_id") == [(each,) for each in MESSAGES]
        assert await rows(db, f"SELECT lane, task_id FROM delivery WHERE msg_id = '{THEIRS}'") == [(0, task)]


async def _sent(db: Database, send: Send) -> int:
    async with db.write() as tx:
        return await send(tx, TARGET, MESSAGES)


async def _blocked(db: Database) -> None:
    async with asyncio.timeout(10):
        while await rows(db, _WAITING) != [(1,)]:  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.01)


OUTSTANDING, LEASED, DELIVERED, FAILED, UNTRIED = MESSAGES[2], MESSAGES[5], MESSAGES[8], MESSAGES[11], MESSAGES[14]
CROWDS = [(0, 0), (0, 50), (1_000, 0), (1_000, 50)]
"""The rows of other messages in between: more than the lookup reads, or none."""
LEFT: dict[str, tuple[Send, set[str]]] = {
    "missing": (replays.send_missing, {OUTSTANDING, LEASED, DELIVERED, FAILED}),
    "failed": (replays.send_failed, {DELIVERED}),
    "any": (CASES["any"][0], set()),
    "any that has failed": (
        lambda tx, target, msgs: replays.send_any(tx, target, msgs, ReplayFilters(status=MessageStatus.FAIL)),
        {OUTSTANDING, LEASED},
    ),
    "any that is waiting": (
        lambda tx, target, msgs: replays.send_any(tx, target, msgs, ReplayFilters(status=MessageStatus.SENDING)),
        set(MESSAGES) - {OUTSTANDING, LEASED},
    ),
    "exhausted": (
        lambda tx, target, msgs: replays.send_any(tx, target, msgs, ReplayFilters(state=UndeliveredState.EXHAUSTED)),
        {OUTSTANDING, LEASED, DELIVERED},
    ),
    "scheduled": (
        lambda tx, target, msgs: replays.send_any(tx, target, msgs, ReplayFilters(state=UndeliveredState.SCHEDULED)),
        set(MESSAGES) - {OUTSTANDING, LEASED},
    ),
}


@pytest.mark.parametrize(("outstanding", "attempts"), CROWDS)
@pytest.mark.parametrize("case", LEFT.values(), ids=LEFT)
async def test_rows_of_other_messages_in_the_range_are_not_changed(
    migrated_url: str, case: tuple[Send, set[str]], outstanding: int, attempts: int
) -> None:
    """Rows of other messages and endpoints share the range; it is read completely, partly or not at all."""
    send, left = case
    async with database(migrated_url) as db:
        async with db.write() as tx:
            for msg in (OUTSTANDING, LEASED, UNTRIED, f"{UNTRIED}a"):
                endpoint = "ep_2" if msg.startswith(UNTRIED) else "ep_1"
                await deliveries.schedule_manual_sends(
                    tx, [ManualSend(msg, endpoint, "app_1", ORG, 0, Mode.ALWAYS, None)], NOW
                )
            await tx.run("UPDATE delivery SET lease = 7, lease_until = :until WHERE msg_id = :id", until=NOW, id=LEASED)
            for msg, endpoint, status in (
                (DELIVERED, "ep_1", 2),
                (DELIVERED, "ep_1", 0),
                (FAILED, "ep_1", 2),
                (FAILED, "ep_2", 0),
                (UNTRIED, "ep_2", 0),
                (f"{FAILED}a", "ep_1", 0),
            ):
                await _tried(tx, msg, endpoint, status)
            await _crowd(tx, outstanding, attempts)

        sent = await _sent(db, send)

        asked = await rows(db, "SELECT msg_id FROM delivery WHERE task_id = 'qtask_1' ORDER BY msg_id")
        assert [row[0] for row in asked] == [each for each in MESSAGES if each not in left]
        assert sent == len(asked)


@pytest.mark.parametrize(("outstanding", "attempts"), CROWDS)
async def test_a_delivery_settled_during_its_lock_wait_is_not_resent(
    postgres_dsn: str, outstanding: int, attempts: int
) -> None:
    """The delivery exists at the lookup; by the time its lock is granted, it has been delivered."""
    async with database(postgres_dsn) as db:
        async with db.write() as tx:
            await deliveries.schedule_manual_sends(
                tx, [ManualSend(THEIRS, "ep_1", "app_1", ORG, 0, Mode.ALWAYS, None)], NOW
            )
            await _crowd(tx, outstanding, attempts)
        async with db.write() as other:
            await other.run("DELETE FROM delivery WHERE msg_id = :id", id=THEIRS)
            await _tried(other, THEIRS, "ep_1", 0)
            sending = asyncio.create_task(_sent(db, replays.send_failed))
            await _blocked(db)
        assert await sending == len(MESSAGES) - 1

        assert await rows(db, f"SELECT msg_id FROM delivery WHERE msg_id = '{THEIRS}'") == []


@pytest.mark.parametrize("rows_there", [0, 50, 2_000])
async def test_a_range_is_read_in_order_and_no_further_than_needed(postgres_dsn: str, rows_there: int) -> None:
    """No plan, however few rows PostgreSQL assumes, sorts the whole range: the plan stays when the tables grow."""
    bounds: dict[str, str | int] = {"first": MESSAGES[0], "last": MESSAGES[-1], "few": 1_000, "near": 40}
    async with database(postgres_dsn) as db:
        await store.create_partitions(db, NOW)
        async with db.write() as tx:
            await _crowd(tx, rows_there, rows_there)
        for statement in ("ANALYZE delivery", "ANALYZE attempt"):
            await run_sql(db, statement)
        async with db.write() as tx:
            await use_index_order(tx)
            look = f"EXPLAIN {replays._SEND_FAILED.look}"  # noqa: SLF001
            plan = "\n".join(row[0] for row in await tx.rows(look, endpoint="ep_1", **bounds))

    assert "Index Scan using delivery_pkey" in plan or "Index Only Scan using delivery_pkey" in plan, plan
    assert plan.count("Index Cond: ((msg_id >= ") >= 2, plan
    assert "->  Sort" not in plan, plan
    assert "Bitmap" not in plan, plan


async def _crowd(tx: Write, outstanding: int, attempts: int) -> None:
    theirs = [ManualSend(f"msg_00_{n:04}", "ep_9", "app_1", ORG, 0, Mode.ALWAYS, None) for n in range(outstanding)]
    await deliveries.schedule_manual_sends(tx, theirs, NOW)
    for n in range(attempts):
        await _tried(tx, f"msg_00_{n:04}", "ep_9", 0)


async def _tried(tx: Write, msg_id: str, endpoint_id: str, status: int) -> None:
    await tx.run(
        "INSERT INTO attempt (msg_id, id, endpoint_id, app_id, org_id, url, status, response_status_code, response,"
        " response_duration_ms, trigger_type) VALUES (:msg, :id, :endpoint, 'app_1', :org, '',"
        " CAST(:status AS SMALLINT), 500, '', 1, 0)",
        msg=msg_id,
        id=f"atmpt_{status}",
        endpoint=endpoint_id,
        org=ORG,
        status=status,
    )


async def test_a_message_delivered_during_another_lock_wait_is_not_resent(postgres_dsn: str) -> None:
    """No delivery exists at the lookup; another task delivers it while the write waits for another message's lock."""
    free = MESSAGES[15]
    async with database(postgres_dsn) as db:
        async with db.write() as tx:
            await deliveries.schedule_manual_sends(
                tx, [ManualSend(THEIRS, "ep_1", "app_1", ORG, 0, Mode.ALWAYS, None)], NOW
            )
        async with db.write() as other:
            await other.run("DELETE FROM delivery WHERE msg_id = :id", id=THEIRS)
            await _tried(other, THEIRS, "ep_1", 0)
            sending = asyncio.create_task(_sent(db, replays.send_failed))
            await _blocked(db)
            async with db.write() as third:
                await deliveries.schedule_manual_sends(
                    third, [ManualSend(free, "ep_1", "app_1", ORG, 0, Mode.ALWAYS, None)], NOW
                )
            async with db.write() as third:
                await third.run("DELETE FROM delivery WHERE msg_id = :id", id=free)
                await _tried(third, free, "ep_1", 0)
        await sending

        assert await rows(db, f"SELECT msg_id FROM delivery WHERE msg_id = '{free}'") == []
