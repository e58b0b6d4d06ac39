# SPDX-License-Identifier: MIT
"""Takeover from lost nodes: at once when their session ends, and never before."""

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest_asyncio

from message_path import add_app, add_endpoint, running
from tidings import __version__
from tidings.clock import SystemClock
from tidings.core.nodes import Nodes
from tidings.model.lease import Leases, leases_of, new_node
from tidings.storage.drivers.postgres import PostgresDatabase
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import deliveries, nodes
from tidings.storage.tables.nodes import LivenessLock


class Node:
    """A node as the others see it."""

    made: ClassVar[list["Node"]] = []

    def __init__(self, db: PostgresDatabase, name: str) -> None:
        self.db = db
        self.leases = Leases(new_node())
        self.liveness_lock = LivenessLock(db, self.leases.node, name)
        self.freed = 0
        self.taken_over: list[str] = []
        self._nodes = Nodes(db, SystemClock(), self.liveness_lock, freed=self._free, requeue=self._requeue)
        self.made.append(self)

    def _free(self) -> None:
        self.freed += 1

    async def _requeue(self, worker: str) -> None:
        self.taken_over.append(worker)

    async def check(self, times: int = 1) -> None:
        for _ in range(times):
            async with self.db.read() as read:
                found = await nodes.heartbeat(read, since=0, keys_since=0, node=self.leases.node)
            await self._nodes.check(found.lost, is_known=found.is_known)

    async def die(self) -> None:
        """End the session as the kernel does, and wait until the database has noticed."""
        connection = self.liveness_lock._connection  # noqa: SLF001
        pid = connection.get_server_pid()
        connection.terminate()
        await self.until_ended(pid)

    async def until_ended(self, pid: int) -> None:
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
    """One node owns a SQLite file; only PostgreSQL has several nodes."""
    db = await opened(postgres_dsn)
    assert isinstance(db, PostgresDatabase)
    try:
        await migrate(db)
        yield db
    finally:
        while Node.made:  # nodes of a failed test: a loop never closes while a connection is open
            await Node.made.pop().leave()
        await db.close()


async def test_deliveries_of_a_lost_node_are_due_after_three_heartbeats(shared: PostgresDatabase) -> None:
    db = shared
    dead, alive = Node(db, "a:1"), Node(db, "b:2")
    await dead.check()
    await alive.check(4)
    await _leased(db, dead.leases.next())
    assert await _is_leased(db)

    await dead.die()
    await alive.check(2)
    assert await _is_leased(db)
    await alive.check()

    assert not await _is_leased(db)
    assert (alive.taken_over, alive.freed) == (["a:1"], 1)
    await alive.check(5)
    assert alive.freed == 1
    await alive.leave()


async def test_a_node_writes_its_release(shared: PostgresDatabase) -> None:
    node = Node(shared, "a:1")
    await node.check()

    async with shared.read() as read:
        row = await read.one("SELECT worker, release FROM node WHERE id = :id", id=node.leases.node)
    assert ["a:1", __version__] == list(row)
    await node.leave()


async def test_a_node_that_reconnects_in_time_keeps_its_deliveries(shared: PostgresDatabase) -> None:
    db = shared
    shaken, other = Node(db, "a:1"), Node(db, "b:2")
    await shaken.check()
    await _leased(db, shaken.leases.next())

    for _ in range(3):
        await shaken.die()
        await other.check(2)
        await shaken.check()
        await other.check()

    assert await _is_leased(db)
    assert other.freed == 0
    await shaken.leave()
    await other.leave()


async def test_a_half_open_session_holds_the_liveness_lock_while_it_lasts(shared: PostgresDatabase) -> None:
    cut, other = Node(shared, "a:1"), Node(shared, "b:2")
    await cut.check()
    old, cut.liveness_lock._connection = cut.liveness_lock._connection, None  # noqa: SLF001
    pid = old.get_server_pid()

    await cut.check(2)
    await other.check(4)
    old.terminate()
    await cut.until_ended(pid)
    await cut.check()
    await other.check(4)

    assert other.freed == 0
    await cut.leave()
    await other.leave()


async def test_a_node_declared_lost_while_reconnecting_is_noticed_when_it_dies(shared: PostgresDatabase) -> None:
    db = shared
    shaken, other = Node(db, "a:1"), Node(db, "b:2")
    await shaken.check()
    await other.check()
    await _leased(db, shaken.leases.next())
    async with db.write() as tx:
        await nodes.delete(tx, shaken.leases.node)  # the last step of a takeover
    before = shaken.liveness_lock._connection  # noqa: SLF001

    await shaken.check()
    while shaken.liveness_lock._connection is None:  # noqa: SLF001 - the old session has not quite ended
        await shaken.check()
    await other.check(4)
    assert shaken.liveness_lock._connection is not before  # noqa: SLF001 - the old session may have ended unnoticed
    assert other.freed == 0
    await shaken.die()
    await other.check(3)

    assert not await _is_leased(db)
    assert (other.taken_over, other.freed) == (["a:1"], 1)
    await other.leave()


async def test_a_node_that_leaves_is_not_lost(shared: PostgresDatabase) -> None:
    db = shared
    one, other = Node(db, "a:1"), Node(db, "b:2")
    await one.check()

    await one.leave()
    await other.check(5)

    assert other.freed == 0
    async with db.read() as read:
        assert (await read.one("SELECT count(*) AS n FROM node"))["n"] == 1
    await other.leave()


async def test_only_leases_of_the_lost_node_are_returned(shared: PostgresDatabase) -> None:
    db = shared
    node = new_node() // 2 + 1
    await _leased(db, Leases(node).next())

    for other in (node - 1, node + 1):
        first, last = leases_of(other)
        async with db.write() as tx:
            assert await deliveries.return_leased(tx, first=first, last=last, now=1, limit=10) == 0

    assert await _is_leased(db)
