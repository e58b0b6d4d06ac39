# SPDX-License-Identifier: MIT
"""Kinds of tasks write rows and nothing else: no connection, no look-up of a name, no other program."""

from tasks.forge import Forge
from tasks.kinds.cases import CASES
from tasks.kinds.havoc import staged
from tasks.kit import database, new_task, rows, services_of, start

GUARDED = "tasks.kinds.guarded:main"


async def test_no_kind_talks_to_anybody(forge: Forge, migrated_sqlite_url: str) -> None:
    async with staged(forge, migrated_sqlite_url, list(CASES), tasks=1, items=6) as stage:
        with forge.started(GUARDED, migrated_sqlite_url) as child:
            assert await child.ended() == 0
        async with stage.looking() as db:
            assert [("succeeded", len(CASES))] == await rows(db, "SELECT state, count(*) FROM task GROUP BY state")


async def test_one_that_does_is_heard(forge: Forge, migrated_sqlite_url: str) -> None:
    async with database(migrated_sqlite_url) as db:
        await start(services_of(db), new_task(10))
    with forge.started("tasks.kinds.guarded:talkative", migrated_sqlite_url) as child:
        assert await child.ended() == 1
