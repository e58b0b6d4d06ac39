# SPDX-License-Identifier: MIT
"""A world on each database."""

import pytest_asyncio

from tasks.world import World, a_world
from tidings.storage.drivers.database import Database


@pytest_asyncio.fixture
async def world(db: Database) -> World:
    return await a_world(db)
