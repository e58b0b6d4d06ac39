# SPDX-License-Identifier: MIT
"""Rollups are the numbers of the attempts, whatever is killed, stored late, repeated or deleted meanwhile."""

import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from delivery.recorder import Recorder
from delivery.test_refresh import receiver
from tasks.kit import ORG, database, reread, rows, run_sql, until, working
from tasks.process_pool import ProcessPool
from tasks.seed_data import SeedData, an_endpoint
from tasks.world import FREE, PRINCIPAL, World
from tidings import ids
from tidings.clock import DAY, HOUR, MINUTE, Clock, ManualClock
from tidings.core import rollups as use_cases
from tidings.core import tasks as task_use_cases
from tidings.core import wiping
from tidings.core.health_recorder import HealthRecorder
from tidings.core.notifier import Notifier
from tidings.delivery.outcome import SendResult
from tidings.delivery.settle import SettleBatcher
from tidings.model.delivery import Delivery
from tidings.model.page import Cursor, Order
from tidings.model.rollup import AttemptTotals, Owner, Rollups, hour_of
from tidings.model.task import Batch, State, Task
from tidings.storage.drivers.database import Database, Read
from tidings.storage.tables import nodes, rollups, settlement
from tidings.storage.tables.settlement import AttemptRow
from tidings.tasks.handler import HandlerServices
from tidings.tasks.kinds import rollup
from tidings.tasks.kinds.rollup import Rollup
from tidings.tasks.registry import KINDS
from tidings.tasks.tuning import TaskTuning

NOW = 1_790_000_000_000 // HOUR * HOUR + 20 * MINUTE
CLOSED = NOW - 20 * MINUTE
"""The end of the last closed hour."""
SMALL = TaskTuning(rollup_hours=2, rollup_attempts_per_row=3, rollup_reopened=2)
FEW = replace(FREE, chunk_rows=2)
WORKER = "tasks.kinds.worker:main"


def attempt(seed: SeedData, at: int, status: int = 0, took: int = 5, msg_id: str | None = None) -> AttemptRow:
    msg_id = msg_id or ids.new(ids.MESSAGE, at)
    owner = (seed.endpoint_id, seed.app.id, seed.app.org_id)
    return AttemptRow(msg_id, ids.new(ids.ATTEMPT, at), *owner, "https://e.test", status, 200, "", took, 0)


async def add(db: Database, attempts: Sequence[AttemptRow]) -> None:
    async with db.write() as tx:
        await settlement.add_attempts(tx, attempts)


async def seeded(db: Database, hours: int = 5, endpoints: int = 5, *, busy: int = 40) -> list[SeedData]:
    """Store endpoints with attempts in the last hours: one without any, and one with many in one hour."""
    dice = random.Random(0)  # noqa: S311
    made = [await an_endpoint(db, NOW - 20 * DAY - 8 * number) for number in range(endpoints)]
    found = [attempt(made[1], CLOSED - HOUR + 4 * number, 2 * (number % 3 == 0), number * 7) for number in range(busy)]
    for seed in made[1:]:
        for _ in range(hours * 3):
            at = NOW - dice.randrange(hours * HOUR)
            found.append(attempt(seed, at, dice.choice((0, 0, 2)), dice.randrange(40_000)))
    await add(db, found)
    await run_sql(
        db,
        "INSERT INTO message (id, app_id, org_id, event_type) VALUES (:id, 'app', 'org', 'a')",
        id=ids.new(ids.MESSAGE, NOW - hours * HOUR),
    )
    return made


async def truth(db: Database) -> Rollups:
    """Count all attempts one by one."""
    found: Rollups = {}
    sql = "SELECT org_id, app_id, endpoint_id, id, status, response_duration_ms FROM attempt"
    for org, app, endpoint, attempt_id, status, took in await rows(db, sql):
        bucket = -1 if status else sum(took > bound for bound in (10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4))
        one, hour = AttemptTotals.of_buckets([(bucket, 1)]), hour_of(ids.timestamp_of(attempt_id))
        for owner in (Owner(org, app, endpoint), Owner(org, app), Owner(org), Owner()):
            found[owner, hour] = found.get((owner, hour), AttemptTotals()) + one
    return found


async def stored(db: Database) -> Rollups:
    owners = [Owner(*row) for row in await rows(db, "SELECT DISTINCT org_id, app_id, endpoint_id FROM rollup")]
    async with db.read() as read:
        return await rollups.of_range(read, owners, 0, 1 << 50)


async def begin(db: Database, clock: Clock) -> str:
    """Start a run; return the id of its task."""
    assert await rollup.start_if_due(db, clock, Notifier(), KINDS)
    ((task_id,),) = await rows(db, "SELECT id FROM task WHERE wire_status = 'running'")
    return str(task_id)


async def run(db: Database, at: int = NOW, handler: Callable[[Clock], Rollup] | None = None) -> Task:
    """Start a run at some time, and let it end."""
    clock = ManualClock(at)
    task_id = await begin(db, clock)
    work = (handler or small)(clock)
    async with working(db, work, limits=FEW, tuning=SMALL):
        task = await until(db, task_id)
    assert (task.state, task.failed_attempts) == (State.SUCCEEDED, 0), task.error
    return task


def small(clock: Clock) -> Rollup:
    return Rollup(rollup.KIND, HandlerServices(clock, Notifier(), SMALL))


async def mark(db: Database) -> int | None:
    async with db.read() as read:
        return await use_cases.mark(read)


async def notes(db: Database) -> list[tuple[int, str, str]]:
    async with db.read() as read:
        return await rollups.reopened(read, limit=100)


async def test_rollups_and_totals_are_the_numbers_of_the_attempts(db: Database) -> None:
    await seeded(db)

    await run(db)

    found = await truth(db)
    assert len({owner for owner, _ in found}) == 10  # four endpoints, their applications, the organization, and all
    assert found == await stored(db)
    assert CLOSED == await mark(db)


async def test_a_repeated_run_replaces_what_has_changed(db: Database) -> None:
    made = await seeded(db)
    await run(db)
    await add(db, [attempt(made[0], NOW + MINUTE), attempt(made[1], NOW + MINUTE, 2)])

    await run(db, NOW + rollup.REFRESH_MS)
    assert await truth(db) == await stored(db)

    await run(db, NOW + 2 * rollup.REFRESH_MS)
    assert await truth(db) == await stored(db)


async def test_an_hour_is_closed_some_minutes_after_its_end(db: Database) -> None:
    await seeded(db)
    await run(db, CLOSED + use_cases.CLOSED_AFTER_MS - 1)
    assert CLOSED - HOUR == await mark(db)

    assert await rollup.start_if_due(db, ManualClock(CLOSED + use_cases.CLOSED_AFTER_MS), Notifier(), KINDS)


# --- attempts that are stored late


def send(seed: SeedData, at: int, *, manual: bool = False) -> SendResult:
    to = replace(receiver(seed.endpoint_id), app_id=seed.app.id, org_id=seed.app.org_id)
    delivery = Delivery(to, ids.new(ids.MESSAGE, at), b"{}", 1, 0.0, manual=manual)
    row = AttemptRow.of(
        delivery, ids.new(ids.ATTEMPT, at), delivered=True, code=200, response="", duration_ms=9, next_at=None
    )
    return SendResult(delivery, row, delivered=True)


async def settle(db: Database, now: int, *results: SendResult) -> None:
    """Settle leased deliveries at a time: without a manual one, PostgreSQL writes them in one statement."""
    async with db.write() as tx:
        for each in results:
            await tx.run(
                "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until)"
                " VALUES (:msg, :endpoint, 'app', 'org', 1, 1, 1)",
                msg=each.pair[0],
                endpoint=each.pair[1],
            )
    settler = SettleBatcher(db, ManualClock(now), HealthRecorder(1_000), Recorder())
    for result in results:
        settler.add(result)
    await settler.close()


@pytest.mark.parametrize("manual", [False, True])
async def test_an_attempt_stored_after_its_hour_was_closed_is_counted(db: Database, *, manual: bool) -> None:
    made = await seeded(db)
    await run(db)
    late = [send(made[2], CLOSED - HOUR + 4, manual=manual), send(made[2], CLOSED - 4 * HOUR), send(made[0], NOW)]
    await settle(db, NOW, *late)

    assert [CLOSED - 4 * HOUR, CLOSED - HOUR] == [hour for hour, _, _ in await notes(db)]
    assert not await rollup.start_if_due(db, ManualClock(NOW), Notifier(), KINDS, is_active=False)
    await run(db, NOW + rollup.REFRESH_MS)
    assert await truth(db) == await stored(db)
    assert [] == await notes(db)


async def test_attempts_stored_in_time_leave_no_note(db: Database) -> None:
    (seed, *_) = await seeded(db)

    await settle(db, NOW, send(seed, NOW), send(seed, CLOSED))
    await settle(db, CLOSED + use_cases.REOPENED_AFTER_MS - 1, send(seed, CLOSED - 4))
    assert [] == await notes(db)

    await settle(db, CLOSED + use_cases.REOPENED_AFTER_MS, send(seed, CLOSED - 4))
    assert 1 == len(await notes(db))


class Interrupted(Rollup):
    """Stores a late attempt after each chunk was loaded, before its effects are written."""

    def __init__(self, clock: Clock, late: Callable[[], SendResult], db: Database, times: int) -> None:
        super().__init__(rollup.KIND, HandlerServices(clock, Notifier(), SMALL))
        self.late = late
        self.db = db
        self.times = times

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        batch = await super().load(read, task, limit)
        if self.times:
            self.times -= 1
            await settle(self.db, NOW, self.late())
        return batch


async def test_late_attempts_during_a_run_are_counted_by_it_or_by_the_next(db: Database) -> None:
    made = await seeded(db)
    await run(db)
    dice = random.Random(1)  # noqa: S311

    def late() -> SendResult:
        return send(dice.choice(made), CLOSED - 4 * dice.randrange(1, 4 * HOUR // 4))

    await settle(db, NOW, late(), late())
    await run(db, NOW + rollup.REFRESH_MS, lambda clock: Interrupted(clock, late, db, 6))
    await run(db, NOW + 3 * rollup.REFRESH_MS)

    assert [] == await notes(db)
    assert await truth(db) == await stored(db)


# --- kills


async def test_a_run_killed_anywhere_is_exact(pool: ProcessPool, migrated_url: str) -> None:
    """Each worker dies at another place; the last one ends the run."""
    places = ("task.before_commit=kill@3", "task.after_commit=kill@2", "task.after_effects=kill@4")
    limits = {"chunk_rows": 1}
    async with database(migrated_url) as db:
        made = await seeded(db)
        await add(db, [attempt(made[1], CLOSED - 2 * HOUR + 4 * number) for number in range(50)])
        async with db.write() as tx:
            await rollups.reopen(tx, [(CLOSED - HOUR, made[3].endpoint_id, "attempt")])
        task_id = await begin(db, ManualClock(NOW))
    for place in places:
        child = pool.start(WORKER, migrated_url, place, limits)
        assert -signal.SIGKILL == await child.ended()
    assert 0 == await pool.start(WORKER, migrated_url, "", limits).ended()

    async with database(migrated_url, fresh=False) as db:
        task = await reread(db, task_id)
        assert (State.SUCCEEDED, True) == (task.state, task.chunks > 12), task
        assert await truth(db) == await stored(db)
        assert [] == await notes(db)


# --- deletion


async def test_old_rollups_and_runs_are_deleted(db: Database) -> None:
    await seeded(db)
    await run(db)
    later = NOW + rollup.RETENTION_MS - 2 * HOUR
    kept = {key: totals for key, totals in (await stored(db)).items() if key[1] >= hour_of(later - rollup.RETENTION_MS)}
    async with db.write() as tx:  # instead of a run for each day in between
        await nodes.advance_setting(tx, use_cases.MARK, str(hour_of(later) - HOUR))

    last = await run(db, later)

    assert kept
    assert kept == await stored(db)
    await run_sql(db, "UPDATE task SET finished_at = 1")
    (task_id,) = [await begin(db, ManualClock(later + HOUR))]
    assert [(task_id,)] == await rows(db, "SELECT id FROM task")
    assert last.id != task_id


async def test_a_wiped_organization_has_no_rollups_and_gets_none(db: Database) -> None:
    await seeded(db)
    await run(db)
    await wiping.wipe(db, ORG, chunk=7)
    await run(db, NOW + rollup.REFRESH_MS)

    assert {Owner()} == {owner for owner, _ in await stored(db)}


# --- the task


async def test_a_run_starts_to_close_an_hour_or_long_after_the_last_one_if_there_were_attempts(
    db: Database,
) -> None:
    async def is_due(at: int, *, is_active: bool = True) -> bool:
        return await rollup.start_if_due(db, ManualClock(at), Notifier(), KINDS, is_active=is_active)

    await run(db)
    assert not await is_due(NOW + rollup.REFRESH_MS - 1)
    assert not await is_due(NOW + rollup.REFRESH_MS, is_active=False)
    await run_sql(db, "UPDATE task SET started_at = finished_at - CAST(:took AS BIGINT)", took=MINUTE)
    assert not await is_due(NOW + 19 * MINUTE)
    assert await is_due(NOW + 20 * MINUTE)
    assert not await is_due(NOW + HOUR), "a run has not ended"


async def test_a_run_is_neither_listed_nor_reported_as_an_event(world: World) -> None:
    await run(world.db)

    assert () == (await task_use_cases.page(world.services, PRINCIPAL, Cursor(Order.DESCENDING))).items
    assert [] == await world.finish_events()


async def test_a_clock_that_was_set_back_changes_nothing(db: Database) -> None:
    await seeded(db)
    await run(db)
    before = await stored(db)
    await run_sql(db, "DELETE FROM setting WHERE name = :name", name=use_cases.COUNTED)

    await run(db, NOW - 5 * HOUR)

    assert before == await stored(db)
    assert CLOSED == await mark(db)
