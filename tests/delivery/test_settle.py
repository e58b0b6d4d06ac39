# SPDX-License-Identifier: MIT
"""Settle with lost commit responses: each attempt is written once, with all its side effects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

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
from tidings.delivery.settle import SettleBatcher
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver
from tidings.storage.drivers.database import (
    Busy,
    Database,
    Duplicate,
    OutcomeUnknown,
    StorageError,
    Write,
)
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
