# SPDX-License-Identifier: MIT
"""Replays of messages that were never sent, or of all: each message of the range once, with every filter applied."""

import json
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from tasks.kinds.case import Case, effects, of_endpoint, of_messages, sent
from tasks.kinds.replays import replayed, shaped, wanted_by
from tasks.kit import QUICK, explained, rows, run_sql, until
from tasks.seed_data import DELIVERED, FAILED, an_endpoint, sent_again
from tasks.world import FREE, NOW, World, at
from tidings import ids
from tidings.clock import HOUR, MINUTE
from tidings.errors import AppError
from tidings.model.task import State
from tidings.storage.drivers.database import Dialect
from tidings.storage.tables import replays
from tidings.tasks.estimator import Estimator
from tidings.tasks.kinds import bulk_replay, replay
from tidings.tasks.registry import FIRST_RATES, handlers

CASE = Case(of_messages(of_endpoint(replay)), effects("sent"), sent, is_keyed=False, many=500, rows=5)


async def test_a_message_that_was_never_sent_is_sent_once(world: World) -> None:
    seed = world.seed
    missing = [seed.message(at(hour)) for hour in (9, 8, 1)]
    seed.message(at(11))
    seed.message(at(7), (at(7), DELIVERED))
    seed.message(at(7), (at(7), FAILED))
    waiting = seed.message(at(6))
    seed.schedule(waiting, NOW + HOUR, 0)
    purged = seed.message(at(5), payload=None)
    await seed.write(world.db)

    task = await replayed(world, replay)

    assert sorted(missing) == await sent_again(world.db, task.id)
    assert (State.SUCCEEDED, 6, 1, 7) == (task.state, task.done, task.skipped, task.total)
    assert {"messagesSent": 3} == await world.result(task)
    assert [(purged, "payload_expired")] == await world.skipped(task)
    assert [(1, 1)] == await rows(world.db, "SELECT DISTINCT lane, manual FROM delivery WHERE task_id IS NOT NULL")


async def test_a_second_replay_finds_no_missing_message(world: World) -> None:
    for number in range(30):
        world.seed.message(at(5) + number)
    await world.seed.write(world.db)

    first = await replayed(world, replay)
    second = await replayed(world, replay)

    assert [{"messagesSent": 30}, {"messagesSent": 0}] == [first.counters, second.counters]


@pytest.mark.parametrize("limit_by", ["event_types", "channels", "both", "nothing"])
async def test_missing_messages_are_those_that_the_endpoint_subscribes_to_today(world: World, limit_by: str) -> None:
    seed = world.seed
    plain, typed, routed, both = [seed.message(at(hour)) for hour in (9, 8, 7, 6)]
    await seed.write(world.db)
    await shaped(world, typed, event_type="order.sent")
    await shaped(world, routed, channels=["red", "blue"])
    await shaped(world, both, event_type="order.sent", channels=["blue"])
    if limit_by in ("event_types", "both"):
        await run_sql(world.db, 'UPDATE endpoint SET event_types = \'["order.sent", "order.lost"]\'')
    if limit_by in ("channels", "both"):
        await run_sql(world.db, "UPDATE endpoint SET channels = '[\"blue\"]'")

    task = await replayed(world, replay)

    wanted = {"event_types": {typed, both}, "channels": {routed, both}, "both": {both}}
    assert sorted(wanted.get(limit_by, {plain, typed, routed, both})) == await sent_again(world.db, task.id)


def _filter(value: object) -> str:
    return json.dumps([{"path": "$.n", "operator": "==", "value": value}])


@pytest.mark.parametrize("replay_bytes", [1, 40, 1 << 20])
@pytest.mark.parametrize("chunk_rows", [1, 7, 1_000])
async def test_missing_messages_are_those_that_meet_the_payload_filter_of_today(
    world: World, replay_bytes: int, chunk_rows: int
) -> None:
    """Chunks end at a number of rows, or of bytes of payload; a message without payload is skipped."""
    seed = world.seed
    wanted = [seed.message(at(9) + number * 8, payload=b'{"n": 1, "x": "%b"}' % (b"x" * number)) for number in range(9)]
    expired = [seed.message(at(7) + number * 8, payload=None) for number in range(3)]
    for payload in (b'{"n": 2}', b"{}", b"plain words", b'{"n": "1"}', b'{"n": [1]}', b"1"):
        seed.message(at(8), payload=payload)
        seed.message(at(6), payload=payload)
    seed.message(at(5), (at(5), FAILED), payload=b'{"n": 1}')
    await seed.write(world.db)
    await run_sql(world.db, "UPDATE endpoint SET filter = :text", text=_filter(1))
    world.tuning = replace(world.tuning, replay_bytes=replay_bytes)

    task = await replayed(world, replay, limits=replace(FREE, chunk_rows=chunk_rows))

    assert sorted(wanted) == await sent_again(world.db, task.id)
    assert sorted((each, "payload_expired") for each in expired) == sorted(await world.skipped(task))
    assert (State.SUCCEEDED, 22, 3, 25) == (task.state, task.done, task.skipped, task.total)


@pytest.mark.parametrize("sampled", [10, 1_000])
async def test_a_dry_run_with_a_payload_filter_is_an_estimate_from_a_sample(world: World, sampled: int) -> None:
    for number in range(40):
        world.seed.message(at(9) + number * 8, payload=b'{"n": %d}' % (number % 2))
    await world.seed.write(world.db)
    await run_sql(world.db, "UPDATE endpoint SET filter = :text", text=_filter(1))
    tuning = replace(world.tuning, dry_run_rows=sampled, dry_run_page=10, replay_bytes=30)
    known = handlers(world.services.clock, world.services.notifier, tuning)

    task = await world.begin(*wanted_by(world, replay))
    found = await Estimator(world.db, world.services.clock, known, FIRST_RATES, tuning).estimate(task)

    assert (found.total, found.exact) == (20, sampled > 40)


async def test_only_messages_of_the_range_are_sent(world: World) -> None:
    seed = world.seed
    seed.message(at(9) - 4)
    first = seed.message(at(9))
    last = seed.message(at(2) - 4)
    seed.message(at(2))
    await seed.write(world.db)

    task = await replayed(world, replay, since=at(9), until=at(2))

    assert sorted([first, last]) == await sent_again(world.db, task.id)


async def test_attempts_at_another_endpoint_do_not_count(world: World) -> None:
    other = await an_endpoint(world.db, NOW)
    msg_id = world.seed.message(at(3))
    other.attempts.append((msg_id, ids.new(ids.ATTEMPT, at(3)), DELIVERED))
    await world.seed.write(world.db)
    await other.write(world.db)

    again = await replayed(world, bulk_replay)
    missing = await replayed(world, replay)

    assert [{"messagesSent": 0}, {"messagesSent": 1}] == [again.counters, missing.counters]


async def test_read_ahead_fills_whole_chunks(world: World) -> None:
    for number in range(1_000):
        world.seed.message(at(9) + number)
    await world.seed.write(world.db)

    free = await replayed(world, replay, limits=replace(FREE, chunk_rows=50))
    await run_sql(world.db, "DELETE FROM delivery")
    bounded = await replayed(world, replay, limits=replace(FREE, chunk_rows=50, backlog=5_000))

    if world.db.dialect is Dialect.POSTGRESQL:  # where no chunk is cut because it took more than 3 ms
        assert (21, 21) == (free.chunks, bounded.chunks)
    assert [{"messagesSent": 1_000}] * 2 == [free.counters, bounded.counters]


@pytest.mark.parametrize("kind", [replay, bulk_replay], ids=["missing", "sent"])
async def test_a_replay_of_thousands_of_messages_in_chunks_is_exact(world: World, kind: ModuleType) -> None:
    outcomes = () if kind is replay else ((at(2), FAILED),)
    wanted = [world.seed.message(at(9) + number * 10, *outcomes) for number in range(3_000)]
    for number in range(500):
        world.seed.message(at(9) + number * 10, *(((at(2), DELIVERED),) if kind is replay else ()))
    await world.seed.write(world.db)

    task = await replayed(world, kind)

    assert sorted(wanted) == await sent_again(world.db, task.id)
    assert (3_500, 3_500, True) == (task.done, task.total, task.total_exact)


@pytest.mark.parametrize("kind", [replay, bulk_replay], ids=["missing", "sent"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE endpoint SET disabled = 1", "endpoint_disabled"),
        ("UPDATE endpoint SET deleted_at = 1", "endpoint_deleted"),
    ],
)
async def test_a_replay_fails_when_its_endpoint_no_longer_receives(
    world: World, kind: ModuleType, change: str, code: str
) -> None:
    for number in range(60):
        world.seed.message(at(5) + number, *(() if kind is replay else ((at(4), FAILED),)))
    await world.seed.write(world.db)
    async with world.working(replace(QUICK, chunk_rows=10, backlog=20)):
        task = await world.begin(*wanted_by(world, kind))
        while len(await sent_again(world.db, task.id)) < 20:
            pass
        await run_sql(world.db, change)
        await run_sql(world.db, "DELETE FROM delivery")
        ended = await until(world.db, task.id)

    assert ended.error is not None
    assert (State.FAILED, code, {"messagesSent": 20}) == (ended.state, ended.error.code, ended.counters)
    (reported,) = await world.finish_events()
    assert ("failed", 20, code) == (
        reported["status"],
        reported["data"]["messages_sent"],
        reported["data"]["error"]["code"],
    )


async def test_a_forced_resend_waits_for_a_disabled_endpoint(world: World) -> None:
    for number in range(5):
        world.seed.message(at(5) + number)
    await world.seed.write(world.db)
    await run_sql(world.db, "UPDATE endpoint SET disabled = 1")
    async with world.working():
        with pytest.raises(AppError):
            await world.begin(*wanted_by(world, replay))
        task = await world.begin(*wanted_by(world, replay, force=True))
        held = await until(world.db, task.id, State.QUEUED)
        await run_sql(world.db, "UPDATE endpoint SET disabled = 0")
        ended = await until(world.db, task.id)

    assert (0, {}) == (held.failed_attempts, held.counters)
    assert (State.SUCCEEDED, {"messagesSent": 5}) == (ended.state, ended.counters)


@pytest.mark.parametrize(
    ("since", "until_"),
    [(NOW + HOUR, None), (at(1), at(2)), (NOW + HOUR, NOW + 2 * HOUR)],
    ids=["future", "backwards", "both in the future"],
)
async def test_a_range_must_be_in_the_past_and_ordered(world: World, since: int, until_: int | None) -> None:
    with pytest.raises(AppError) as refused:
        await replayed(world, bulk_replay, since=since, until=until_)

    assert [("body", "since")] == [fault.loc for fault in refused.value.faults]


async def test_an_end_in_the_future_is_now(world: World) -> None:
    msg_id = world.seed.message(NOW - MINUTE)
    await world.seed.write(world.db)

    task = await replayed(world, replay, until=NOW + HOUR)

    assert [msg_id] == await sent_again(world.db, task.id)


async def test_every_probe_goes_through_an_index(world: World) -> None:
    for number in range(3_000):
        world.seed.message(at(9) + number, (at(9) + number, FAILED))
    await world.seed.write(world.db)
    some: dict[str, Any] = {
        "endpoint": world.seed.endpoint_id,
        "app": world.seed.app.id,
        "first": "msg_0",
        "end": "msg_z",
        "limit": 100,
        "status": 2,
        "code_from": 500,
        "code_to": 600,
    }
    ended = f"1 = 1{replays._STATUS_IS}{replays._CODES}"  # noqa: SLF001
    full = replays._LATEST.replace("{matches}", "1 = 1").replace("{ended}", ended).replace("{without}", "NULL")  # noqa: SLF001
    missing = replays._MISSING.replace("{matches}", "1 = 1")  # noqa: SLF001
    for analyzed in (False, True):
        if analyzed:
            await run_sql(world.db, "ANALYZE")
        for text in (full, missing):
            plan = await explained(world.db, text, **some)
            word = "SCAN" if world.db.dialect is Dialect.SQLITE else "Seq Scan on"
            found = plan.replace("SCAN message", "")  # the index's result keeps this alias
            for table in ("message", "attempt"):
                assert f"{word} {table}" not in found, plan
            assert "SEARCH message USING" in plan or world.db.dialect is Dialect.POSTGRESQL
