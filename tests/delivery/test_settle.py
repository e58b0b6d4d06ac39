# SPDX-License-Identifier: MIT
"""Settle with lost commit responses: each attempt is written once, with all its side effects."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from database_proxy import DatabaseProxy
from delivery.recorder import Recorder
from delivery.test_refresh import receiver
from delivery.test_role import Door
from message_path import add_app, add_endpoint, running, terms
from tidings import ids
from tidings.clock import SystemClock
from tidings.core.health_recorder import HealthRecorder
from tidings.delivery.outcome import SendResult
from tidings.delivery.settle import BatchSize, SettleBatcher
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver
from tidings.storage.drivers.database import (
    Busy,
    Database,
    Duplicate,
    OutcomeUnknown,
    StorageError,
    Table,
    Value,
    Write,
)
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables.settlement import AttemptRow


class Shaky(DatabaseProxy):
    """A database that fails its next commits: before the commit, or after it if its outcome must be unknown."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.errors: list[type[StorageError]] = []
        self.open = asyncio.Event()
        """Set while background transactions may begin."""
        self.open.set()
        self.background_writes = 0

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        error: type[StorageError] | None = None
        if options.get("background"):
            self.background_writes += 1
            await self.open.wait()
        async with self.db.write(**options) as tx:
            yield tx
            error = self.errors.pop(0) if self.errors else None
            if error is not None and error is not OutcomeUnknown:
                raise error
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("count", "errors"),
    [
        (1, (OutcomeUnknown,)),
        (1, (Busy, OutcomeUnknown)),
        (1, (Busy, Busy)),
        (1, (OutcomeUnknown, Duplicate)),
        (1, (OutcomeUnknown, StorageError)),
        # The batch is split, and each half finds that it is already written.
        (8, (OutcomeUnknown, StorageError, StorageError)),
        (8, (OutcomeUnknown, Duplicate, Duplicate)),
    ],
)
async def test_each_sent_delivery_is_written_once(
    db: Database, count: int, errors: tuple[type[StorageError], ...], caplog: pytest.LogCaptureFixture
) -> None:
    app = await add_app(db)
    shaky = Shaky(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.status = 500
        door.open.clear()

        async with running(shaky, delivering=terms()) as path:
            accepted = [each.id for each in await asyncio.gather(*(path.send(app) for _ in range(count)))]
            shaky.errors.extend(errors)
            door.open.set()
            await path.until("delivery", 0)
            attempts = await path.rows("SELECT msg_id FROM attempt")
            events = await path.rows("SELECT type FROM operational_event")

    assert shaky.errors == []
    assert [record for record in caplog.records if "message_id" in vars(record).get("fields", {})] == []
    assert sorted(each.lower() for each in accepted) == sorted(door.seen)
    assert sorted((each,) for each in accepted) == sorted(attempts)
    assert [kind for (kind,) in events].count("message.attempt.exhausted") == count


def outcome(to: Receiver) -> SendResult:
    now = SystemClock().now()
    send = Delivery(to, ids.new(ids.MESSAGE, now), b"{}", 1, 0.0)
    attempt = AttemptRow.of(
        send, ids.new(ids.ATTEMPT, now), delivered=True, code=200, response="ok", duration_ms=1, next_at=None
    )
    return SendResult(send, attempt, delivered=True)


async def test_attempts_that_end_before_the_batch_begins_are_written_with_it(db: Database) -> None:
    shaky = Shaky(db)
    shaky.open.clear()
    settler = SettleBatcher(shaky, SystemClock(), HealthRecorder(1_000), Recorder())
    to = receiver("ep_1")

    settler.add(outcome(to))
    async with asyncio.timeout(30):
        while not shaky.background_writes:  # noqa: ASYNC110 - the batch begins by itself
            await asyncio.sleep(0)
    for _ in range(7):
        settler.add(outcome(to))
    shaky.open.set()
    await settler.close()

    async with db.read() as read:
        assert (await read.one("SELECT count(*) AS n FROM attempt"))["n"] == 8
    assert shaky.background_writes == 1


class Limited:
    """A transaction that is out of time when it gets more than a few attempts."""

    def __init__(self, tx: Write, sizes: list[int]) -> None:
        self._tx = tx
        self._sizes = sizes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def add(self, table: Table, rows: Sequence[Sequence[Value]]) -> None:
        self._sizes.append(len(rows))
        if len(rows) > FEW:
            raise Busy("canceling statement due to statement timeout")
        await self._tx.add(table, rows)


class Slow(DatabaseProxy):
    """A database in which large batches run into the time limit of a statement."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.sizes: list[int] = []

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        async with self.db.write(**options) as tx:
            yield cast("Write", Limited(tx, self.sizes))


FEW, MANY = 3, 40


async def test_a_batch_that_runs_into_a_time_limit_is_written_in_parts(db: Database) -> None:
    """Repeated as a whole, it would never be written, and no other one after it."""
    slow = Slow(db)
    patient = DeliveryTuning(settle_longest_pause_seconds=30.0)  # of the stop
    settler = SettleBatcher(slow, SystemClock(), HealthRecorder(1_000), Recorder(), patient)
    for _ in range(MANY):
        settler.add(outcome(receiver("ep_1")))
    await settler.close()

    async with db.read() as read:
        assert (await read.one("SELECT count(*) AS n FROM attempt"))["n"] == MANY
    assert sum(size for size in slow.sizes if size <= FEW) == MANY
    assert slow.sizes[:2] == [MANY, MANY // 2]
    assert len([size for size in slow.sizes if size > FEW]) < MANY // FEW + 2


def test_batches_are_small_after_a_time_limit_and_grow_with_each_success() -> None:
    size = BatchSize(500)

    size.reduce(100)
    assert (size.most, size.is_reduced) == (50, True)
    size.reduce(7)
    assert size.most == 3
    found = []
    while size.is_reduced:
        size.grow()
        found.append(size.most)
    assert found[:9] == [4, 5, 6, 7, 8, 10, 12, 15, 18]
    assert found[-2:] == [457, 500]
    size.reduce(0)  # no result was taken yet
    assert size.most == 250


_OUT_OF_TIME = f"""
CREATE FUNCTION out_of_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF current_setting('plan_cache_mode') <> 'force_custom_plan' OR (SELECT count(*) FROM added) > {2 * FEW} THEN
    RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = 'query_canceled';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER out_of_time AFTER INSERT ON attempt REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION out_of_time();
"""


async def test_a_small_batch_that_runs_into_a_time_limit_is_planned_anew_in_transactions(postgres_dsn: str) -> None:
    """The limit is that of the server; it stands for a plan that reads too much."""
    db = await opened(postgres_dsn)
    await migrate(db)
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        async with db.write() as tx:
            for statement in _OUT_OF_TIME.split(";\nCREATE TRIGGER"):
                await tx.run(statement if statement.lstrip().startswith("CREATE F") else f"CREATE TRIGGER{statement}")
        door.open.clear()
        async with running(db, delivering=terms()) as path:
            await asyncio.gather(*(path.send(app) for _ in range(4 * FEW)))
            door.open.set()
            await path.until("delivery", 0)
            assert await path.count("attempt") == 4 * FEW
    await db.close()
