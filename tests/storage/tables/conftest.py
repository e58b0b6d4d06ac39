# SPDX-License-Identifier: MIT
"""A connection to a database with adverse statistics."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from postgres import Server
from storage.tables.plan_states import ALL_TABLES, STATES
from tidings.storage.drivers import postgres_connect


@pytest_asyncio.fixture(params=STATES)
async def adverse(
    request: pytest.FixtureRequest, postgres_cluster: Server, postgres_template: str
) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection like the service's to a database with adverse statistics, which stay as they are."""
    name = postgres_cluster.create_database(template=postgres_template)
    made = await asyncpg.connect(postgres_cluster.dsn(name), server_settings=postgres_connect.SESSION)
    try:
        for table in ALL_TABLES:
            leaf = f"{table}_default" if table in ("message", "attempt") else table
            await made.execute(f"ALTER TABLE {leaf} SET (autovacuum_enabled = off)")
        await STATES[request.param](made)
        await made.execute("SET plan_cache_mode = force_generic_plan")
        yield made
    finally:
        await made.close()
        postgres_cluster.drop_database(name)
