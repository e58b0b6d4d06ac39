# SPDX-License-Identifier: MIT
"""After a wall clock has jumped ahead and back, retries do not wait for the time that it showed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest_asyncio

from message_path import DAY_MS, Path, add_app, add_endpoint, running, terms
from tidings.clock import HOUR, MINUTE, SECOND, ManualClock
from tidings.core.clock_watch import ClockWatch
from tidings.core.services import HotRequest
from tidings.ids import DEFAULT_ORG
from tidings.model.message import Draft, MessageExtras
from tidings.model.throttle import SECOND_US, WINDOW_US
from tidings.storage.drivers.database import Database

NOW = 1_800_000_000_000
DELAY = 300 * SECOND
JUMP = 6 * HOUR


class WallClock(ManualClock):
    """A wall clock that can jump, beside a monotonic clock that cannot."""

    __slots__ = ("ahead",)

    def __init__(self) -> None:
        super().__init__(NOW)
        self.ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


@dataclass
class World:
    clock: WallClock
    path: Path
    app: str
    endpoint: str
    watch: ClockWatch
    looked_again: list[int]

    async def fail(self) -> str:
        """Accept a message whose first attempt fails, so that its retry is scheduled."""
        sent = await self.path.send(self.app)
        await self.path.until(f"attempt WHERE msg_id = '{sent.id}'", 1)
        await self.path.until("delivery WHERE lease IS NOT NULL", 0)
        return sent.id

    async def due(self) -> dict[str, int]:
        """Return each message's due time, in milliseconds from now."""
        rows = await self.path.rows("SELECT msg_id, due_at FROM delivery")
        return {msg_id: due_at - self.clock.now() for msg_id, due_at in rows}

    async def run(self, sql: str, **values: Any) -> None:
        async with self.path.db.write() as tx:
            await tx.run(sql, **values)


@pytest_asyncio.fixture
async def world(db: Database) -> AsyncIterator[World]:
    clock, looked = WallClock(), [0]
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, "http://127.0.0.1:9/")
    async with running(db, clock=clock, delivering=terms(schedule=(DELAY // SECOND,) * 3)) as path:

        def again() -> None:
            looked[0] += 1

        yield World(clock, path, app, endpoint, ClockWatch(db, clock, repaired=again), looked)


def is_near(expected: int, found: int) -> bool:
    """Retries are scheduled with a jitter of a fifth."""
    return 0.75 * expected <= found <= 1.25 * expected


async def test_a_retry_scheduled_by_a_fast_clock_keeps_its_delay(world: World) -> None:
    before = await world.fail()
    right = (await world.due())[before]
    world.clock.ahead = JUMP
    ahead = await world.fail()
    await world.watch.check()
    world.clock.ahead = 0
    assert (await world.due())[ahead] > JUMP

    await world.watch.check()

    due = await world.due()
    assert is_near(DELAY, due[ahead])
    assert right == due[before]
    assert [1] == world.looked_again


async def test_a_delivery_stored_by_a_fast_clock_is_due_now(world: World) -> None:
    world.clock.ahead = JUMP
    await world.watch.check()
    msg_id = await world.fail()
    await world.run("DELETE FROM attempt")
    await world.run("UPDATE delivery SET attempts = 0, due_at = :at", at=world.clock.now())
    world.clock.ahead = 0

    await world.watch.check()

    assert {msg_id: 0} == await world.due()


async def test_a_manual_send_requested_by_a_fast_clock_is_due_now_and_keeps_its_retry(world: World) -> None:
    msg_id = await world.fail()
    [(retry_at,)] = await world.path.rows("SELECT due_at FROM delivery")
    world.clock.ahead = JUMP
    await world.watch.check()
    await world.run(
        "UPDATE delivery SET manual = 1, retry_at = :retry, due_at = :at", retry=retry_at, at=world.clock.now()
    )
    world.clock.ahead = 0

    await world.watch.check()

    assert {msg_id: 0} == await world.due()
    assert [(retry_at,)] == await world.path.rows("SELECT retry_at FROM delivery")


async def test_a_deferred_delivery_stays_deferred(world: World) -> None:
    world.clock.ahead = JUMP
    await world.watch.check()
    deliver_at = world.clock.now() + HOUR
    draft = Draft("a.b", b"{}", None, None, DAY_MS, MessageExtras(None, deliver_at, is_raw=False))
    await world.path.accept.accept(HotRequest(DEFAULT_ORG, world.app, None), draft)
    world.clock.ahead = 0

    await world.watch.check()

    assert [(deliver_at,)] == await world.path.rows("SELECT due_at FROM delivery")


async def test_limits_do_not_wait_for_the_time_of_a_fast_clock(world: World) -> None:
    far = world.clock.now() + JUMP
    await world.run(
        "INSERT INTO throttle (key, tat_us, limited_since) VALUES ('e', :tat, :far)", tat=far * 1_000, far=far
    )
    world.clock.ahead = JUMP
    await world.watch.check()
    world.clock.ahead = 0

    await world.watch.check()

    now = world.clock.now()
    assert [(now * (SECOND_US // SECOND) + WINDOW_US, now)] == await world.path.rows(
        "SELECT tat_us, limited_since FROM throttle"
    )


async def test_a_clock_that_is_slewed_reschedules_nothing(world: World) -> None:
    msg_id = await world.fail()
    await world.run("UPDATE delivery SET due_at = :at", at=NOW + JUMP)
    for _ in range(10):
        world.clock.advance(MINUTE)
        world.clock.ahead -= SECOND // 2
        await world.watch.check()

    assert [0] == world.looked_again
    assert await world.path.rows("SELECT msg_id, due_at FROM delivery") == [(msg_id, NOW + JUMP)]
