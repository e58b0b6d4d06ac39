# SPDX-License-Identifier: MIT
"""A database with a services, for tests of the engine."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tasks.forge import Forge
from tasks.kit import Scene, database, services_of


@pytest.fixture
async def scene(migrated_url: str) -> AsyncIterator[Scene]:
    async with database(migrated_url) as db:
        yield Scene(db, services_of(db))


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    """Give what starts worker processes."""
    with Forge() as forge:
        yield forge
