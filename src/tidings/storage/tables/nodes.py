# SPDX-License-Identifier: MIT
"""Nodes: their heartbeat queries and liveness locks, the settings that they share, and the time that they agree on.

The liveness lock is an advisory lock on the node's number. PostgreSQL releases it when the session ends, and the
kernel closes the session's socket when the process ends. So the other nodes notice within a second and need not wait
for leases to expire. If a node is cut off from the database, or its machine loses power, its session lingers; its work
is then taken over when its leases expire.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from tidings import __version__
from tidings.storage.drivers.database import (
    Database,
    Read,
    Sql,
    StorageError,
    Unavailable,
    Write,
    composed,
    from_row,
)
from tidings.storage.drivers.postgres import SCHEMA_NUMBER, PostgresDatabase
from tidings.storage.tables.api_keys import DELETION_SETTING

_LOCK_CLASS: Final = SCHEMA_NUMBER
"""The first key of every liveness lock; the second key is the node's number."""
_INSERT: Final = (
    "INSERT INTO node (id, worker, release) VALUES (CAST(:node AS BIGINT), :worker, :release) ON CONFLICT DO NOTHING"
)
_DELETE: Final = "DELETE FROM node WHERE id = :node"
_RELEASES: Final = "SELECT worker, release FROM node ORDER BY id"
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_RELEASE_SECONDS: Final = 1.0

# -----------------------------------------------------------------------------------------------------------------
# Heartbeats: once a second, a node on PostgreSQL reads due work and the changes that other nodes made.

IS_LOST: Final = f"""NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND classid = CAST({_LOCK_CLASS} AS oid) AND objid = CAST(node.id AS oid)
    AND objsubid = 2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""
"""Whether a row of `node` is that of a node without its liveness lock. PostgreSQL only."""

# `lost` are the other nodes that do not hold their liveness lock. `pg_locks` is read only if there are other nodes.
_HEARTBEAT: Final = f"""
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now,
  (SELECT due_at FROM delivery WHERE lease IS NULL ORDER BY due_at LIMIT 1) AS due,
  (SELECT lease_until FROM delivery WHERE lease IS NOT NULL ORDER BY lease_until LIMIT 1) AS lease_expiry,
  (SELECT min(ready_at) FROM task WHERE state = 'queued') AS ready,
  (SELECT min(lease_until) FROM task WHERE state = 'running') AS task_lease_expiry,
  (SELECT json_object_agg(id, routing_version) FROM application WHERE routed_at >= :since) AS changed,
  (SELECT json_object_agg(id, version) FROM api_key WHERE changed_at >= :keys_since) AS keys,
  (SELECT value FROM setting WHERE name = '{DELETION_SETTING}') AS keys_deleted,
  (SELECT json_object_agg(id, worker) FROM node WHERE id <> :node AND {IS_LOST}) AS lost,
  EXISTS (SELECT 1 FROM node WHERE id = :node) AS is_known,
  EXISTS (SELECT 1 FROM operational_event) AS has_events
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
    keys: dict[str, int]
    """The API keys that changed lately, with their current versions."""
    keys_deleted: str | None
    """A text that differs after each deletion of keys that had not ended."""
    lost: dict[int, str]
    """The nodes that do not hold their liveness lock, with their worker names."""
    is_known: bool
    """Whether the table `node` has a row for this node."""
    has_events: bool
    """Whether there are operational events to pass on."""


async def heartbeat(read: Read, *, since: int, keys_since: int, node: int) -> HeartbeatResult:
    """Run the heartbeat query of `node`.

    It reports routing changes at or after `since`, and changes of API keys at or after `keys_since`.
    """
    row = await read.one(_HEARTBEAT, since=since, keys_since=keys_since, node=node)
    return HeartbeatResult(
        now=row["now"],
        deliveries_at=_first(row["due"], row["lease_expiry"]),
        tasks_at=_first(row["ready"], row["task_lease_expiry"]),
        changed=json.loads(row["changed"] or "{}"),
        keys=json.loads(row["keys"] or "{}"),
        keys_deleted=row["keys_deleted"],
        lost={int(each): worker for each, worker in json.loads(row["lost"] or "{}").items()},
        is_known=row["is_known"],
        has_events=row["has_events"],
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


async def releases(read: Read) -> list[tuple[str, str]]:
    """Return the worker names and releases of the nodes that have a row."""
    return [(row["worker"], row["release"]) for row in await read.rows(_RELEASES)]


async def delete(tx: Write, node: int) -> bool:
    """Delete the row of a node; return whether there was one."""
    return await tx.run(_DELETE, node=node) > 0


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
                holds = await session.fetchval(f"SELECT pg_try_advisory_lock({_LOCK_CLASS}, $1)", self._node)
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


# -----------------------------------------------------------------------------------------------------------------
# Settings: values that an installation generates and stores, shared by all nodes on the database

_ADD: Final = "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"
_ADVANCE: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE setting.value < excluded.value"
)
_GET: Final = "SELECT value FROM setting WHERE name = :name"
_GET_SOME: Final = "SELECT name, value FROM setting WHERE name IN :names"


async def setting(tx: Read, name: str) -> str | None:
    """Return the value of a setting, or None."""
    row = await tx.row(_GET, name=name)
    return None if row is None else str(row["value"])


async def settings_of(read: Read, names: Sequence[str]) -> dict[str, str]:
    """Return the values of several settings; those without a value are left out."""
    return {row["name"]: row["value"] for row in await read.rows(_GET_SOME, names=names)}


async def get_or_set_setting(tx: Write, name: str, value: str) -> str:
    """Store the value of a setting unless it has one; return the stored value."""
    await tx.run(_ADD, name=name, value=value)
    row = await tx.one(_GET, name=name)
    return str(row["value"])


async def advance_setting(tx: Write, name: str, value: str) -> None:
    """Raise the value of a setting that never decreases: if several nodes write it, the greatest value remains."""
    await tx.run(_ADVANCE, name=name, value=value)


# -----------------------------------------------------------------------------------------------------------------
# Rescheduling, after the wall clock was set back

# The chunk is limited by primary key first and filtered afterwards. With the condition on `due_at` inside, PostgreSQL
# would read and sort all later deliveries for each chunk. The last row is always returned, because it is the cursor.
# Messages and attempts are looked up one by one: PostgreSQL could read all of them for a join.
_SCHEDULED: Final = composed(
    """
WITH chunk AS MATERIALIZED (
  SELECT msg_id, endpoint_id, due_at, retry_at, manual, lease FROM delivery
  WHERE (msg_id, endpoint_id) > (:msg, :endpoint)
  ORDER BY msg_id, endpoint_id LIMIT CAST(:limit AS BIGINT)
)
SELECT d.msg_id AS msg_id, d.endpoint_id AS endpoint_id, d.due_at AS due_at, d.retry_at AS retry_at,
  d.manual AS is_manual, d.lease AS lease,
  (SELECT deliver_at FROM message AS m WHERE m.id = d.msg_id LIMIT 1) AS deliver_at,
  (SELECT a.id {last}) AS attempt_id, (SELECT a.next_at {last}) AS next_at
FROM chunk AS d
WHERE (d.lease IS NULL AND d.due_at > :now) OR (d.msg_id, d.endpoint_id) = (
  SELECT msg_id, endpoint_id FROM chunk ORDER BY msg_id DESC, endpoint_id DESC LIMIT 1
)
ORDER BY d.msg_id, d.endpoint_id
""",
    last=Sql(
        sqlite=(
            "FROM attempt AS a WHERE a.msg_id = d.msg_id AND a.endpoint_id = d.endpoint_id ORDER BY a.id DESC LIMIT 1"
        ),
        postgresql=(
            "FROM attempt AS a WHERE (a.msg_id, a.endpoint_id) >= (d.msg_id, d.endpoint_id)"
            " AND (a.msg_id, a.endpoint_id) <= (d.msg_id, d.endpoint_id)"
            " ORDER BY a.msg_id DESC, a.endpoint_id DESC, a.id DESC LIMIT 1"
        ),
    ),
)
# `lease` and `lease_until` are null together. A condition on `lease_until` rules out the partial indexes on `lease`:
# without statistics PostgreSQL would use one, and read all rows with the same endpoint or `due_at` to find each row.
_MOVE_DELIVERIES: Final = """
UPDATE delivery SET due_at = given.due, retry_at = given.retry
FROM given(msg text, endpoint text, was bigint, due bigint, retry bigint)
WHERE found_by(msg_id, given.msg) AND endpoint_id = given.endpoint AND due_at = given.was AND lease_until IS NULL
"""
_CAP_THROTTLES: Final = """
UPDATE throttle SET tat_us = CAST(:tat AS BIGINT),
  limited_since = CASE WHEN limited_since > CAST(:now AS BIGINT) THEN CAST(:now AS BIGINT) ELSE limited_since END
WHERE tat_us > CAST(:tat AS BIGINT)
"""
_CAP_TASKS: Final = "UPDATE task SET ready_at = :now WHERE state = 'queued' AND ready_at > CAST(:latest AS BIGINT)"


@dataclass(frozen=True, slots=True)
class ScheduledDelivery:
    """A delivery that is due later, with the timestamps that determine when; in milliseconds since the Unix epoch."""

    msg_id: str
    endpoint_id: str
    due_at: int
    retry_at: int | None
    is_manual: bool
    deliver_at: int | None
    attempt_id: str | None
    """The last attempt of the delivery."""
    next_at: int | None
    """The time of the retry that the last attempt scheduled."""


async def scheduled_deliveries(
    read: Read, *, now: int, after: tuple[str, str], limit: int
) -> tuple[list[ScheduledDelivery], tuple[str, str] | None]:
    """Scan the next `limit` deliveries by key; return those that are due after now, and the last key scanned.

    The key is None if no deliveries are left.
    """
    msg, endpoint = after
    rows = await read.rows(_SCHEDULED, now=now, msg=msg, endpoint=endpoint, limit=limit)
    found = [from_row(ScheduledDelivery, row) for row in rows if row["lease"] is None and row["due_at"] > now]
    return found, (rows[-1]["msg_id"], rows[-1]["endpoint_id"]) if rows else None


async def move_deliveries(tx: Write, moved: Sequence[tuple[ScheduledDelivery, int, int | None]]) -> int:
    """Set `due_at` and `retry_at` of deliveries that have not changed since they were read; return how many."""
    rows = [(was.msg_id, was.endpoint_id, was.due_at, due_at, retry_at) for was, due_at, retry_at in moved]
    return await tx.bulk(_MOVE_DELIVERIES, sorted(rows))


async def cap_throttles(tx: Write, *, now: int, tat: int) -> None:
    """Lower the theoretical arrival times of rate limits that exceed `tat` (microseconds) to `tat`."""
    await tx.run(_CAP_THROTTLES, now=now, tat=tat)


async def cap_task_waits(tx: Write, *, now: int, latest: int) -> None:
    """Make queued tasks ready if they would wait until after `latest`, longer than any task should."""
    await tx.run(_CAP_TASKS, now=now, latest=latest)
