# SPDX-License-Identifier: MIT
"""Daily partitions: made ahead, and no obstacle where they cannot be."""

from tidings import ids
from tidings.clock import DAY
from tidings.storage import partitions
from tidings.storage.migrate import migrate
from tidings.storage.store import opened

NOW = 1_790_000_000_000
NAMES = "SELECT count(*) AS n FROM pg_class WHERE relispartition AND relkind = 'r' AND relname NOT LIKE '%default'"
ADD = """
INSERT INTO message (id, app_id, org_id, event_type, payload) VALUES (:id, 'app_x', 'org_x', 'a', CAST('x' AS bytea))
"""


async def test_the_days_to_come_are_made_once(postgres_dsn: str) -> None:
    db = await opened(postgres_dsn)
    await migrate(db)

    first = await partitions.make_ahead(db, NOW)
    again = await partitions.make_ahead(db, NOW)
    async with db.write() as tx:
        await tx.run(ADD, id=ids.new(ids.MESSAGE, NOW))
        where = await tx.one("SELECT CAST(tableoid AS regclass) AS name FROM message")

    await db.close()
    assert (first, again) == (6, 0) or (first, again) == (8, 0)
    assert "default" not in str(where["name"])


async def test_a_day_that_is_in_the_default_partition_stays_there_and_the_next_is_made(postgres_dsn: str) -> None:
    db = await opened(postgres_dsn)
    await migrate(db)
    async with db.write() as tx:
        await tx.run(ADD, id=ids.new(ids.MESSAGE, NOW))

    made = await partitions.make_ahead(db, NOW)
    async with db.read() as read:
        there = (await read.one(NAMES))["n"]
    await db.close()

    assert 0 < made == there
    assert await _none_left(postgres_dsn, NOW + DAY)


async def _none_left(dsn: str, moment: int) -> bool:
    """Tell whether the days from a moment on have been made as far as they can be."""
    db = await opened(dsn)
    made = await partitions.make_ahead(db, moment)
    await db.close()
    return made <= 2
