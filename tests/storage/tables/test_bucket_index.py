# SPDX-License-Identifier: MIT
"""Each message and attempt has its bucket index entries, which cause no lock waits and are deleted with it."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import replace

import asyncpg
import pytest

from message_path import add_app, add_endpoint
from tidings import dsn, ids
from tidings.clock import DAY, HOUR, SystemClock
from tidings.core import wiping
from tidings.ids import DEFAULT_ORG, AppId, EndpointId, MessageId, timestamp_of
from tidings.model.attempt import AttemptFilter, DeliveryEnd, MessageStatus, StatusCodeClass
from tidings.model.message import AcceptedMessage, MessageExtras, MessageFilter
from tidings.model.page import Cursor, Order
from tidings.storage import lists
from tidings.storage.drivers.database import Database, Dialect, ListTuning, StorageTuning, Unavailable
from tidings.storage.drivers.postgres import PostgresDatabase
from tidings.storage.tables import intake, settlement
from tidings.storage.tables.bucket_index import BucketIndexCache
from tidings.storage.tables.settlement import AttemptRow

APP = "app_" + "1" * 27
NOW = SystemClock().now()
FAIL = MessageStatus.FAIL


def message(app: str = APP, timestamp: int = NOW) -> AcceptedMessage:
    """Create a message with one of each indexed value."""
    extras = MessageExtras(tags=("t",))
    new = ids.new(ids.MESSAGE, timestamp)
    return AcceptedMessage(MessageId(new), AppId(app), DEFAULT_ORG, "a.b", b"{}", channels=("c",), extras=extras)


def failed(made: AcceptedMessage, endpoint: str, timestamp: int) -> AttemptRow:
    """Create a failed attempt."""
    new = ids.new(ids.ATTEMPT, timestamp)
    who = (made.id, new, endpoint, made.app_id, DEFAULT_ORG, "u")
    return AttemptRow(*who, 2, 500, "", 1, 0, ended=DeliveryEnd.EXHAUSTED)


async def counted(db: Database) -> Counter[str]:
    async with db.read() as read:
        return Counter(row["name"] for row in await read.rows("SELECT name FROM bucket_index"))


async def found(db: Database, app: str, **asked: object) -> list[str]:
    wanted = MessageFilter(**asked)  # type: ignore[arg-type]
    async with db.read() as read:
        window = Cursor(Order.DESCENDING, 10).window_in_time(ids.MESSAGE, NOW)
        return [each.id for each in await lists.page_of_messages(read, AppId(app), window, wanted)]


async def test_a_cached_entry_is_not_written_again(db: Database) -> None:
    cache = BucketIndexCache()
    async with db.write() as tx:
        await intake.add(tx, [message()], cache)
    async with db.write() as tx:
        await tx.run("DELETE FROM bucket_index")  # so that a second write would show
        await intake.add(tx, [message()], cache)

    assert {} == await counted(db)


async def test_an_entry_is_cached_once_it_is_committed(db: Database) -> None:
    cache, kept = BucketIndexCache(), message()

    with contextlib.suppress(ZeroDivisionError):
        async with db.write() as tx:
            await intake.add(tx, [message()], cache)
            raise ZeroDivisionError
    async with db.write() as tx:
        await intake.add(tx, [kept], cache)

    assert {"e" + "a.b": 1, 'c"c"': 1, 't"t"': 1} == await counted(db)
    for asked in ({"event_types": ("a.b",)}, {"channel": "c"}, {"tag": "t"}):
        assert [kept.id] == await found(db, APP, **asked)


async def end_connections(dsn: str) -> None:
    """End every server connection to a database, as a failover does."""
    other = await asyncpg.connect(dsn)
    sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"
    await other.fetch(sql, other.get_server_pid())
    await other.close()


async def written(db: Database, cache: BucketIndexCache) -> None:
    """Write a message and an attempt; retry once if the first try met a connection that had ended."""
    endpoint, made = "ep_" + "1" * 27, message()
    attempt = failed(made, endpoint, NOW)
    for _ in range(2):
        with contextlib.suppress(Unavailable):
            async with db.write() as tx:
                await intake.add(tx, [made], cache)
                await settlement.add_attempts(tx, [attempt], cache)
            return


async def test_a_new_connection_generation_writes_its_entries_again(db: Database, migrated_url: str) -> None:
    if db.dialect is not Dialect.POSTGRESQL:
        pytest.skip("SQLite has no connections to lose")
    cache = BucketIndexCache()
    await written(db, cache)
    async with db.write() as tx:
        await tx.run("DELETE FROM bucket_index")  # the commits that the server lost in its failover
    await end_connections(migrated_url)

    await written(db, cache)

    assert 4 == sum((await counted(db)).values())


async def test_no_entry_stays_cached_behind_pgbouncer(db: Database, migrated_url: str) -> None:
    if db.dialect is not Dialect.POSTGRESQL:
        pytest.skip("SQLite is never behind anything")
    cache, behind = BucketIndexCache(), await PostgresDatabase.open(dsn.postgres(migrated_url), pgbouncer=True)
    await written(behind, cache)
    async with behind.write() as tx:
        await tx.run("DELETE FROM bucket_index")

    await written(behind, cache)
    await behind.close()

    assert 4 == sum((await counted(db)).values())


async def test_a_full_cache_is_cleared() -> None:
    cache = BucketIndexCache(size=2)

    cache.add({"a"}, [("o", "n", "1")])
    cache.add({"b"}, [("o", "n", "2")])
    assert set() == cache.missing_shapes({"a", "b"})
    cache.add({"c"}, [])

    assert {"a", "b"} == cache.missing_shapes({"a", "b", "c"})


async def test_concurrent_writers_of_one_entry_do_not_block_each_other(db: Database) -> None:
    if db.dialect is not Dialect.POSTGRESQL:
        pytest.skip("SQLite has one writer")
    async with db.write() as one, db.write(lock_ms=1) as other, asyncio.timeout(30):
        await intake.add(one, [message()])
        await intake.add(other, [message()])

    assert {"e" + "a.b": 2, 'c"c"': 2, 't"t"': 2} == await counted(db)
    assert 2 == len(await found(db, APP, event_types=("a.b",)))


async def test_entries_are_pruned_with_old_messages(db: Database) -> None:
    old, kept = message(timestamp=NOW - 9 * DAY), message(timestamp=NOW - 7 * DAY)
    async with db.write() as tx:
        await intake.add(tx, [old, kept])

    await wiping.prune(db, NOW - 8 * DAY, NOW, chunk=2)

    assert {"e" + "a.b": 1, 'c"c"': 1, 't"t"': 1} == await counted(db)
    assert [kept.id] == await found(db, APP, tag="t")


async def test_entries_of_recent_buckets_are_not_pruned(db: Database) -> None:
    cache = BucketIndexCache()
    async with db.write() as tx:
        await intake.add(tx, [message(timestamp=NOW - HOUR // 2)], cache)

    await wiping.prune(db, NOW + HOUR, NOW, chunk=10)
    late = message(timestamp=NOW - HOUR // 2)  # a node with another clock still writes it, although the entry is cached
    async with db.write() as tx:
        await intake.add(tx, [late], cache)

    assert [late.id] == await found(db, APP, channel="c")


async def test_a_wiped_organization_leaves_no_entries(db: Database) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, "http://127.0.0.1:9/")
    made = message(app, NOW - HOUR)
    attempt = failed(made, endpoint, NOW)
    async with db.write() as tx:
        await intake.add(tx, [made])
        await settlement.add_attempts(tx, [attempt])
    assert 5 == sum((await counted(db)).values())

    await wiping.wipe(db, DEFAULT_ORG, chunk=2)

    assert {} == await counted(db)


@pytest.mark.parametrize("asked", [AttemptFilter(message=MessageFilter(channel="c")), AttemptFilter(status=FAIL)])
async def test_attempts_made_long_after_their_messages_are_listed_in_order(db: Database, asked: AttemptFilter) -> None:
    db.tuning = StorageTuning(lists=ListTuning(buckets=1, rare_messages=1))
    endpoint, wanted = EndpointId("ep_" + "1" * 27), replace(asked, code_class=StatusCodeClass.CODE_5XX)
    made = [message(timestamp=NOW - day * DAY) for day in (9, 8, 7)]
    first = [timestamp_of(each.id) for each in made]
    again = [NOW - DAY - n * ids.STEP_MS for n in range(6)]
    tries = [*zip(made, first, strict=True), *zip(made * 2, again, strict=True)]
    rows = [failed(each, endpoint, at) for each, at in tries]
    async with db.write() as tx:
        await intake.add(tx, made)
        await settlement.add_attempts(tx, rows)

    for order in Order:
        window = Cursor(order, 7).window()
        async with db.read() as read:
            listed = await lists.page_of_attempts(read, AppId(APP), endpoint, window, wanted)
        in_order = sorted((row.id for row in rows), reverse=order is Order.DESCENDING)
        assert in_order[: window.rows] == [each.id for each in listed]


async def test_a_message_with_a_late_attempt_is_listed_in_order(db: Database) -> None:
    db.tuning = StorageTuning(lists=ListTuning(entries=2))
    endpoint = EndpointId("ep_" + "1" * 27)
    made = [message(timestamp=NOW - day * DAY) for day in range(1, 10)]
    tries = [*((each, timestamp_of(each.id)) for each in made), (made[-1], NOW - 36 * HOUR)]
    async with db.write() as tx:
        await intake.add(tx, made)
        await settlement.add_attempts(tx, [failed(each, endpoint, at) for each, at in tries])

    for order in Order:
        window = Cursor(order, 4).window()
        async with db.read() as read:
            told = await lists.page_of_attempted_messages(read, AppId(APP), endpoint, window, AttemptFilter())
        in_order = sorted((each.id for each in made), reverse=order is Order.DESCENDING)
        assert in_order[: window.rows] == [each.message.id for each in told]


async def test_a_rare_outcome_is_searched_only_in_its_time_buckets(db: Database) -> None:
    db.tuning = StorageTuning(lists=ListTuning(entries=1))
    endpoint, wanted = EndpointId("ep_" + "1" * 27), AttemptFilter(status=FAIL, message=MessageFilter(channel="c"))
    made = [message(timestamp=NOW - day * DAY) for day in (3, 2, 1)]
    rows = [failed(each, endpoint, timestamp_of(each.id)) for each in made]
    async with db.write() as tx:
        await intake.add(tx, made)
        await settlement.add_attempts(tx, rows)

    async with db.read() as read:
        window = Cursor(Order.DESCENDING, 3).window()
        listed = await lists.page_of_attempts(read, AppId(APP), endpoint, window, wanted)

    assert [row.id for row in reversed(rows)] == [each.id for each in listed]
