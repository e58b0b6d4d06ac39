# SPDX-License-Identifier: MIT
"""Settle over a database whose answers get lost: what was sent is written once, with everything that goes with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from delivery.test_role import Door
from message_path import add_app, add_endpoint, running, terms
from tidings.storage.database import Busy, Database, Dialect, Duplicate, OutcomeUnknown, Read, StorageError, Write


@dataclass
class Shaky:
    """A database that has an error ready for each of the next commits: after it, if its outcome is to be unknown."""

    db: Database
    errors: list[type[StorageError]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dialect: Dialect = self.db.dialect

    @asynccontextmanager
    async def write(
        self, *, gate: int | None = None, lock_ms: int = 1_000, patient: bool = False, synced: bool = True
    ) -> AsyncIterator[Write]:
        error: type[StorageError] | None = None
        async with self.db.write(gate=gate, lock_ms=lock_ms, patient=patient, synced=synced) as tx:
            yield tx
            error = self.errors.pop(0) if self.errors else None
            if error is not None and error is not OutcomeUnknown:
                raise error
        if error is not None:
            raise error

    @property
    def is_wanted(self) -> bool:
        return self.db.is_wanted

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Read]:
        async with self.db.read() as read:
            yield read

    async def close(self) -> None:
        await self.db.close()


@pytest.mark.parametrize(
    "errors", [(OutcomeUnknown,), (Busy, OutcomeUnknown), (Busy, Busy), (OutcomeUnknown, Duplicate)]
)
async def test_what_was_sent_is_written_once(
    db: Database, errors: tuple[type[StorageError], ...], caplog: pytest.LogCaptureFixture
) -> None:
    app = await add_app(db)
    shaky = Shaky(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.status = 500
        door.open.clear()

        async with running(shaky, delivering=terms()) as path:
            accepted = await path.send(app)
            shaky.errors.extend(errors)
            door.open.set()
            await path.until("delivery", 0)
            await path.until("attempt", 1)
            told = await path.rows("SELECT type FROM operational_event")

    assert shaky.errors == []
    assert [record.args for record in caplog.records if "msg_" in str(record.args)] == []
    assert door.seen == [accepted.id.lower()]
    assert [kind for (kind,) in told].count("message.attempt.exhausted") == 1
