# SPDX-License-Identifier: MIT
"""A client that follows a list skips nothing, whatever other transactions write at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from tidings import ids
from tidings.clock import SystemClock
from tidings.core import apps, attempts, endpoints, messages
from tidings.core.accept import AcceptBatcher
from tidings.core.idempotency import Idempotency, Response
from tidings.core.notifier import Notifier
from tidings.core.routing import RoutingCache
from tidings.core.services import HotRequest, Services
from tidings.core.tailing import committed_window
from tidings.core.tuning import CoreTuning
from tidings.errors import AppError
from tidings.ids import OrgId
from tidings.model.app import App, AppDraft
from tidings.model.attempt import AttemptFilter
from tidings.model.endpoint import EndpointDraft
from tidings.model.message import EVERY_MESSAGE, Draft
from tidings.model.page import Cursor, Order
from tidings.storage.drivers.database import Database, Dialect, OneStatement, OutcomeUnknown
from tidings.storage.drivers.postgres import PostgresDatabase
from tidings.storage.tables import settlement
from tidings.storage.tables.settlement import AttemptRow

ORG = OrgId("org_x")
DRAFT = Draft("a", b"{}", None, None, 90 * 24 * 3_600_000)


@dataclass
class World:
    """An application, and its writers."""

    services: Services
    acceptor: AcceptBatcher
    app: App

    async def accept(self) -> str:
        return (await self.acceptor.accept(HotRequest(ORG, self.app.id, None), DRAFT)).id

    async def tail(self, key: str) -> list[str]:
        """Return the messages after a message, oldest first."""
        cursor = Cursor(Order.DESCENDING, 250, f"-{key}")
        page = await messages.page(self.services, self.app, cursor, EVERY_MESSAGE, with_payload=False)
        return [str(each.id) for each in page.items][::-1]


@pytest_asyncio.fixture
async def world(db: Database) -> AsyncIterator[World]:
    clock = SystemClock()
    routing = RoutingCache(db)
    acceptor = AcceptBatcher(db, clock, routing)
    services = Services(
        db,
        clock,
        Notifier(routing=routing.drop),
        Idempotency(db, clock),
        oldest_message=acceptor.oldest_message,
    )
    app = await apps.get_or_create(services, ORG, AppDraft(name="a", uid="a", throttle_rate=None, metadata={}))
    yield World(services, acceptor, app)
    await acceptor.close()


async def test_sequential_writes_are_followed_in_order(world: World) -> None:
    made = [await world.accept() for _ in range(20)]

    assert sorted(made) == made
    assert made[1:] == await world.tail(made[0])


async def test_messages_of_one_batch_keep_the_order_of_their_arrival(world: World) -> None:
    first = await world.accept()
    made = await asyncio.gather(*[world.accept() for _ in range(200)])

    assert sorted(made) == made
    assert made == await world.tail(first)


async def test_a_page_ends_before_an_open_write_until_it_has_ended(world: World) -> None:
    db = world.services.db
    if db.dialect is not Dialect.POSTGRESQL:
        pytest.skip("on SQLite no other write is possible meanwhile")
    first = await world.accept()
    with world.acceptor.preparing() as prepared:
        async with db.write() as tx:
            [slow] = await world.acceptor.accept_many(tx, ORG, world.app.id, [DRAFT], prepared)
            quick = await world.accept()
            assert [] == await world.tail(first)
            page = await messages.page(
                world.services, world.app, Cursor(Order.DESCENDING, 5), EVERY_MESSAGE, with_payload=False
            )
            assert [quick, first] == [each.id for each in page.items]

    assert not isinstance(slow, Exception)
    assert [slow.id, quick] == await world.tail(first)


class Delayed:
    """A statement that begins only when it may."""

    def __init__(self, inner: OneStatement) -> None:
        self._inner = inner
        self.generation = inner.generation
        self.waits, self.may_begin = asyncio.Event(), asyncio.Event()

    async def call(self, sql: str, *values: object) -> None:
        self.waits.set()
        await self.may_begin.wait()
        await self._inner.call(sql, *values)


async def test_a_page_ends_before_a_message_whose_statement_has_not_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, tuning = world.services.db, CoreTuning(accept_small_skew_ms=9_000)  # a busy machine pauses for seconds
    if not isinstance(db, PostgresDatabase):
        pytest.skip("only PostgreSQL stores a message in one statement")
    first = await world.accept()
    async with db.statement() as inner:
        delayed = Delayed(inner)
        monkeypatch.setattr(db, "statement", lambda: nullcontext(delayed))
        acceptor = AcceptBatcher(db, SystemClock(), RoutingCache(db), tuning=tuning)
        services = replace(world.services, oldest_message=acceptor.oldest_message, tuning=tuning)
        following = replace(world, services=services)
        slow = asyncio.create_task(acceptor.accept(HotRequest(ORG, world.app.id, None), DRAFT))
        await delayed.waits.wait()
        quick = await world.accept()

        assert [] == await following.tail(first)
        delayed.may_begin.set()
        assert [(await slow).id, quick] == await following.tail(first)


PAUSE_ON_INSERT = """
CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS
$$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;
CREATE TRIGGER pause BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION pause();
"""
IS_PAUSED = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"


class Lost(Delayed):
    """A statement that the server still executes when the connection to it is lost."""

    def __init__(self, inner: OneStatement, db: Database) -> None:
        super().__init__(inner)
        self._db = db

    async def call(self, sql: str, *values: object) -> None:
        self.executing = asyncio.create_task(super().call(sql, *values))
        async with self._db.read() as read:
            while not await read.rows(IS_PAUSED):  # noqa: ASYNC110 - the database offers no event
                await asyncio.sleep(0.01)
        raise OutcomeUnknown("the connection was lost")


async def test_a_page_ends_before_a_message_whose_statement_continues_without_its_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, clock, tuning = world.services.db, SystemClock(), CoreTuning(accept_small_skew_ms=9_000)
    if not isinstance(db, PostgresDatabase):
        pytest.skip("only PostgreSQL stores a message in one statement")
    first = await world.accept()
    async with db.statement() as inner, db.read() as holder:
        lost = Lost(inner, db)
        monkeypatch.setattr(db, "statement", lambda: nullcontext(lost))
        acceptor = AcceptBatcher(db, clock, RoutingCache(db), tuning=tuning)
        services = replace(world.services, oldest_message=acceptor.oldest_message, tuning=tuning)
        following = replace(world, services=services)
        slow = asyncio.create_task(acceptor.accept(HotRequest(ORG, world.app.id, None), DRAFT))
        await lost.waits.wait()
        quick, made_at = await world.accept(), clock.now()
        async with db.write() as tx:
            for statement in filter(str.strip, PAUSE_ON_INSERT.split(";\n")):
                await tx.run(statement)
        await holder.rows("SELECT pg_advisory_lock(1)")
        while clock.now() == made_at:  # noqa: ASYNC110 - a clock offers no event
            await asyncio.sleep(0.001)
        lost.may_begin.set()
        with pytest.raises(AppError):
            await slow
        assert [] == await following.tail(first)

        await holder.rows("SELECT pg_advisory_unlock(1)")
        await lost.executing
        found = await following.tail(first)
        assert (len(found), found[1]) == (2, quick)


@pytest.mark.parametrize("prefix", [ids.MESSAGE, ids.ATTEMPT])
async def test_a_page_ends_before_ids_created_after_its_start(world: World, prefix: str) -> None:
    services, cursor = world.services, Cursor(Order.DESCENDING, 5, f"-{prefix}")
    before = ids.new(prefix, services.now())
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, cursor.window(), prefix)
    after = ids.new(prefix, services.now())

    if prefix == ids.MESSAGE and services.db.dialect is Dialect.SQLITE:
        assert window == cursor.window(), "one writer commits in the order of ids"
    else:
        assert window.below is not None
        assert before < window.below < after


async def test_an_open_write_holds_back_no_older_messages(world: World) -> None:
    if world.services.db.dialect is not Dialect.POSTGRESQL:
        pytest.skip("on SQLite no other write is possible meanwhile")
    earlier = AcceptBatcher(world.services.db, _FastClock(-500), RoutingCache(world.services.db))
    made = [(await earlier.accept(HotRequest(ORG, world.app.id, None), DRAFT)).id for _ in range(3)]
    async with world.services.db.write() as tx:
        await tx.rows("SELECT 1")
        assert made[1:] == await world.tail(made[0])
        late = await world.accept()
        assert made[1:] == await world.tail(made[0])
        held_too_long = replace(world.services, tuning=CoreTuning(held_back_ms=-1_000))
        assert [*made[1:], late] == await replace(world, services=held_too_long).tail(made[0])


async def test_a_page_ends_before_now_by_the_skew_of_other_nodes_clocks(world: World) -> None:
    db = world.services.db
    if db.dialect is not Dialect.POSTGRESQL:
        pytest.skip("a SQLite file has one process")
    first = await world.accept()
    last = await world.accept()
    assert [last] == await world.tail(first)

    async with db.write() as tx:
        for node in (1, 2):
            await tx.run("INSERT INTO node (id, worker, release) VALUES (CAST(:node AS BIGINT), 'w', '0')", node=node)

    assert [] == await world.tail(first)
    ahead = Services(db, _FastClock(500), world.services.notifier, world.services.idempotency)
    assert [last] == await replace(world, services=ahead).tail(first)


class _FastClock(SystemClock):
    """A clock that is ahead."""

    __slots__ = ("_ms",)

    def __init__(self, ms: int) -> None:
        self._ms = ms

    def now(self) -> int:
        return super().now() + self._ms


@pytest.mark.parametrize(("age", "is_held"), [(1_000, True), (CoreTuning().held_back_ms + 5_000, False)])
async def test_a_page_of_attempts_ends_before_the_oldest_one_in_flight(world: World, age: int, is_held: bool) -> None:  # noqa: FBT001
    services = world.services
    draft = EndpointDraft(
        url="http://example.com/",
        description="",
        uid="e",
        version=1,
        disabled=False,
        event_types=None,
        channels=None,
        throttle_rate=None,
        metadata={},
        headers={},
        secret=None,
    )
    await endpoints.create(services, world.app, draft, idempotency_key=None, render=lambda _: Response(201))
    endpoint, msg = await endpoints.get(services, world.app, "e"), await world.accept()
    now = services.now() - age
    made = [ids.new(ids.ATTEMPT, now + 100 * n) for n in range(4)]
    async with services.db.write() as tx:
        for each in made:
            who = (msg, each, endpoint.id, world.app.id, ORG, endpoint.url)
            await settlement.add_attempts(tx, [AttemptRow(*who, 0, 200, "", 1, 0)])

    async def told(oldest: int | None, key: str, order: Order = Order.DESCENDING) -> list[str]:
        holding = replace(services, oldest_attempt=lambda: oldest)
        cursor = Cursor(order, 250, key)
        wanted = AttemptFilter()
        found = [
            await attempts.page_of_endpoint(holding, world.app, "e", cursor, wanted, with_message=False),
            await attempts.page_of_message(holding, world.app, msg, cursor, wanted, endpoint_ref=None),
        ]
        assert found[0].items == found[1].items
        return [str(each.id) for each in found[0].items][::-1]

    assert made[1:] == await told(None, f"-{made[0]}")
    assert (made[1:3] if is_held else made[1:]) == await told(now + 300, f"-{made[0]}")
    assert ([] if is_held else made[1:]) == await told(now - 3_600_000, f"-{made[0]}")
    assert made[:3] == await told(now, made[3])
