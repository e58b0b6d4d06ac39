# SPDX-License-Identifier: MIT
"""An unresponsive endpoint with a hundred thousand due retries does not delay a healthy one.

The healthy endpoint gets a steady two hundred messages per second. The test measures each message's latency from
acceptance to arrival, without and with the dead endpoint, in alternate rounds on two databases: filling one database
and emptying it again would disturb the next round. The median of the rounds decides, so that a round during which the
machine stalled does not.
"""

import asyncio
import logging
import socket
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from delivery.test_role import Door
from message_path import Path, add_app, add_endpoint, running, terms
from tidings import ids
from tidings.clock import DAY, SystemClock
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.database import Database, Sql
from tidings.storage.drivers.store import migrate, opened

DUE = 100_000
RATE = 200
SECONDS = 3.0
WARM_SECONDS = 1.0
"""The time at the start of a round for connecting, and for the dead endpoint's first timeouts."""
ROUNDS = 8
WORSE_AT_MOST = 1.2
"""The factor by which the dead endpoint may raise the 99th percentile."""
NOISE_SECONDS = 0.002
"""The difference of two equal rounds on a busy machine."""

_MESSAGES = Sql(
    sqlite=(
        "INSERT INTO message (id, app_id, org_id, event_type, payload, expires_at) VALUES (?, ?, ?, 'a.b', x'7b7d', ?)"
    ),
    postgresql=(
        "INSERT INTO message (id, app_id, org_id, event_type, payload, expires_at)"
        " SELECT m, a, o, 'a.b', '\\x7b7d', e FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])"
        " AS t(m, a, o, e)"
    ),
)
_DUE = Sql(
    sqlite=("INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, attempts) VALUES (?, ?, ?, ?, ?, 1)"),
    postgresql=(
        "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, attempts)"
        " SELECT m, e, a, o, d, 1 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])"
        " AS t(m, e, a, o, d)"
    ),
)


class ArrivalReceiver(Door):
    """A receiver that records each message's first arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[str, float] = {}
        self.seen = _ArrivalTimes(self.came)


class _ArrivalTimes(list[str]):
    def __init__(self, came: dict[str, float]) -> None:
        super().__init__()
        self._came = came

    def append(self, item: str, /) -> None:
        self._came.setdefault(item, time.perf_counter())
        super().append(item)


@contextmanager
def unresponsive_address() -> Iterator[str]:
    """Give an address at which the kernel accepts connections and no program responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


async def add_due_retries(db: Database, app: str, endpoint: str, count: int) -> None:
    """Make retries due."""
    now = SystemClock().now()
    for start in range(0, count, 10_000):
        made = [ids.new(ids.MESSAGE, now - 60_000) for _ in range(min(10_000, count - start))]
        async with db.write() as tx:
            await tx.bulk(_MESSAGES, [(msg_id, app, DEFAULT_ORG, now + DAY) for msg_id in made])
            await tx.bulk(_DUE, [(msg_id, endpoint, app, DEFAULT_ORG, now - 1_000) for msg_id in made])


async def p99(path: Path, app: str, door: ArrivalReceiver) -> float:
    """Send at a steady pace; return the 99th percentile of the time from acceptance to arrival."""
    began: dict[str, float] = {}

    async def one() -> None:
        at = time.perf_counter()
        began[(await path.send(app)).id.lower()] = at

    start, sending = time.perf_counter(), []
    for number in range(int(RATE * SECONDS)):
        await asyncio.sleep(max(0.0, start + number / RATE - time.perf_counter()))
        sending.append(asyncio.ensure_future(one()))
    await asyncio.gather(*sending)
    while any(msg_id not in door.came for msg_id in began):  # noqa: ASYNC110 - the receiver offers no event
        await asyncio.sleep(0.01)
    taken = sorted(door.came[msg_id] - at for msg_id, at in began.items() if at > start + WARM_SECONDS)
    return taken[int(len(taken) * 0.99)]


@asynccontextmanager
async def databases_of_one_kind(db: Database, url: str) -> AsyncIterator[tuple[Database, Database]]:
    """Give an empty database and the database of the test, both of the same kind."""
    other = await opened(url)
    try:
        await migrate(other)
        yield other, db
    finally:
        await other.close()


@pytest.mark.chaos
@pytest.mark.timeout(360)
@pytest.mark.parametrize("manner", ["refuses", "hangs"])
async def test_a_dead_endpoint_with_many_due_retries_does_not_delay_a_healthy_one(
    db: Database, database_url: str, manner: str
) -> None:
    bounds = terms(timeout=20.0, lease_grace=25.0, concurrency=100, memory=10_000, schedule=(0, 3_600))
    rounds: tuple[list[float], list[float]] = ([], [])

    async with databases_of_one_kind(db, database_url) as both, ArrivalReceiver() as door:
        apps = [await add_app(each) for each in both]
        for each, app in zip(both, apps, strict=True):
            await add_endpoint(each, app, door.url)
        with unresponsive_address() as nowhere:
            other = await add_app(db)
            dead = await add_endpoint(db, other, nowhere if manner == "hangs" else "http://127.0.0.1:9/")
            await add_due_retries(db, other, dead, DUE)
            for _ in range(ROUNDS):
                for each, app, taken in zip(both, apps, rounds, strict=True):
                    async with running(each, delivering=bounds) as path:
                        taken.append(await p99(path, app, door))
                        tried = await path.count("attempt WHERE status = 2")
                        left = await path.count("delivery WHERE attempts = 1 AND lease IS NULL")

    alone, beside = map(statistics.median, rounds)
    summary = f"{manner}: p99 {alone * 1e3:.2f} ms alone, {beside * 1e3:.2f} ms beside"
    logging.getLogger(__name__).info("%s: %s; %d tried; %s", db.dialect.value, summary, tried, rounds)
    assert beside <= alone * WORSE_AT_MOST + NOISE_SECONDS, summary
    assert left > DUE / 2, "too few were due for long"
