# SPDX-License-Identifier: MIT
"""Taking over from processes that are gone: at once when their session ends, and never while it lasts."""

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest_asyncio

from message_path import add_app, add_endpoint, running
from tidings.clock import SystemClock
from tidings.core.nodes import Nodes
from tidings.model.lease import Leases, leases_of, new_node
from tidings.storage import deliveries, nodes, pulse
from tidings.storage.migrate import migrate
from tidings.storage.nodes import Presence
from tidings.storage.postgres import PostgresDatabase
from tidings.storage.store import opened


class Node:
    """A process as far as the others see it."""

    made: ClassVar[list["Node"]] = []

    def __init__(self, db: PostgresDatabase, name: str) -> None:
        self.db = db
        self.leases = Leases(new_node())
        self.presence = Presence(db, db.connect, self.leases.node, name)
        self.freed = 0
        self.inherited: list[str] = []
        self._nodes = Nodes(db, SystemClock(), self.presence, freed=self._free, put_back=self._put_back)
        self.made.append(self)

    def _free(self) -> None:
        self.freed += 1

    async def _put_back(self, worker: str) -> None:
        self.inherited.append(worker)

    async def beat(self, times: int = 1) -> None:
        for _ in range(times):
            async with self.db.read() as read:
                heard = await pulse.take(read, since=0, node=self.leases.node)
            await self._nodes.beat(heard.gone, is_known=heard.is_known)

    async def die(self) -> None:
        """End the session as the kernel does, and wait until the database knows."""
        connection = self.presence._connection  # noqa: SLF001
        pid = connection.get_server_pid()
        connection.terminate()
        await self.until_gone(pid)

    async def until_gone(self, pid: int) -> None:
        async with self.db.read() as read:
            while await read.row("SELECT 1 FROM pg_stat_activity WHERE pid = :pid", pid=pid) is not None:
                pass

    async def leave(self) -> None:
        await self._nodes.leave()


async def _leased(db: PostgresDatabase, lease: int) -> None:
    """Store a message whose delivery is leased for an hour."""
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, "http://127.0.0.1:9/")
    async with running(db) as path:
        accepted = await path.send(app)
    async with db.write() as tx:
        until = SystemClock().now() + 3_600_000
        await tx.run("UPDATE delivery SET lease = :lease, lease_until = :until", lease=lease, until=until)
    assert accepted.id
    assert endpoint


async def _is_leased(db: PostgresDatabase) -> bool:
    async with db.read() as read:
        return (await read.one("SELECT lease FROM delivery"))["lease"] is not None


@pytest_asyncio.fixture
async def shared(postgres_dsn: str) -> AsyncIterator[PostgresDatabase]:
    """One process owns a SQLite file; only on PostgreSQL are there others."""
    db = await opened(postgres_dsn)
    assert isinstance(db, PostgresDatabase)
    try:
        await migrate(db)
        yield db
    finally:
        while Node.made:  # those of a test that failed: a loop with a connection that is open never closes
            await Node.made.pop().leave()
        await db.close()


async def test_what_a_dead_process_held_is_due_after_three_beats(shared: PostgresDatabase) -> None:
    db = shared
    dead, alive = Node(db, "a:1"), Node(db, "b:2")
    await dead.beat()
    await alive.beat(4)
    await _leased(db, dead.leases.next())
    assert await _is_leased(db)

    await dead.die()
    await alive.beat(2)
    assert await _is_leased(db)
    await alive.beat()

    assert not await _is_leased(db)
    assert (alive.inherited, alive.freed) == (["a:1"], 1)
    await alive.beat(5)
    assert alive.freed == 1
    await alive.leave()


async def test_a_process_that_lost_its_session_and_is_back_keeps_what_it_has(shared: PostgresDatabase) -> None:
    db = shared
    shaken, other = Node(db, "a:1"), Node(db, "b:2")
    await shaken.beat()
    await _leased(db, shaken.leases.next())

    for _ in range(3):
        await shaken.die()
        await other.beat(2)
        await shaken.beat()
        await other.beat()

    assert await _is_leased(db)
    assert other.freed == 0
    await shaken.leave()
    await other.leave()


async def test_a_session_that_was_lost_on_the_way_is_sign_enough_while_it_lasts(shared: PostgresDatabase) -> None:
    cut, other = Node(shared, "a:1"), Node(shared, "b:2")
    await cut.beat()
    old, cut.presence._connection = cut.presence._connection, None  # noqa: SLF001
    pid = old.get_server_pid()

    await cut.beat(2)
    await other.beat(4)
    old.terminate()
    await cut.until_gone(pid)
    await cut.beat()
    await other.beat(4)

    assert other.freed == 0
    await cut.leave()
    await other.leave()


async def test_one_that_was_given_up_as_it_came_back_is_missed_when_it_dies(shared: PostgresDatabase) -> None:
    db = shared
    shaken, other = Node(db, "a:1"), Node(db, "b:2")
    await shaken.beat()
    await other.beat()
    await _leased(db, shaken.leases.next())
    async with db.write() as tx:
        await nodes.leave(tx, shaken.leases.node)  # the last step of the other one's taking over
    before = shaken.presence._connection  # noqa: SLF001

    await shaken.beat()
    while shaken.presence._connection is None:  # noqa: SLF001 - the session that it gave up is not quite gone
        await shaken.beat()
    await other.beat(4)
    assert shaken.presence._connection is not before  # noqa: SLF001 - it may have ended where nobody heard of it
    assert other.freed == 0
    await shaken.die()
    await other.beat(3)

    assert not await _is_leased(db)
    assert (other.inherited, other.freed) == (["a:1"], 1)
    await other.leave()


async def test_one_that_takes_leave_is_not_missed(shared: PostgresDatabase) -> None:
    db = shared
    one, other = Node(db, "a:1"), Node(db, "b:2")
    await one.beat()

    await one.leave()
    await other.beat(5)

    assert other.freed == 0
    async with db.read() as read:
        assert (await read.one("SELECT count(*) AS n FROM node"))["n"] == 1
    await other.leave()


async def test_only_leases_of_the_one_are_taken(shared: PostgresDatabase) -> None:
    db = shared
    node = new_node() // 2 + 1
    await _leased(db, Leases(node).next())

    for other in (node - 1, node + 1):
        first, last = leases_of(other)
        async with db.write() as tx:
            assert await deliveries.return_leased(tx, first=first, last=last, now=1, limit=10) == 0

    assert await _is_leased(db)
