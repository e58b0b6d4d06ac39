# SPDX-License-Identifier: MIT
"""Nodes that share a PostgreSQL database: their heartbeat queries, and the liveness lock that each holds.

The liveness lock is an advisory lock on the node's number. PostgreSQL releases it when the session ends, and the
kernel closes the session's socket when the process ends. So the other nodes notice within a second and need not wait
for leases to expire. If a node is cut off from the database, or its machine loses power, its session lingers; its work
is then taken over when its leases expire.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from tidings import __version__
from tidings.storage.drivers.database import Database, Read, StorageError, Unavailable, Write
from tidings.storage.drivers.postgres import PostgresDatabase

_LOCK_CLASS: Final = 0x7469
"""The first key of every liveness lock; the second key is the node's number."""
_INSERT: Final = (
    "INSERT INTO node (id, worker, release) VALUES (CAST(:node AS BIGINT), :worker, :release) ON CONFLICT DO NOTHING"
)
_DELETE: Final = "DELETE FROM node WHERE id = :node"
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_RELEASE_SECONDS: Final = 1.0

# -----------------------------------------------------------------------------------------------------------------
# Heartbeats: once a second, a node on PostgreSQL reads due work and the changes that other nodes made.

# `lost` are the other nodes that do not hold their liveness lock. `pg_locks` is read only if there are other nodes.
_HEARTBEAT: Final = f"""
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now,
  (SELECT min(due_at) FROM delivery WHERE lease IS NULL) AS due,
  (SELECT min(lease_until) FROM delivery WHERE lease IS NOT NULL) AS lease_expiry,
  (SELECT min(ready_at) FROM task WHERE state = 'queued') AS ready,
  (SELECT min(lease_until) FROM task WHERE state = 'running') AS task_lease_expiry,
  (SELECT json_object_agg(id, routing_version) FROM application WHERE routed_at >= :since) AS changed,
  (SELECT json_object_agg(id, worker) FROM node WHERE id <> :node AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND classid = {_LOCK_CLASS} AND objid = CAST(node.id AS oid) AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))) AS lost,
  EXISTS (SELECT 1 FROM node WHERE id = :node) AS is_known
"""
_ROWS: Final = 16
_WRITE: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


@dataclass(frozen=True, slots=True)
class HeartbeatResult:
    """The result of a heartbeat query. Timestamps are from the clock of the database."""

    now: int
    deliveries_at: int | None
    """When the next delivery is due or the next delivery lease expires; None if there is neither."""
    tasks_at: int | None
    """When the next task is ready or the next task lease expires; None if there is neither."""
    changed: dict[str, int]
    """The applications whose routing changed lately, with their current routing versions."""
    lost: dict[int, str]
    """The nodes that do not hold their liveness lock, with their worker names."""
    is_known: bool
    """Whether the table `node` has a row for this node."""


async def heartbeat(read: Read, *, since: int, node: int) -> HeartbeatResult:
    """Run the heartbeat query of `node`. It reports routing changes at or after `since`."""
    row = await read.one(_HEARTBEAT, since=since, node=node)
    return HeartbeatResult(
        now=row["now"],
        deliveries_at=_first(row["due"], row["lease_expiry"]),
        tasks_at=_first(row["ready"], row["task_lease_expiry"]),
        changed=json.loads(row["changed"] or "{}"),
        lost={int(each): worker for each, worker in json.loads(row["lost"] or "{}").items()},
        is_known=row["is_known"],
    )


def _first(*timestamps: int | None) -> int | None:
    return min((timestamp for timestamp in timestamps if timestamp is not None), default=None)


async def write_heartbeat(db: Database, node: int, now: int) -> None:
    """Write one row to prove that the database accepts writes; raise `StorageError` if it does not.

    Nodes share 16 rows, so lost nodes leave no rows that need cleanup.
    """
    async with db.write(background=True) as tx:
        await tx.run(_WRITE, name=f"heartbeat:{node % _ROWS}", value=str(now))


# -----------------------------------------------------------------------------------------------------------------
# Open transactions: pages of a list that a client follows end before the oldest of them.

# A role sees the transaction start of its own sessions only. A single statement counts as a transaction; one that only
# reads delays the list for no longer than it runs.
_OPEN: Final = """
SELECT CAST(ceil(max(extract(epoch FROM clock_timestamp() - xact_start)) * 1000) AS BIGINT) AS age,
  (SELECT count(*) > 1 FROM node) AS has_others
FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class OpenTransactions:
    """The age of the oldest open transaction in milliseconds, and whether other nodes exist."""

    age: int | None
    has_others: bool


async def open_transactions(read: Read) -> OpenTransactions:
    """Return the open transactions of this database. A transaction that is not found has ended, or starts later."""
    row = await read.one(_OPEN)
    return OpenTransactions(row["age"], bool(row["has_others"]))


async def delete(tx: Write, node: int) -> None:
    """Delete the row of a node."""
    await tx.run(_DELETE, node=node)


# -----------------------------------------------------------------------------------------------------------------
# Liveness


class LivenessLock:
    """The liveness lock of this node, held on a dedicated connection."""

    __slots__ = ("_connection", "_db", "_distrusts", "_node", "_worker")

    def __init__(self, db: PostgresDatabase, node: int, worker: str) -> None:
        self._db = db
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
            session = await self._db.connect()
            try:
                holds = await session.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_CLASS, self._node)
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


def liveness_lock(db: Database, node: int, worker: str) -> LivenessLock | None:
    """Return the liveness lock of a node, or None if no session of the database can hold one.

    SQLite has one node. Where a pooler owns the sessions, the work of a lost node is taken over when its leases expire.
    """
    return LivenessLock(db, node, worker) if isinstance(db, PostgresDatabase) and db.keeps_sessions else None
