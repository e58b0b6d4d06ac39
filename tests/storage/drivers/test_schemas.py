# SPDX-License-Identifier: MIT
"""The tables of an installation are in its schema (db_schema), whatever else the database holds."""

import re

import asyncpg
import pytest

from storage.drivers.pooler import Pooler
from tidings.clock import SystemClock
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Busy, Database, SchemaError
from tidings.storage.drivers.migrations import known_migrations, migrate, require_current
from tidings.storage.drivers.store import opened
from tidings.storage.tables import nodes, tasks

NAMES = ("hooks", 'Od d"name; --', "select", "größe", "a,b")
TABLES = "SELECT nspname AS name, count(*) AS n FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
KINDS = " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' GROUP BY 1"


async def relations(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    found = {row["name"]: row["n"] for row in await connection.fetch(TABLES + KINDS)}
    await connection.close()
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_all_tables_functions_and_partitions_are_in_the_schema(postgres_dsn: str, name: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE TABLE message (id int); CREATE TABLE schema_migration (id int)")
    await connection.close()
    db = await opened(postgres_dsn, schema=name)

    assert list(known_migrations()) == await migrate(db)

    assert 4 == await store.create_partitions(db, SystemClock().now())
    async with db.write() as tx:
        await tx.run("INSERT INTO setting (name, value) VALUES ('a', 'b')")
        [row] = await tx.rows(
            "SELECT nspname FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace WHERE proname = 'accept_batch'"
        )
    assert name == row["nspname"]
    assert 4 == await store.drop_empty_partitions(db, SystemClock().now() + 10 * store.WEEK)
    await db.close()
    assert {"public": 2, name: 1} == {
        each: min(n, 2 if each == "public" else 1) for each, n in (await relations(postgres_dsn)).items()
    }
    again = await opened(postgres_dsn, schema=name)
    await require_current(again)
    await again.close()


async def test_installations_in_two_schemas_share_no_lock(postgres_dsn: str) -> None:
    one, two = [await _installed(postgres_dsn, name) for name in ("one", "two")]
    async with one.write(advisory_lock=tasks.CLAIM_LOCK):
        async with two.write(advisory_lock=tasks.CLAIM_LOCK, lock_ms=100):
            pass
        with pytest.raises(Busy):
            async with one.write(advisory_lock=tasks.CLAIM_LOCK, lock_ms=100):
                pass
    await one.close()
    await two.close()


async def test_a_node_is_alive_in_its_own_schema_only(postgres_dsn: str) -> None:
    one, two = [await _installed(postgres_dsn, name) for name in ("one", "two")]
    lock = nodes.liveness_lock(one, 7, "worker")
    assert lock is not None
    await lock.ensure(is_known=False)
    async with two.write() as tx:
        await tx.run("INSERT INTO node (id, worker, release) VALUES (7, 'of two', '0')")

    lost = {}
    for name, db in (("one", one), ("two", two)):
        async with db.read() as read:
            lost[name] = (await nodes.heartbeat(read, since=0, node=8, keys_since=0)).lost

    assert {"one": {}, "two": {7: "of two"}} == lost
    await lock.release()
    await one.close()
    await two.close()


async def _installed(url: str, schema: str) -> Database:
    db = await opened(url, schema=schema)
    await migrate(db)
    return db


async def test_the_setting_wins_over_a_search_path_in_the_url(postgres_dsn: str) -> None:
    db = await opened(f"{postgres_dsn}?search_path=public", schema="hooks")
    await migrate(db)
    await db.close()

    assert "hooks" in await relations(postgres_dsn)


async def test_behind_a_pooler_the_command_of_the_error_message_sets_the_schema(postgres_dsn: str) -> None:
    name = 'Od d"name'
    async with Pooler(postgres_dsn) as pooler:
        with pytest.raises(SchemaError) as caught:
            await opened(pooler.dsn, pgbouncer=True, schema=name)
    command = re.search(r"ALTER ROLE .*?;", str(caught.value))
    assert command is not None
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(command[0])
    await connection.close()

    async with Pooler(postgres_dsn) as pooler:
        db = await opened(pooler.dsn, pgbouncer=True, schema=name)
        await migrate(db)
        assert db.keeps_sessions is False
        await db.close()

    assert {name} == set(await relations(postgres_dsn))
