# SPDX-License-Identifier: MIT
"""Both databases treat statements alike."""

from tidings.storage import settlement
from tidings.storage.database import Database


async def test_there_may_be_nothing_to_write(db: Database) -> None:
    async with db.write() as tx:
        await settlement.note_delivered(tx, [])
        await settlement.add_attempts(tx, [])
