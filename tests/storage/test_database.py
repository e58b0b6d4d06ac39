# SPDX-License-Identifier: MIT
"""What both databases do alike with the statements that they are given."""

from tidings.storage import settlement
from tidings.storage.database import Database


async def test_there_may_be_nothing_to_write(db: Database) -> None:
    async with db.write() as tx:
        await settlement.note_delivered(tx, [])
        await settlement.add_attempts(tx, [])
