# SPDX-License-Identifier: MIT
"""The nodes that share a PostgreSQL database: a row for each, and a liveness lock that its session holds.

The liveness lock is an advisory lock on the node's number. PostgreSQL releases it when the session ends, and the
kernel ends the session with the process: so the other nodes notice within a second and need not wait for leases to
expire. A node that is cut off from the database, or whose machine lost power, keeps its session for a while; there the
lease expiry applies.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

from tidings.storage.database import StorageError, Unavailable, Write
from tidings.storage.postgres import PostgresDatabase

LOCK_CLASS: Final = 0x7469
"""The first key of the liveness locks; the second is the node's number."""
LOST_NODES: Final = f"""
SELECT json_object_agg(id, worker) FROM node WHERE id <> :node AND NOT EXISTS (
  SELECT 1 FROM pg_locks
  WHERE locktype = 'advisory' AND classid = {LOCK_CLASS} AND objid = CAST(node.id AS oid) AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
"""Other nodes that do not hold their liveness lock. Reads `pg_locks` only where there are other nodes."""
_INSERT: Final = "INSERT INTO node (id, worker) VALUES (CAST(:node AS BIGINT), :worker) ON CONFLICT DO NOTHING"
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_RELEASE_SECONDS: Final = 1.0
_DELETE: Final = "DELETE FROM node WHERE id = :node"


async def delete(tx: Write, node: int) -> None:
    """Delete the row of a node."""
    await tx.run(_DELETE, node=node)


class LivenessLock:
    """The liveness lock of this node, held on a connection of its own that `connect` makes."""

    __slots__ = ("_connect", "_connection", "_db", "_distrusts", "_node", "_worker")

    def __init__(self, db: PostgresDatabase, connect: Callable[[], Awaitable[Any]], node: int, worker: str) -> None:
        self._db = db
        self._connect = connect
        self._node = node
        self._worker = worker
        self._connection: Any = None
        self._distrusts = 0

    async def ensure(self, *, is_known: bool) -> None:
        """Take the lock if it is not held, and write the row. Raises `StorageError` without a database.

        A node without a row was declared lost by another node: wrongly, just as it came back, or because its session
        ended without notice at this end. So a node that is not known opens a new session. So does a node that has
        met a server that takes no writes: its session may be on that server, which the other nodes no longer query.
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
                await tx.run(_INSERT, node=self._node, worker=self._worker)
        except BaseException:
            session.terminate()
            raise
        self._connection, self._distrusts = session, distrusts

    async def _session(self) -> Any:  # noqa: ANN401 - the driver's
        """Return a session that holds the lock; None where an earlier session of this node still holds it."""
        try:
            session = await self._connect()
            try:
                holds = await session.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCK_CLASS, self._node)
            except BaseException:
                session.terminate()
                raise
        except _LOST as error:
            raise Unavailable(str(error) or type(error).__name__) from error
        if holds:
            return session
        session.terminate()
        return None

    async def release(self) -> None:
        """Release the lock and delete the row. Ignores database errors: the other nodes then find the lock released."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            async with asyncio.timeout(_RELEASE_SECONDS), self._db.write() as tx:
                await delete(tx, self._node)
        except (StorageError, TimeoutError):
            pass
        finally:
            connection.terminate()
