# SPDX-License-Identifier: MIT
"""A database with its services, for tests of the engine."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tasks.kit import Environment, database, services_of
from tasks.process_pool import ProcessPool


@pytest.fixture
async def env(migrated_url: str) -> AsyncIterator[Environment]:
    async with database(migrated_url) as db:
        yield Environment(db, services_of(db))


@pytest.fixture(scope="session")
def pool() -> Iterator[ProcessPool]:
    """Return the pool of worker processes."""
    with ProcessPool() as pool:
        yield pool
