# SPDX-License-Identifier: MIT
"""Nodes that share a PostgreSQL database. Each has a row, and a session that holds its liveness lock.

The liveness lock is an advisory lock on the node's number. PostgreSQL releases it when the session ends, and the
kernel closes the session's socket when the process ends. So the other nodes notice within a second and need not wait
for leases to expire. If a node is cut off from the database, or its machine loses power, its session lingers; its work
is then taken over when its leases expire.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

from tidings import __version__
from tidings.storage.drivers.database import StorageError, Unavailable, Write
from tidings.storage.drivers.postgres import PostgresDatabase

LOCK_CLASS: Final = 0x7469
"""The first key of every liveness lock; the second key is the node's number."""
LOST_NODES: Final = f"""
SELECT json_object_agg(id, worker) FROM node WHERE id <> :node AND NOT EXISTS (
  SELECT 1 FROM pg_locks
  WHERE locktype = 'advisory' AND classid = {LOCK_CLASS} AND objid = CAST(node.id AS oid) AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
"""Selects the other nodes that do not hold their liveness lock. Reads `pg_locks` only if there are other nodes."""
_INSERT: Final = (
    "INSERT INTO node (id, worker, release) VALUES (CAST(:node AS BIGINT), :worker, :release) ON CONFLICT DO NOTHING"
)
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_RELEASE_SECONDS: Final = 1.0
_DELETE: Final = "DELETE FROM node WHERE id = :node"


async def delete(tx: Write, node: int) -> None:
    """Delete the row of a node."""
    await tx.run(_DELETE, node=node)


class LivenessLock:
    """The liveness lock of this node, held on a dedicated connection that `connect` opens."""

    __slots__ = ("_connect", "_connection", "_db", "_distrusts", "_node", "_worker")

    def __init__(self, db: PostgresDatabase, connect: Callable[[], Awaitable[Any]], node: int, worker: str) -> None:
        self._db = db
        self._connect = connect
        self._node = node
        self._worker = worker
        self._connection: Any = None
        self._distrusts = 0

    async def ensure(self, *, is_known: bool) -> None:
        """Take the lock if it is not held, and insert the row. Raises `StorageError` if the database is unavailable.

        `is_known` says whether the node's row exists. Without it, another node has declared this one lost: by mistake,
        just as it reconnected, or because its session ended unnoticed on this side. Such a node opens a new session. So
        does a node that has seen a read-only server: its session may be on that server, which the other nodes no
        longer query.
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
                await tx.run(_INSERT, node=self._node, worker=self._worker, release=__version__)
        except BaseException:
            session.terminate()
            raise
        self._connection, self._distrusts = session, distrusts

    async def _session(self) -> Any:  # noqa: ANN401 - the driver has no type
        """Return a session that holds the lock, or None if an earlier session of this node still holds it."""
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
        """Release the lock and delete the row. Ignores database errors: other nodes then see that the lock is free."""
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
