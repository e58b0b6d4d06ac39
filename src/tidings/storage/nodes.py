# SPDX-License-Identifier: MIT
"""The processes that share a PostgreSQL: a row for each, and a lock of its number that its session holds.

The lock is the sign of life. PostgreSQL lets go of it when the session ends, and the kernel ends the session with the
process, however that died: so the others know within a second, and need not wait for leases to run out. A process that
is cut off from the database, or whose machine is gone without a word, keeps its session for a while; there the leases
end it, as ever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

from tidings.storage.database import StorageError, Unavailable, Write
from tidings.storage.postgres import PostgresDatabase

LOCKS: Final = 0x7469
"""The first number of the locks; the second is the process's."""
GONE: Final = f"""
SELECT json_object_agg(id, worker) FROM node WHERE id <> :node AND NOT EXISTS (
  SELECT 1 FROM pg_locks
  WHERE locktype = 'advisory' AND classid = {LOCKS} AND objid = CAST(node.id AS oid) AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
"""Other processes that do not hold their lock. Locks are only looked at where there are other processes."""
_ENTER: Final = "INSERT INTO node (id, worker) VALUES (CAST(:node AS BIGINT), :worker) ON CONFLICT DO NOTHING"
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_LEAVE_SECONDS: Final = 1.0
_LEAVE: Final = "DELETE FROM node WHERE id = :node"


async def leave(tx: Write, node: int) -> None:
    """Forget a process."""
    await tx.run(_LEAVE, node=node)


class Presence:
    """The sign of life of a process, on a connection of its own that `connect` makes."""

    __slots__ = ("_connect", "_connection", "_db", "_distrusts", "_node", "_worker")

    def __init__(self, db: PostgresDatabase, connect: Callable[[], Awaitable[Any]], node: int, worker: str) -> None:
        self._db = db
        self._connect = connect
        self._node = node
        self._worker = worker
        self._connection: Any = None
        self._distrusts = 0

    async def keep(self, *, is_known: bool) -> None:
        """Take the lock if it is not held (any more), and write the row. Raises `StorageError` without a database.

        Somebody who gave this process up has deleted its row: wrongly, just as it came back, or because its session
        has ended where this end has not heard of it. So a process that is not known takes a new session. So does one
        that has met a server which cannot be written: the session may be held there, where nobody looks any more.
        """
        is_trusted = self._distrusts == self._db.distrusts
        if self._connection is not None and is_known and is_trusted and not self._connection.is_closed():
            return
        distrusts = self._db.distrusts
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        session = await self._session()
        if session is None:
            return
        try:
            async with self._db.write() as tx:
                await tx.run(_ENTER, node=self._node, worker=self._worker)
        except BaseException:
            session.terminate()
            raise
        self._connection, self._distrusts = session, distrusts

    async def _session(self) -> Any:  # noqa: ANN401 - the driver's
        """Return a session that holds the lock; None where one of ours, lost on the way, does: that is sign enough."""
        try:
            session = await self._connect()
            try:
                holds = await session.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCKS, self._node)
            except BaseException:
                session.terminate()
                raise
        except _LOST as error:
            raise Unavailable(str(error) or type(error).__name__) from error
        if holds:
            return session
        session.terminate()
        return None

    async def leave(self) -> None:
        """Say goodbye; nobody has to find out. Trouble with the database is no trouble here: others will find out."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            async with asyncio.timeout(_LEAVE_SECONDS), self._db.write() as tx:
                await leave(tx, self._node)
        except (StorageError, TimeoutError):
            pass
        finally:
            connection.terminate()
