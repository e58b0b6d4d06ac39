# SPDX-License-Identifier: MIT
"""A database with a desk, for tests of the engine."""

from collections.abc import AsyncIterator

import pytest

from tasks.kit import Scene, database, desk_of


@pytest.fixture
async def scene(migrated_url: str) -> AsyncIterator[Scene]:
    async with database(migrated_url) as db:
        yield Scene(db, desk_of(db))
