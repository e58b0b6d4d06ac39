# SPDX-License-Identifier: MIT
"""`tidings` with one fault: deliveries are written after the response, in a transaction of their own.

It replaces `python -m tidings` in the test that must fail with it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from tidings.cli.main import main
from tidings.core.accept import AcceptBatcher
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import intake

LATE_SECONDS = 0.05

add = intake.add_deliveries
make = AcceptBatcher.__init__
databases: list[Database] = []
writing: set[asyncio.Task[None]] = set()


def made(self: AcceptBatcher, db: Database, *rest: Any) -> None:
    databases.append(db)
    make(self, db, *rest)


async def write(rows: Sequence[Any]) -> None:
    await asyncio.sleep(LATE_SECONDS)
    async with databases[0].write() as tx:
        await add(tx, rows)


async def add_late(tx: Write, rows: Sequence[Any]) -> None:
    def begin() -> None:
        task = asyncio.create_task(write(rows))
        writing.add(task)
        task.add_done_callback(writing.discard)

    tx.after_commit(begin)


if __name__ == "__main__":
    AcceptBatcher.__init__ = made  # type: ignore[assignment,method-assign]
    intake.add_deliveries = add_late
    main()
