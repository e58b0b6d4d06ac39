# SPDX-License-Identifier: MIT
"""A recovery resends each message of its range that failed and was never delivered, once, for any kind of failure.

The outages are those in which svix-server's cursor is known to lose up to three quarters of the messages.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import accumulate

import pytest

from tasks.kinds.case import Case, effects, of_endpoint, of_messages, sent
from tasks.kit import QUICK, database, explained, reread, rows, run_sql, services_of, until, working
from tasks.seed_data import DELIVERED, FAILED, SeedData, an_endpoint, deliver, lease_all, sent_again
from tidings import ids
from tidings.clock import DAY, HOUR, MINUTE, SECOND, SystemClock
from tidings.core import tasks as use_cases
from tidings.core.notifier import Notifier
from tidings.core.services import Services
from tidings.model.task import State, Task
from tidings.model.token import Principal
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import key_ranges, replays, task_items
from tidings.tasks.handler import HandlerServices
from tidings.tasks.kinds import recover
from tidings.tasks.kinds.recover import Recover
from tidings.tasks.registry import handlers
from tidings.tasks.resending import PAYLOAD_EXPIRED, ResendWindow
from tidings.tasks.runner import RunnerLimits
from tidings.tasks.tuning import TaskTuning

NOW = SystemClock().now()
SCHEDULE = (5, 300, 1800, 7200, 18000, 36000, 36000)
FREE = replace(QUICK, backlog=0)


CASE = Case(of_messages(of_endpoint(recover), FAILED), effects("sent"), sent, is_keyed=False, many=500, rows=5)


@dataclass
class Environment:
    """A database, an endpoint with seed data, and its runner."""

    db: Database
    seed: SeedData
    services: Services
    tuning: TaskTuning = TaskTuning()

    async def recover(self, since: int, until_: int | None = None) -> Task:
        """Request a recovery through the use case."""
        owner = self.seed.app
        request = ResendWindow(endpoint_ref=self.seed.endpoint_id, since=since, until=until_, created_by=owner.id)
        async with self.services.db.write() as tx:
            new = await recover.build_task(self.services, tx, owner, request)
            return await use_cases.start(self.services, tx, new)

    async def recovered(self, since: int, until_: int | None = None, limits: RunnerLimits = FREE) -> Task:
        """Request a recovery and run it to its end."""
        async with self.working(limits):
            return await until(self.db, (await self.recover(since, until_)).id)

    @asynccontextmanager
    async def working(self, limits: RunnerLimits) -> AsyncIterator[None]:
        """Run a runner that is woken as in a server."""
        async with working(
            self.db,
            Recover(recover.KIND, HandlerServices(self.services.clock, self.services.notifier, self.tuning)),
            limits=limits,
        ) as runner:
            self.services.notifier.tasks = runner.wake
            yield


@pytest.fixture
async def env(migrated_url: str) -> AsyncIterator[Environment]:
    async with database(migrated_url) as db:
        yield Environment(db, await an_endpoint(db, NOW - 20 * DAY), services_of(db))


def _attempts(made: int, ends: int, dice: random.Random) -> tuple[list[int], int | None]:
    """Return the timestamps of the failed attempts up to a timestamp, and the next due time."""
    waits = [0, *(round(wait * SECOND * dice.uniform(0.8, 1.2)) for wait in SCHEDULE)]
    timestamps = [made + 50 + offset for offset in accumulate(waits)]
    before = [timestamp for timestamp in timestamps if timestamp < ends]
    return before, next((timestamp for timestamp in timestamps if timestamp >= ends), None)


def _add_failures(
    seed: SeedData, messages: int, spread_ms: int, age_ms: int, *, schedule: bool
) -> tuple[set[str], dict[str, int]]:
    """Let messages fail during an outage, and deliver some; return the failed ones and the scheduled ones."""
    dice = random.Random(messages + spread_ms)  # noqa: S311 - a seed, not a secret
    failed: set[str] = set()
    due: dict[str, int] = {}
    for number in range(messages):
        made = NOW - age_ms + number * spread_ms // messages
        timestamps, next_at = _attempts(made, NOW, dice) if schedule else ([made + 50], None)
        msg_id = seed.message(made, *((timestamp, FAILED) for timestamp in timestamps))
        failed.add(msg_id)
        if next_at is not None:
            seed.schedule(msg_id, next_at, len(timestamps))
            due[msg_id] = next_at
        if number % 5 == 0:  # one message in between that was delivered at the second attempt
            seed.message(made, (made + 60, FAILED), (made + 70, DELIVERED))
    return failed, due


CASES = {
    "300 messages in 4 s, one attempt each": (300, 4 * SECOND, MINUTE, False),
    "1 h outage, recover at its end": (300, HOUR, HOUR, True),
    "6 h outage, recover at its end": (1_000, 6 * HOUR, 6 * HOUR, True),
    "24 h outage, recover at its end": (1_000, DAY, DAY, True),
    "retries exhausted, 1 h of messages": (300, HOUR, 3 * DAY, True),
    "retries exhausted, 24 h of messages": (1_000, DAY, 4 * DAY, True),
    "15,000 messages, one attempt each": (15_000, HOUR, HOUR, False),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_each_failed_message_is_resent_once(env: Environment, case: tuple[int, int, int, bool]) -> None:
    messages, spread_ms, age_ms, schedule = case
    failed, due = _add_failures(env.seed, messages, spread_ms, age_ms, schedule=schedule)
    attempts = len(env.seed.attempts)
    await env.seed.write(env.db)

    task = await env.recovered(NOW - age_ms - MINUTE)

    again = await sent_again(env.db, task.id)
    assert set(again) == failed
    assert len(again) == len(failed) == task.counters["messagesSent"]
    assert (task.state, task.done, task.skipped) == (State.SUCCEEDED, attempts, 0)
    assert (task.total, task.total_exact) == (attempts, True)
    kept = await rows(env.db, "SELECT msg_id, retry_at FROM delivery WHERE retry_at IS NOT NULL")
    assert {row[0]: row[1] for row in kept} == due
    assert await rows(env.db, "SELECT DISTINCT lane, manual FROM delivery WHERE task_id IS NOT NULL") == [(1, 1)]


async def test_a_message_in_flight_is_left_to_its_sender_and_recorded(env: Environment) -> None:
    failed, _ = _add_failures(env.seed, 50, HOUR, HOUR, schedule=True)
    await env.seed.write(env.db)
    await lease_all(env.db, lease=77)

    task = await env.recovered(NOW - 2 * HOUR)

    assert task.counters == {"messagesSent": len(failed)}
    assert await rows(env.db, "SELECT DISTINCT lease, again FROM delivery") == [(77, 1)]


async def test_a_message_delivered_meanwhile_is_not_resent(env: Environment) -> None:
    """Sends settle beside the task: in the end each message is either delivered or scheduled, never both."""
    failed, due = _add_failures(env.seed, 400, HOUR, HOUR, schedule=True)
    await env.seed.write(env.db)
    await lease_all(env.db, lease=77)
    lucky = sorted(due)[::2]

    async def settle() -> None:
        for at in range(0, len(lucky), 10):
            await deliver(env.db, env.seed, lucky[at : at + 10], lease=77)

    async with env.working(replace(FREE, chunk_rows=40)):
        task = await env.recover(NOW - 2 * HOUR)
        await asyncio.gather(settle(), until(env.db, task.id))

    waiting = {row[0] for row in await rows(env.db, "SELECT msg_id FROM delivery")}
    assert waiting == failed - set(lucky)


async def test_only_failures_in_the_range_are_resent(env: Environment) -> None:
    seed = env.seed
    seed.message(NOW - 10 * HOUR, (NOW - 10 * HOUR, FAILED))
    inside = seed.message(NOW - 5 * HOUR, (NOW - 10 * HOUR, FAILED), (NOW - 5 * HOUR, FAILED), (NOW - 4 * HOUR, FAILED))
    at_since = seed.message(NOW - 6 * HOUR, (NOW - 6 * HOUR, FAILED))
    seed.message(NOW - 2 * HOUR, (NOW - 2 * HOUR, FAILED))
    seed.message(NOW - 5 * HOUR, (NOW - 5 * HOUR, FAILED), (NOW - HOUR, DELIVERED))
    await seed.write(env.db)

    task = await env.recovered(NOW - 6 * HOUR, NOW - 2 * HOUR)

    assert await sent_again(env.db, task.id) == sorted([inside, at_since])


async def test_the_attempts_of_a_recovery_lie_outside_its_range(env: Environment) -> None:
    """A message whose resend fails while the task runs is not sent a second time by the task."""
    failed, _ = _add_failures(env.seed, 60, HOUR, HOUR, schedule=False)
    await env.seed.write(env.db)
    async with env.working(replace(QUICK, chunk_rows=10, backlog=20)):
        task = await env.recover(NOW - 2 * HOUR)
        for _ in range(10):
            await _until_sent(env, task, 20)
            if (await reread(env.db, task.id)).state is State.SUCCEEDED:
                break
            for msg_id in await sent_again(env.db, task.id):
                env.seed.attempts.append((msg_id, _fresh_attempt(env), FAILED))
            await env.seed.write(env.db)
            await run_sql(env.db, "DELETE FROM delivery")
        ended = await until(env.db, task.id)

    assert ended.counters == {"messagesSent": len(failed)}


def _fresh_attempt(env: Environment) -> str:
    return ids.new(ids.ATTEMPT, env.services.clock.now())


async def _until_sent(env: Environment, task: Task, number: int) -> None:
    """Wait until the task has reached its backlog limit, or its end."""
    async with asyncio.timeout(20):
        while len(await sent_again(env.db, task.id)) < number:
            if (await reread(env.db, task.id)).state is State.SUCCEEDED:
                return
            await asyncio.sleep(0.005)


async def test_a_message_without_its_payload_is_skipped_and_reported(env: Environment) -> None:
    kept = env.seed.message(NOW - HOUR, (NOW - HOUR, FAILED))
    purged = env.seed.message(NOW - HOUR, (NOW - HOUR, FAILED), (NOW - MINUTE, FAILED), payload=None)
    env.seed.attempts.append(("msg_expired", _fresh_attempt(env), FAILED))
    await env.seed.write(env.db)

    task = await env.recovered(NOW - 2 * HOUR)

    assert await sent_again(env.db, task.id) == [kept]
    assert (task.done, task.skipped, task.counters) == (2, 2, {"messagesSent": 1})
    async with env.db.read() as read:
        skipped = await task_items.first_of_each(read, [(task.id, "skipped")], limit=10)
    assert sorted(skipped[task.id, "skipped"]) == sorted([(purged, PAYLOAD_EXPIRED), ("msg_expired", PAYLOAD_EXPIRED)])


async def test_a_recovery_without_failures_succeeds(env: Environment) -> None:
    task = await env.recovered(NOW - HOUR)

    assert (task.state, task.done, task.total, task.progress.percent) == (State.SUCCEEDED, 0, 0, 100.0)


async def test_another_endpoint_is_not_affected(env: Environment) -> None:
    other = await an_endpoint(env.db, NOW - DAY)
    msg_id = other.message(NOW - HOUR, (NOW - HOUR, FAILED))
    env.seed.attempts.append((msg_id, _fresh_attempt(env), DELIVERED))
    await other.write(env.db)
    await env.seed.write(env.db)

    task = await Environment(env.db, other, env.services).recovered(NOW - 2 * HOUR)

    assert await sent_again(env.db, task.id) == [msg_id]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE endpoint SET disabled = 1", "endpoint_disabled"),
        ("UPDATE endpoint SET deleted_at = 1", "endpoint_deleted"),
        ("UPDATE application SET deleted_at = 1", "endpoint_deleted"),
    ],
)
async def test_a_recovery_fails_when_its_endpoint_no_longer_receives(env: Environment, change: str, code: str) -> None:
    _add_failures(env.seed, 60, HOUR, HOUR, schedule=False)
    await env.seed.write(env.db)
    async with env.working(replace(QUICK, chunk_rows=10, backlog=20)):
        task = await env.recover(NOW - 2 * HOUR)
        await _until_sent(env, task, 20)
        await run_sql(env.db, change)
        await run_sql(env.db, "DELETE FROM delivery")
        ended = await until(env.db, task.id)

    assert ended.state is State.FAILED
    assert ended.error is not None
    assert ended.error.code == code
    assert ended.counters == {"messagesSent": 20}


async def test_a_backlog_pauses_the_task_until_half_of_it_is_delivered(env: Environment) -> None:
    _add_failures(env.seed, 100, HOUR, HOUR, schedule=False)
    await env.seed.write(env.db)
    async with env.working(replace(QUICK, chunk_rows=7, backlog=20)):
        task = await env.recover(NOW - 2 * HOUR)
        await _until_sent(env, task, 20)
        held = await reread(env.db, task.id)
        assert (held.state, held.counters) == (State.RUNNING, {"messagesSent": 20})
        rest = 100
        while rest > 0:
            await run_sql(env.db, "DELETE FROM delivery")
            rest -= 20
            if rest > 0:
                await _until_sent(env, task, 20)
                assert len(await sent_again(env.db, task.id)) <= 20
        ended = await until(env.db, task.id)

    assert ended.counters == {"messagesSent": 100}


async def test_a_cancel_stops_the_recovery_and_cancels_deliveries_not_in_flight(env: Environment) -> None:
    _add_failures(env.seed, 100, HOUR, HOUR, schedule=True)
    await env.seed.write(env.db)
    scheduled = await rows(env.db, "SELECT msg_id, due_at FROM delivery ORDER BY msg_id")
    async with env.working(replace(QUICK, chunk_rows=10, backlog=20)):
        task = await env.recover(NOW - 2 * HOUR)
        await _until_sent(env, task, 20)
        cancelled = await use_cases.cancel(env.services, Principal(env.seed.app.org_id), task.id)

    assert cancelled.state is State.CANCELLED
    assert cancelled.counters == {"messagesSent": 20, "withdrawn": 20}
    assert await sent_again(env.db, task.id) == []
    assert await rows(env.db, "SELECT msg_id, due_at FROM delivery ORDER BY msg_id") == scheduled


async def test_delivery_is_woken_after_each_chunk(env: Environment) -> None:
    woken: list[str] = []
    notifier = Notifier(deliveries=woken.extend)
    _add_failures(env.seed, 30, HOUR, HOUR, schedule=False)
    await env.seed.write(env.db)

    await Environment(env.db, env.seed, services_of(env.db, notifier=notifier)).recovered(
        NOW - 2 * HOUR, limits=replace(FREE, chunk_rows=10)
    )

    assert set(woken) == {env.seed.endpoint_id}
    assert len(woken) >= 3


async def test_two_recoveries_of_one_endpoint_run_one_after_the_other(env: Environment) -> None:
    failed, _ = _add_failures(env.seed, 50, HOUR, HOUR, schedule=False)
    await env.seed.write(env.db)
    first = await env.recover(NOW - 2 * HOUR)
    second = await env.recover(NOW - 2 * HOUR)

    async with env.working(replace(FREE, chunk_rows=5)):
        both = [await until(env.db, task.id) for task in (first, second)]

    assert [task.counters for task in both] == [{"messagesSent": len(failed)}] * 2
    assert both[0].finished_at is not None
    assert both[1].started_at is not None
    assert both[0].finished_at <= both[1].started_at


async def test_the_size_of_a_large_range_is_estimated(env: Environment) -> None:
    env.tuning = TaskTuning(count_limit=50)
    _add_failures(env.seed, 400, HOUR, HOUR, schedule=False)
    attempts = len(env.seed.attempts)
    await env.seed.write(env.db)

    task = await env.recovered(NOW - HOUR)

    assert task.total is not None
    assert not task.total_exact
    assert attempts / 2 < task.total < attempts * 2
    assert task.done == attempts


async def test_on_postgresql_the_range_closes_when_older_transactions_have_ended(postgres_dsn: str) -> None:
    """A failure that commits late, with an id before others, is not skipped."""
    async with database(postgres_dsn) as db:
        env = Environment(db, await an_endpoint(db, NOW - DAY), services_of(db))
        late = env.seed.message(NOW - HOUR, (NOW - HOUR, FAILED))
        async with env.working(FREE):
            async with db.write() as tx:
                await env.seed.write_in(tx)
                env.seed.message(NOW - MINUTE, (NOW - MINUTE, FAILED))
                await env.seed.write(db)
                task = await env.recover(NOW - 2 * HOUR)
                held = await until(db, task.id, State.RUNNING)
                assert held.cursor is None
            ended = await until(db, task.id)

        assert ended.counters == {"messagesSent": 2}
        assert late in await sent_again(db, task.id)


async def test_every_probe_goes_through_an_index(env: Environment) -> None:
    """With and without statistics: no scan of a table, and none of all the endpoint's attempts."""
    _add_failures(env.seed, 3_000, HOUR, HOUR, schedule=True)
    await env.seed.write(env.db)
    some: dict[str, str | int] = {
        "endpoint": env.seed.endpoint_id,
        "lower": "atmpt_0",
        "first": "atmpt_0",
        "end": "atmpt_z",
        "limit": 100,
    }
    messages = [row[0] for row in await rows(env.db, "SELECT id FROM message LIMIT 50")]
    target = replays.ReplayTarget("ep_1", "app_1", "org_1", "qtask_1", NOW)
    for analyzed in (False, True):
        if analyzed:
            await run_sql(env.db, "ANALYZE")
        scan = await explained(env.db, replays._SCAN_ATTEMPTS, **some)  # noqa: SLF001
        look = await explained(env.db, replays._SEND_FAILED.any, msgs=messages, **target.values)  # noqa: SLF001
        newest = await explained(env.db, key_ranges.ATTEMPTS.mark_text, owner="ep_1")
        for plan in (scan, look, newest):
            assert "Seq Scan on attempt" not in plan, plan
            assert "Seq Scan on message" not in plan, plan
            assert "SCAN attempt" not in plan, plan
            assert "SCAN message" not in plan, plan
        probe = "SEARCH other USING" if env.db.dialect is Dialect.SQLITE else "Index Cond: (msg_id = "
        assert probe in scan.replace(")::text", "").replace("((", "("), scan


def test_the_registry_has_the_kind_recover() -> None:
    assert set(handlers(SystemClock(), Notifier())) >= {"endpoint.recover", "endpoint.replay", "endpoint.bulk-replay"}


@pytest.mark.chaos
async def test_a_recovery_of_100_000_messages_ends_within_ten_seconds(env: Environment) -> None:
    failed, _ = _add_failures(env.seed, 100_000, HOUR, HOUR, schedule=False)
    await env.seed.write(env.db)
    begun = env.services.clock.monotonic()

    task = await env.recovered(NOW - 2 * HOUR)

    assert task.counters == {"messagesSent": len(failed)}
    assert env.services.clock.monotonic() - begun < 10
