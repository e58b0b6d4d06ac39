# SPDX-License-Identifier: MIT
"""Both databases treat statements alike."""

from tidings.storage.drivers.database import Database
from tidings.storage.tables import settlement


async def test_an_empty_batch_is_written(db: Database) -> None:
    async with db.write() as tx:
        await settlement.note_delivered(tx, [])
        await settlement.add_attempts(tx, [])
