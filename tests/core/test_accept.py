# SPDX-License-Identifier: MIT
"""Accept stores each acknowledged message, once per key, and routes it by the state at the commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from database_proxy import DatabaseProxy
from message_path import add_app, add_endpoint, running
from tidings.clock import SystemClock
from tidings.core.routing import RoutingCache
from tidings.core.tuning import CoreTuning
from tidings.errors import AppError, ErrorKind
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.database import Database, Dialect, Write
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import idempotency

URL = "http://127.0.0.1:9/"


async def test_a_message_is_stored_with_a_delivery_for_each_subscribed_endpoint(db: Database) -> None:
    app = await add_app(db)
    wanting = await add_endpoint(db, app, URL, event_types=["a.b"])
    everything = await add_endpoint(db, app, URL)
    await add_endpoint(db, app, URL, event_types=["other"])

    async with running(db) as path:
        accepted = await path.send(app, payload=b'{"n": 1.0}')
        rows = await path.rows("SELECT msg_id, endpoint_id, lease FROM delivery ORDER BY endpoint_id")
        [(payload,)] = await path.rows("SELECT payload FROM message")

    assert [(accepted.id, endpoint, None) for endpoint in sorted([wanting, everything])] == rows
    assert payload == b'{"n": 1.0}'


async def test_fifty_requests_with_one_key_store_one_message_and_get_one_response(db: Database) -> None:
    app = await add_app(db)
    await add_endpoint(db, app, URL)

    async with running(db) as path:
        answers = await asyncio.gather(*(path.send(app, idempotency_key="key") for _ in range(50)))
        later = await path.send(app, idempotency_key="key", payload=b'{"other":1}')
        messages, waiting = await path.count("message"), await path.count("delivery")

    assert len({answer.id for answer in [*answers, later]}) == 1
    assert later.payload == b'{"n":1}'
    assert (messages, waiting) == (1, 1)


async def test_fifty_requests_with_one_key_over_two_nodes_store_one_message(db: Database) -> None:
    app = await add_app(db)

    async with running(db) as one, running(db) as two:
        answers = await asyncio.gather(
            *(node.send(app, idempotency_key="key") for _ in range(25) for node in (one, two))
        )
        messages = await one.count("message")

    assert len({answer.id for answer in answers}) == 1
    assert messages == 1


async def test_an_expired_key_is_free_again(db: Database) -> None:
    app = await add_app(db)

    async with running(db) as path:
        first = await path.send(app, idempotency_key="key")
        async with db.write() as tx:
            await tx.run("UPDATE idempotency_record SET expires_at = 1")
        second = await path.send(app, idempotency_key="key")

    assert first.id != second.id


class TickingClock(SystemClock):
    """A clock that advances at each read."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> int:
        self.looks += 1
        return super().now() + self.looks


async def test_writes_that_arrive_during_a_wait_join_its_commit(db: Database) -> None:
    if db.dialect is Dialect.POSTGRESQL:
        pytest.skip("PostgreSQL's writers do not wait for one another")
    app = await add_app(db)

    async with running(db, clock=TickingClock()) as path:
        await path.send(app)
        async with db.write():
            calls = []
            for _ in range(3):
                calls.append(asyncio.create_task(path.send(app)))
                await asyncio.sleep(0)
        await asyncio.gather(*calls)
        timestamps = await path.rows("SELECT count(*), expires_at FROM message GROUP BY expires_at ORDER BY expires_at")

    assert [count for count, _ in timestamps] == [1, 3]


async def test_an_event_id_is_used_once_and_the_refused_request_frees_its_key(db: Database) -> None:
    app = await add_app(db)

    async with running(db) as path:
        results = await asyncio.gather(
            *(path.send(app, event_id="e1", idempotency_key=f"key-{n}") for n in range(5)), return_exceptions=True
        )
        messages, records = await path.count("message"), await path.count("idempotency_record")

    refused = [result for result in results if isinstance(result, AppError)]
    assert [ErrorKind.CONFLICT] * 4 == [error.kind for error in refused]
    assert (messages, records) == (1, 1)


async def test_an_endpoint_created_on_another_node_gets_the_next_message(db: Database) -> None:
    app = await add_app(db)

    async with running(db) as path:
        await path.send(app)
        await add_endpoint(db, app, URL)  # without notifying this node
        await path.send(app)
        waiting = await path.count("delivery")

    assert waiting == 1


async def test_an_application_deleted_on_another_node_gets_no_more_messages(db: Database) -> None:
    app = await add_app(db, uid="mine")

    async with running(db) as path:
        await path.send("mine")
        async with db.write() as tx:
            await tx.run("UPDATE application SET deleted_at = 1, uid = NULL WHERE id = :app", app=app)
        with pytest.raises(AppError) as refused:
            await path.send("mine")

    assert refused.value.kind is ErrorKind.NOT_FOUND


class Picky(DatabaseProxy):
    """A database that fails each transaction that stores a message of the event type `bad`."""

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        async with self.db.write(**options) as tx:
            yield tx
            if await tx.rows("SELECT 1 FROM message WHERE event_type = 'bad'"):
                raise RuntimeError("this row")


async def test_a_row_that_cannot_be_written_fails_only_its_own_request(db: Database) -> None:
    app = await add_app(db)

    async with running(Picky(db)) as path:
        results = await asyncio.gather(
            *(path.send(app, event_type="bad" if n == 7 else "good", idempotency_key=f"k{n}") for n in range(20)),
            return_exceptions=True,
        )
        messages, records = await path.count("message"), await path.count("idempotency_record")

    assert [7] == [n for n, result in enumerate(results) if isinstance(result, BaseException)]
    assert (messages, records) == (19, 19)


async def test_a_refused_request_leaves_its_key_to_the_next_one_in_line(db: Database) -> None:
    app = await add_app(db)

    async with running(db) as path:
        await path.send(app, event_id="taken")
        first = asyncio.ensure_future(path.send(app, event_id="taken", idempotency_key="key"))
        second = asyncio.ensure_future(path.send(app, idempotency_key="key"))
        results = await asyncio.gather(first, second, return_exceptions=True)

    assert isinstance(results[0], AppError)
    assert not isinstance(results[1], BaseException)


async def test_a_caller_that_disconnects_does_not_cancel_others_with_its_key(db: Database) -> None:
    app = await add_app(db)

    async with running(db) as path:
        await path.send(app)
        first = asyncio.create_task(path.send(app, idempotency_key="key"))
        second = asyncio.create_task(path.send(app, idempotency_key="key"))
        await asyncio.sleep(0)
        first.cancel()
        accepted = await second
        messages = await path.rows("SELECT id FROM message ORDER BY id")

    assert first.cancelled()
    assert len(messages) == 2
    assert (accepted.id,) in messages


async def test_an_absent_application_is_not_cached(db: Database) -> None:
    routing = RoutingCache(db)

    before = await routing.load(DEFAULT_ORG, "late")
    await add_app(db, uid="late")
    after = await routing.load(DEFAULT_ORG, "late")

    assert before is None
    assert after is not None


async def test_a_key_held_by_another_node_delays_no_other_request(postgres_dsn: str) -> None:
    one, other = await opened(postgres_dsn), await opened(postgres_dsn)
    await migrate(one)
    app = await add_app(one)

    async with running(one, core=CoreTuning(accept_wait_seconds=60)) as path:
        await path.send(app)
        async with other.write() as holder:
            await holder.run(
                "INSERT INTO idempotency_record (key, expires_at, msg_id) VALUES (:key, 9, 'msg_x')", key="held"
            )
            waiting = asyncio.ensure_future(path.send(app, idempotency_key="held"))
            async with asyncio.timeout(30):
                await asyncio.gather(*(path.send(app, idempotency_key=f"free-{n}") for n in range(20)))
            assert not waiting.done()
        accepted = await waiting

    await one.close()
    await other.close()
    assert accepted.id


async def test_a_table_lock_delays_all_requests_together(postgres_dsn: str) -> None:
    db = await opened(postgres_dsn)
    try:
        await migrate(db)
        app = await add_app(db)
        async with running(db, core=CoreTuning(accept_wait_seconds=0.3)) as path:
            await path.send(app)
            async with db.write() as tx:
                await tx.run("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
                # One wait for all; separate waits for each half and each message would take forty seconds.
                async with asyncio.timeout(20):
                    answers = await asyncio.gather(*(path.send(app) for _ in range(200)), return_exceptions=True)
            await path.send(app)
            stored = await path.count("message")
    finally:
        await db.close()

    assert {answer.kind for answer in answers if isinstance(answer, AppError)} == {ErrorKind.UNAVAILABLE}
    assert (len(answers), stored) == (200, 2)


async def test_records_expire_even_if_a_later_request_reuses_an_older_key(db: Database) -> None:
    app = await add_app(db)

    async with running(db) as path:
        await path.send(app, idempotency_key="daily")
        await asyncio.gather(*(path.send(app, idempotency_key=f"k{n}") for n in range(25)))
        async with db.write() as tx:
            await tx.run("UPDATE idempotency_record SET expires_at = 1")
        await path.send(app, idempotency_key="daily")
        expired = 10
        while expired == 10:
            async with db.write() as tx:
                expired = await idempotency.expire(tx, now=SystemClock().now(), limit=10)
        left = await path.rows("SELECT key FROM idempotency_record")

    assert left == [("daily",)]
