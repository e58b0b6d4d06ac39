# SPDX-License-Identifier: MIT
"""Behind a transaction pooler the service needs no setting: it detects the pooler by a refused startup parameter."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from logged import text_of
from storage.drivers.pooler import Pooler
from tidings import dsn
from tidings.storage.drivers.database import Unavailable
from tidings.storage.drivers.postgres import PostgresDatabase
from tidings.storage.drivers.store import migrate

CONNECTIONS = 3


@pytest_asyncio.fixture
async def pooler(postgres_dsn: str) -> AsyncIterator[Pooler]:
    async with Pooler(postgres_dsn) as running:
        yield running


async def used(db: PostgresDatabase) -> None:
    """Migrate, write and read on several connections at once, each of which alternates between two sessions."""
    await migrate(db)
    async with db.read() as read:
        sessions = {(await read.one("SELECT pg_backend_pid() AS pid"))["pid"] for _ in range(4)}
    assert 2 == len(sessions)

    async def change(number: int) -> None:
        async with db.write() as tx:
            await tx.run("INSERT INTO setting (name, value) VALUES (:name, 'a')", name=f"n{number}")
            await tx.run("UPDATE setting SET value = 'b' WHERE name = :name", name=f"n{number}")
        async with db.read() as read:
            for _ in range(3):
                assert (await read.one("SELECT value FROM setting WHERE name = :name", name=f"n{number}"))[
                    "value"
                ] == "b"

    await asyncio.gather(*[change(number) for number in range(4 * CONNECTIONS)])


async def test_a_pooler_that_refuses_startup_parameters_is_used_without_them(
    pooler: Pooler, caplog: pytest.LogCaptureFixture
) -> None:
    db = await PostgresDatabase.open(dsn.postgres(pooler.dsn), connections=CONNECTIONS)
    try:
        assert not db.keeps_sessions
        await used(db)
    finally:
        await db.close()

    assert 1 == len(pooler.refused), "the other connections know"
    assert {""} == pooler.statements
    assert pooler.accepted > 1
    assert 1 == text_of(caplog).count("TIDINGS_DB_PGBOUNCER=true")


async def test_a_configured_pooler_gets_no_startup_parameters(pooler: Pooler, caplog: pytest.LogCaptureFixture) -> None:
    db = await PostgresDatabase.open(dsn.postgres(pooler.dsn), connections=CONNECTIONS, pgbouncer=True)
    try:
        await used(db)
    finally:
        await db.close()

    assert [] == pooler.refused
    assert {""} == pooler.statements
    assert "PGBOUNCER" not in text_of(caplog)


async def test_an_error_names_the_url_parameter_that_the_pooler_refuses(pooler: Pooler) -> None:
    url = f"{pooler.dsn}?options=-c%20geqo%3Doff"

    with pytest.raises(Unavailable, match="unsupported startup parameter: options"):
        await PostgresDatabase.open(dsn.postgres(url))

    assert 2 == len(pooler.refused)
