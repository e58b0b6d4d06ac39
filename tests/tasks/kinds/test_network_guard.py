# SPDX-License-Identifier: MIT
"""Kinds of tasks only write rows: they open no connection, resolve no name and start no other program."""

from tasks.kinds.cases import CASES
from tasks.kinds.chaos_driver import chaos_run
from tasks.kit import database, new_task, rows, services_of, start
from tasks.process_pool import ProcessPool

GUARDED = "tasks.kinds.network_guard:main"


async def test_no_kind_uses_the_network(pool: ProcessPool, migrated_sqlite_url: str) -> None:
    async with chaos_run(pool, migrated_sqlite_url, list(CASES), tasks=1, items=6) as chaos:
        with pool.started(GUARDED, migrated_sqlite_url) as child:
            assert await child.ended() == 0
        async with chaos.looking() as db:
            assert [("succeeded", len(CASES))] == await rows(db, "SELECT state, count(*) FROM task GROUP BY state")


async def test_network_access_is_caught(pool: ProcessPool, migrated_sqlite_url: str) -> None:
    async with database(migrated_sqlite_url) as db:
        await start(services_of(db), new_task(10))
    with pool.started("tasks.kinds.network_guard:connecting", migrated_sqlite_url) as child:
        assert await child.ended() == 1
