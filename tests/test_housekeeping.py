# SPDX-License-Identifier: MIT
"""What a node deletes without being asked."""

import asyncio
from pathlib import Path

from core.test_message_retention import KEPT_FOR, NOW, OLD, add, left
from tasks.kit import database
from tasks.seed_data import an_endpoint
from tidings.clock import DAY, HOUR, ManualClock
from tidings.core.notifier import Notifier
from tidings.model.encryption import Encryption
from tidings.server.housekeeping import Housekeeping


async def test_old_messages_are_deleted_soon_after_the_start_of_a_node(tmp_path: Path) -> None:
    async with database(f"sqlite:///{tmp_path}/a.db") as db:
        seed = await an_endpoint(db, OLD - DAY)
        await add(db, seed, OLD - HOUR)
        young = await add(db, seed, OLD)
        work = Housekeeping(db, ManualClock(NOW), Notifier(), Encryption(None), KEPT_FOR)
        running = asyncio.create_task(work.run_hourly())
        try:
            async with asyncio.timeout(30):
                while (await left(db))["message"] != {young}:
                    pass  # each look is a query, which lets the work go on
        finally:
            running.cancel()
