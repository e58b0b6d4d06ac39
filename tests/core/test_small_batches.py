# SPDX-License-Identifier: MIT
"""Small batches on PostgreSQL are written in one statement, with everything that a transaction guarantees."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from delivery.test_role import Door
from message_path import Path, add_app, add_endpoint, running, terms
from tidings import dsn, ids
from tidings.clock import SystemClock
from tidings.core.idempotency import RETENTION_MS
from tidings.core.services import HotRequest
from tidings.core.tuning import CoreTuning
from tidings.delivery.tuning import DeliveryTuning
from tidings.errors import AppError, ErrorKind
from tidings.ids import DEFAULT_ORG, AppId
from tidings.model.message import Draft
from tidings.storage.drivers.database import OneStatement, OutcomeUnknown
from tidings.storage.drivers.postgres import PostgresDatabase, PostgresWrite
from tidings.storage.drivers.store import migrate, statements
from tidings.storage.tables import settlement
from tidings.storage.tables.bucket_index import BucketIndexCache
from tidings.storage.tables.intake import DeliveryRow, add_deliveries
from tidings.storage.tables.settlement import AttemptRow

URL = "http://127.0.0.1:9/"
HOLD = "SELECT FROM delivery WHERE endpoint_id = :endpoint"
WAITING = "SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()"


class Watched(PostgresDatabase):
    """A database that counts its single statements and its transactions, and can lose the response of a statement."""

    statements = transactions = lost = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waits, self.may_begin = asyncio.Event(), asyncio.Event()
        self.may_begin.set()
        self.gives_way = asyncio.Event()

    async def give_way(self, seconds: float) -> None:
        self.gives_way.set()
        await super().give_way(seconds)

    @asynccontextmanager
    async def statement(self, *, background: bool = False) -> AsyncIterator[Any]:
        self.waits.set()
        await self.may_begin.wait()
        async with super().statement(background=background) as inner:
            yield WatchedStatement(self, inner)

    @asynccontextmanager
    async def write(
        self, *, advisory_lock: int | None = None, lock_ms: int = 1_000, background: bool = False, synced: bool = True
    ) -> AsyncIterator[PostgresWrite]:
        self.transactions += 1
        async with super().write(
            advisory_lock=advisory_lock, lock_ms=lock_ms, background=background, synced=synced
        ) as tx:
            yield tx

    def reset(self) -> None:
        self.statements = self.transactions = 0


class WatchedStatement:
    def __init__(self, db: Watched, inner: OneStatement) -> None:
        self._db = db
        self._inner = inner
        self.generation = inner.generation

    async def call(self, sql: str, *values: object) -> None:
        self._db.statements += 1
        await self._inner.call(sql, *values)
        if self._db.lost:
            self._db.lost -= 1
            raise OutcomeUnknown("the response was lost")


@pytest_asyncio.fixture
async def db(postgres_dsn: str) -> AsyncIterator[Watched]:
    found = await Watched.open(dsn.postgres(postgres_dsn))
    assert isinstance(found, Watched)
    await migrate(found)
    yield found
    await found.close()


async def test_a_message_is_accepted_and_settled_in_one_statement_each(db: Watched) -> None:
    app = await add_app(db)
    async with Door() as door, running(db, delivering=terms()) as path:
        await add_endpoint(db, app, door.url)
        await path.send(app)
        await path.settled()
        db.reset()

        await path.send(app, idempotency_key="key", event_id="event")
        await path.until("attempt", 2)

        assert (db.statements, db.transactions) == (2, 0)
        assert await path.rows("SELECT event_id FROM message WHERE event_id IS NOT NULL") == [("event",)]
        assert await path.count("delivery") == 0


async def test_a_batch_with_many_deliveries_is_written_in_a_transaction(db: Watched) -> None:
    app = await add_app(db)
    for _ in range(3):
        await add_endpoint(db, app, URL)
    async with running(db, core=CoreTuning(accept_small=2)) as path:
        db.reset()

        await path.send(app)

        assert (db.statements, db.transactions) == (0, 1)
        assert await path.count("delivery") == 3


async def test_as_many_messages_as_a_small_batch_has_deliveries_are_written_in_one_statement(db: Watched) -> None:
    app = await add_app(db)
    await add_endpoint(db, app, URL)
    async with running(db, core=CoreTuning(accept_small=12)) as path:
        await path.send(app)
        db.reset()

        await asyncio.gather(*(path.send(app) for _ in range(12)))

        assert (db.statements, db.transactions) == (1, 0)
        assert await path.count("delivery") == 13


async def test_a_batch_that_grows_while_it_waits_for_a_connection_stays_small(db: Watched) -> None:
    app = await add_app(db)
    for _ in range(2):
        await add_endpoint(db, app, URL)
    async with running(db, core=CoreTuning(accept_small=2)) as path:
        await path.send(app)
        db.reset()
        db.may_begin.clear()
        db.waits.clear()
        first = asyncio.create_task(path.send(app))
        await db.waits.wait()
        later = [asyncio.create_task(path.send(app)) for _ in range(2)]
        await asyncio.sleep(0)  # they are offered
        db.may_begin.set()
        await asyncio.gather(first, *later)

        assert (db.statements, db.transactions) == (1, 1)


async def test_a_repeated_key_gets_the_first_message(db: Watched) -> None:
    app = await add_app(db)
    async with running(db) as path:
        first = await path.send(app, idempotency_key="key")
        again = await path.send(app, idempotency_key="key", payload=b'{"other":1}')

        assert (again.id, again.payload) == (first.id, first.payload)
        assert await path.count("message") == 1


async def test_an_expired_key_is_free_again(db: Watched) -> None:
    app = await add_app(db)
    async with running(db) as path:
        first = await path.send(app, idempotency_key="key")
        async with db.write() as tx:
            await tx.run("UPDATE idempotency_record SET expires_at = 1")
        second = await path.send(app, idempotency_key="key")

        assert second.id != first.id
        assert await path.count("idempotency_record WHERE expires_at > 1") == 1


async def test_a_used_event_id_is_refused_and_frees_its_key(db: Watched) -> None:
    app = await add_app(db)
    async with running(db) as path:
        await path.send(app, event_id="event")
        with pytest.raises(AppError) as refused:
            await path.send(app, event_id="event", idempotency_key="key")

        assert refused.value.kind is ErrorKind.CONFLICT
        assert await path.count("message") == 1
        assert await path.count("idempotency_record") == 0


async def test_a_message_is_routed_by_a_change_that_another_node_made(db: Watched) -> None:
    app = await add_app(db)
    async with running(db) as path:
        await path.send(app)
        await add_endpoint(db, app, URL)

        await path.send(app)

        assert await path.count("delivery") == 1


async def test_a_batch_with_two_states_of_an_application_is_routed_again(db: Watched) -> None:
    app = await add_app(db)
    async with running(db) as path:
        await path.send(app)
        db.may_begin.clear()
        db.waits.clear()
        earlier = asyncio.create_task(path.send(app))
        await db.waits.wait()
        await add_endpoint(db, app, URL)
        path.routing.drop(AppId(app))
        await path.routing.load(DEFAULT_ORG, app)
        draft = Draft("a.b", b"{}", None, None, RETENTION_MS)
        later = asyncio.get_running_loop().create_future()
        assert path.accept.offer(HotRequest(DEFAULT_ORG, app, None), draft, later.set_result)
        db.may_begin.set()
        await asyncio.gather(earlier, later)

        assert await path.count("delivery") == 2


async def test_a_deleted_application_gets_no_message(db: Watched) -> None:
    app = await add_app(db)
    async with running(db) as path:
        await path.send(app)
        async with db.write() as tx:
            await tx.run("UPDATE application SET deleted_at = 1, routing_version = routing_version + 1")
        with pytest.raises(AppError) as refused:
            await path.send(app)

        assert refused.value.kind is ErrorKind.NOT_FOUND
        assert await path.count("message") == 1


async def test_ids_far_from_the_time_of_the_server_are_made_again_in_a_transaction(db: Watched) -> None:
    app = await add_app(db)
    async with running(db, core=CoreTuning(accept_small_skew_ms=-1)) as path:
        await path.send(app)
        db.reset()

        await path.send(app)

        assert (db.statements, db.transactions) == (1, 1)
        assert await path.count("message") == 2


async def test_a_lost_response_is_unavailable_and_its_key_finds_the_message(db: Watched) -> None:
    app = await add_app(db)
    async with running(db) as path:
        await path.send(app)
        db.lost = 1
        with pytest.raises(AppError) as refused:
            await path.send(app, idempotency_key="key")
        again = await path.send(app, idempotency_key="key")

        assert refused.value.kind is ErrorKind.UNAVAILABLE
        assert await path.rows("SELECT id FROM message ORDER BY id DESC LIMIT 1") == [(again.id,)]
        assert await path.count("message") == 2


async def test_an_attempt_is_recorded_once_if_the_response_of_its_statement_is_lost(db: Watched) -> None:
    app = await add_app(db)
    async with Door() as door, running(db, delivering=terms()) as path:
        await add_endpoint(db, app, door.url)
        door.open.clear()
        await path.send(app)
        db.lost = 1
        door.open.set()
        await path.until("attempt", 1)  # the settler writes it again only if it is not there

        await path.send(app)
        await path.until("attempt", 2)

        assert await path.count("delivery") == 0
        assert len(door.seen) == 2


async def test_a_manual_send_requested_in_flight_is_sent_after_the_success(db: Watched) -> None:
    app = await add_app(db)
    async with Door() as door, running(db, delivering=terms()) as path:
        await add_endpoint(db, app, door.url)
        door.open.clear()
        await path.send(app)
        async with db.write() as tx:
            assert await tx.run("UPDATE delivery SET again = 2") == 1
        door.open.set()
        await path.until("attempt", 2)
        await path.until("delivery", 0)

        assert len(door.seen) == 2


async def test_a_delivery_whose_lease_was_lost_keeps_its_new_lease(db: Watched) -> None:
    app = await add_app(db)
    async with Door() as door, running(db, delivering=terms()) as path:
        await add_endpoint(db, app, door.url)
        door.open.clear()
        await path.send(app)
        until = SystemClock().now() + 3_600_000
        async with db.write() as tx:
            await tx.run("UPDATE delivery SET lease = 1, lease_until = CAST(:until AS BIGINT)", until=until)
        door.open.set()
        await path.until("attempt", 1)

        assert await path.rows("SELECT lease FROM delivery") == [(1,)]


async def test_deliveries_of_a_message_are_locked_in_the_order_of_their_keys(db: Watched) -> None:
    app, cache = await add_app(db), BucketIndexCache()
    earlier, later = (ids.new(ids.ATTEMPT, now) for now in (1, 2))
    deliveries = [DeliveryRow("msg", endpoint, app, DEFAULT_ORG, 1, 1, 1) for endpoint in ("ep_1", "ep_2")]
    attempts = [
        AttemptRow("msg", attempt, endpoint, app, DEFAULT_ORG, URL, 0, 200, "", 1, 0)
        for attempt, endpoint in ((later, "ep_1"), (earlier, "ep_2"))
    ]
    async with db.write() as tx:
        await add_deliveries(tx, deliveries)

    async def settle() -> None:
        async with db.statement(background=True) as statement:
            await settlement.add_small(statement, attempts, [1, 1], cache=cache)

    async with db.write() as tx:
        await tx.rows(f"{HOLD} FOR UPDATE", endpoint="ep_1")
        settling = asyncio.create_task(settle())
        async with db.read() as read:
            while not await read.rows(WAITING):  # noqa: ASYNC110 - the database offers no event
                await asyncio.sleep(0.01)
        await tx.rows(f"{HOLD} FOR UPDATE NOWAIT", endpoint="ep_2")
    await settling


async def test_batches_beside_one_another_on_two_nodes_store_each_key_once(db: Watched) -> None:
    app = await add_app(db)
    async with running(db) as one, running(db) as two:

        async def send(node: Path, key: int) -> str:
            return (await node.send(app, idempotency_key=f"key {key}")).id

        keys = [*range(40)] * 2
        found = await asyncio.gather(*(send(node, key) for key in keys for node in (one, two)))

        assert await one.count("message") == 40
        assert len(set(found)) == 40


async def test_large_results_are_settled_in_a_transaction(db: Watched) -> None:
    app = await add_app(db)
    async with Door() as door, running(db, delivering=terms(), tuning=DeliveryTuning(settle_small=0)) as path:
        await add_endpoint(db, app, door.url)
        await path.send(app)
        await path.settled()
        db.reset()

        await path.send(app)
        await path.until("attempt", 2)

        assert (db.statements, db.transactions) == (1, 1)


async def test_a_pooler_between_gets_transactions(postgres_dsn: str) -> None:
    pooled = await PostgresDatabase.open(dsn.postgres(postgres_dsn), pgbouncer=True)
    try:
        assert statements(pooled) is None
    finally:
        await pooled.close()


async def test_settle_gives_way_to_a_write_that_a_caller_waits_for(db: Watched) -> None:
    app = await add_app(db)
    tuning = DeliveryTuning(settle_give_way_seconds=60)
    async with Door() as door, running(db, delivering=terms(), tuning=tuning) as path:
        await add_endpoint(db, app, door.url)
        async with db.write():
            await path.send(app)
            await db.gives_way.wait()
            held = [await path.count("attempt") for _ in range(30)]  # longer than settle would take
        await path.until("attempt", 1)

    assert set(held) == {0}


async def test_settle_gives_way_for_a_bounded_time(db: Watched) -> None:
    app = await add_app(db)
    async with Door() as door, running(db, delivering=terms()) as path:
        await add_endpoint(db, app, door.url)
        async with db.write():
            await path.send(app)
            await path.until("attempt", 1)
