# SPDX-License-Identifier: MIT
"""Statements that delete rows permanently, in chunks: all data of an organization, old messages and old tasks."""

from collections.abc import Sequence
from typing import Final

from tidings.ids import OrgId
from tidings.storage.drivers.database import Read, Row, Sql, Write
from tidings.storage.tables import api_keys

_APPS: Final = "SELECT id FROM application WHERE org_id = :org"
_ENDPOINTS: Final = "SELECT id FROM endpoint WHERE app_id = :app"
_OF_APP: Final = "SELECT id FROM message WHERE app_id = :app ORDER BY id LIMIT CAST(:limit AS BIGINT)"
_OLD: Final = "SELECT id FROM message WHERE id > :after AND id < :below ORDER BY id LIMIT CAST(:limit AS BIGINT)"
_WITH_DELIVERIES: Final = "SELECT DISTINCT msg_id FROM delivery WHERE msg_id IN :ids"
_COUNT_ATTEMPTS: Final = "SELECT count(*) AS n FROM attempt WHERE msg_id IN :ids"
_COUNT_DELIVERIES: Final = "SELECT endpoint_id, count(*) AS n FROM delivery WHERE msg_id IN :ids GROUP BY endpoint_id"
_TASKS: Final = "SELECT id FROM task WHERE org_id = :org LIMIT CAST(:limit AS BIGINT)"
_ATTEMPTS: Final = "DELETE FROM attempt WHERE msg_id IN :ids"
_DELIVERIES: Final = "DELETE FROM delivery WHERE msg_id IN :ids"
# The order and the event id, which only the rows have, keep PostgreSQL from reading the whole index of applications.
_GIVEN: Final = "SELECT id, app_id, event_id FROM message WHERE id IN :ids ORDER BY id"
_EVENT_IDS: Final = (
    "DELETE FROM event_id USING given(app text, event text, msg text)"
    " WHERE found_by(app_id, given.app) AND event_id = given.event AND msg_id = given.msg"
)
_OLDEST: Final = (
    "SELECT id FROM message WHERE id > :after AND id < :below ORDER BY id LIMIT CAST(:limit AS BIGINT)"
    " FOR UPDATE SKIP LOCKED"
)
# The rows of partitions have no address of their own, and PostgreSQL could compare each key with each row of the table.
_OF_ATTEMPTS: Final = Sql(
    sqlite="DELETE FROM attempt WHERE rowid IN (SELECT rowid {rows})",
    postgresql=(
        "DELETE FROM attempt USING (SELECT msg_id, endpoint_id, id {rows}) AS old"
        " WHERE found_by(attempt.msg_id, old.msg_id)"
        " AND (attempt.msg_id, attempt.endpoint_id, attempt.id) >= (old.msg_id, old.endpoint_id, old.id)"
        " AND (attempt.msg_id, attempt.endpoint_id, attempt.id) <= (old.msg_id, old.endpoint_id, old.id)"
    ),
)
_SOME_ATTEMPTS: Final = _OF_ATTEMPTS.format(rows="FROM attempt WHERE msg_id IN :ids LIMIT CAST(:limit AS BIGINT)")
# Old rows of messages that are deleted: a result that was written after its message was deleted.
_ATTEMPTED: Final = (
    "SELECT msg_id FROM attempt WHERE msg_id > :after AND msg_id < :below ORDER BY msg_id LIMIT CAST(:limit AS BIGINT)"
)
_HAS_DELIVERIES: Final = "SELECT 1 FROM delivery WHERE msg_id >= :first AND msg_id < :end LIMIT 1"
# Without the application, PostgreSQL could search the whole index of applications for each id.
_MESSAGES: Final = (
    "DELETE FROM message USING given(app text, msg text) WHERE found_by(id, given.msg)"
    " AND (app_id, id) >= (given.app, given.msg) AND (app_id, id) <= (given.app, given.msg)"
)
_OLD_ATTEMPTS: Final = _OF_ATTEMPTS.format(
    rows="FROM attempt WHERE endpoint_id = :endpoint LIMIT CAST(:limit AS BIGINT)"
)
_OF_TASKS: Final = (
    "DELETE FROM task_item WHERE task_id IN :ids",
    "DELETE FROM task_event WHERE task_id IN :ids",
    "DELETE FROM task_input WHERE task_id IN :ids",
    "DELETE FROM task WHERE id IN :ids",
)
_OF_APPS: Final = (
    "DELETE FROM event_id WHERE app_id IN :ids",
    "DELETE FROM token_end WHERE app_id IN :ids",
    "DELETE FROM throttle WHERE key IN :ids",
    "DELETE FROM endpoint WHERE app_id IN :ids",
    "DELETE FROM integration WHERE app_id IN :ids",
    "DELETE FROM application WHERE id IN :ids",
)
_OF_ORG: Final = (
    "DELETE FROM event_type WHERE org_id = :org",
    "DELETE FROM operational_event WHERE org_id = :org",
    "DELETE FROM notification WHERE org_id = :org",
    "DELETE FROM export WHERE org_id = :org",
    "DELETE FROM connector_version WHERE connector_id IN (SELECT id FROM connector WHERE org_id = :org)",
    "DELETE FROM connector WHERE org_id = :org",
    "DELETE FROM environment WHERE org_id = :org",
)
_OF_ENDPOINTS: Final = (
    "DELETE FROM throttle WHERE key IN :ids",
    "DELETE FROM endpoint_history WHERE endpoint_id IN :ids",
    "DELETE FROM endpoint_connector WHERE endpoint_id IN :ids",
    "DELETE FROM transformation WHERE endpoint_id IN :ids",
)


async def applications(read: Read, org_id: OrgId) -> list[str]:
    """Return the ids of all applications of an organization, including deleted ones."""
    return [row["id"] for row in await read.rows(_APPS, org=org_id)]


async def endpoints(read: Read, app_id: str) -> list[str]:
    """Return the ids of all endpoints of an application, including deleted ones."""
    return [row["id"] for row in await read.rows(_ENDPOINTS, app=app_id)]


async def messages_of(read: Read, app_id: str, limit: int) -> list[str]:
    """Return the ids of the oldest messages of an application, up to a limit."""
    return [row["id"] for row in await read.rows(_OF_APP, app=app_id, limit=limit)]


async def messages_below(read: Read, below: str, limit: int, *, after: str = "") -> list[str]:
    """Return the ids of the oldest messages with `after < id < below`, up to a limit."""
    return [row["id"] for row in await read.rows(_OLD, after=after, below=below, limit=limit)]


async def with_deliveries(read: Read, msg_ids: Sequence[str]) -> set[str]:
    """Return the ids of those of the given messages that have deliveries, scheduled or in flight."""
    return {row["msg_id"] for row in await read.rows(_WITH_DELIVERIES, ids=list(msg_ids))}


async def count_attempts(read: Read, msg_ids: Sequence[str]) -> int:
    """Count the attempts of messages."""
    return int((await read.one(_COUNT_ATTEMPTS, ids=list(msg_ids)))["n"])


async def count_deliveries(read: Read, msg_ids: Sequence[str]) -> dict[str, int]:
    """Count the deliveries of messages for each endpoint."""
    return {row["endpoint_id"]: row["n"] for row in await read.rows(_COUNT_DELIVERIES, ids=list(msg_ids))}


async def delete_messages(tx: Write, msg_ids: Sequence[str]) -> dict[str, int]:
    """Delete messages with their attempts, deliveries and event ids; return the numbers of deleted rows by name."""
    ids = list(msg_ids)
    deleted = {"attempts": await tx.run(_ATTEMPTS, ids=ids), "deliveries": await tx.run(_DELIVERIES, ids=ids)}
    return deleted | {"messages": await delete_rows(tx, ids)}


async def lock_oldest(tx: Write, *, after: str, below: str, limit: int) -> list[str]:
    """Lock the oldest messages with `after < id < below`, up to a limit, and return their ids.

    Messages that another transaction has locked are left out.
    """
    return [row["id"] for row in await tx.rows(_OLDEST, after=after, below=below, limit=limit)]


async def delete_some_attempts(tx: Write, msg_ids: Sequence[str], limit: int) -> int:
    """Delete up to `limit` attempts of messages; return how many."""
    return await tx.run(_SOME_ATTEMPTS, ids=list(msg_ids), limit=limit)


async def delete_event_ids(tx: Write, msg_ids: Sequence[str]) -> None:
    """Delete the event ids of messages; they may be used again."""
    await _delete_event_ids(tx, await tx.rows(_GIVEN, ids=list(msg_ids)))


async def delete_rows(tx: Write, msg_ids: Sequence[str]) -> int:
    """Delete the rows and event ids of messages, without the rows of other tables; return the number of messages."""
    rows = await tx.rows(_GIVEN, ids=list(msg_ids))
    await _delete_event_ids(tx, rows)
    return await tx.bulk(_MESSAGES, [(row["app_id"], row["id"]) for row in rows]) if rows else 0


async def _delete_event_ids(tx: Write, rows: Sequence[Row]) -> None:
    held = [(row["app_id"], row["event_id"], row["id"]) for row in rows if row["event_id"] is not None]
    if held:
        await tx.bulk(_EVENT_IDS, sorted(held))


async def has_deliveries(read: Read, first: str, end: str) -> bool:
    """Return whether a message with `first <= id < end` has a delivery, scheduled or in flight."""
    return await read.row(_HAS_DELIVERIES, first=first, end=end) is not None


async def attempted(read: Read, *, after: str, below: str, limit: int) -> list[str]:
    """Return the message ids of the oldest attempts with `after < msg_id < below`, up to a limit, with repetitions."""
    return [row["msg_id"] for row in await read.rows(_ATTEMPTED, after=after, below=below, limit=limit)]


async def existing(read: Read, msg_ids: Sequence[str]) -> set[str]:
    """Return those of the given ids that are ids of messages."""
    return {row["id"] for row in await read.rows(_GIVEN, ids=list(msg_ids))}


async def delete_attempts(tx: Write, endpoint_id: str, limit: int) -> int:
    """Delete up to `limit` attempts at an endpoint whose messages are deleted; return how many."""
    return await tx.run(_OLD_ATTEMPTS, endpoint=endpoint_id, limit=limit)


async def delete_tasks(tx: Write, org_id: OrgId, limit: int) -> int:
    """Delete up to `limit` tasks of an organization, with their events, inputs and items; return how many."""
    ids = [row["id"] for row in await tx.rows(_TASKS, org=org_id, limit=limit)]
    for statement in _OF_TASKS if ids else ():
        await tx.run(statement, ids=ids)
    return len(ids)


async def delete_application(tx: Write, app_id: str, endpoint_ids: Sequence[str]) -> None:
    """Delete an application with its endpoints, their history, tokens, throttles and event ids."""
    for statement in _OF_ENDPOINTS:
        await tx.run(statement, ids=list(endpoint_ids))
    for statement in _OF_APPS:
        await tx.run(statement, ids=[app_id])


async def delete_rest(tx: Write, org_id: OrgId) -> None:
    """Delete the event types, operational events, exports, API keys, connectors and settings of an organization."""
    await api_keys.delete_of_org(tx, org_id)
    for statement in _OF_ORG:
        await tx.run(statement, org=org_id)


# -----------------------------------------------------------------------------------------------------------------
# Old tasks, with their events, inputs and items

# Only tasks that have ended have a `finished_at`.
_OLD_TASKS: Final = (
    "SELECT id FROM task WHERE finished_at IS NOT NULL AND finished_at < CAST(:before AS BIGINT)"
    " ORDER BY finished_at LIMIT CAST(:limit AS BIGINT)"
)
_PRUNE: Final = (
    "DELETE FROM task_event WHERE task_id IN :ids",
    "DELETE FROM task_input WHERE task_id IN :ids",
    "DELETE FROM task WHERE id IN :ids AND finished_at IS NOT NULL AND finished_at < CAST(:before AS BIGINT)",
)
_DELETE_ITEMS: Final = (
    "DELETE FROM task_item WHERE row_address IN"
    " (SELECT row_address FROM task_item WHERE task_id IN :ids LIMIT CAST(:limit AS BIGINT))"
)
_COUNT_ITEMS: Final = (
    "SELECT count(*) AS n FROM (SELECT 1 FROM task_item WHERE task_id IN :ids LIMIT CAST(:limit AS BIGINT)) AS found"
)
_SINCE: Final = "SELECT 1 FROM task WHERE org_id = :org AND kind = :kind AND id >= :first LIMIT 1"


async def old_tasks(read: Read, *, before: int, limit: int) -> list[str]:
    """Return the ids of tasks that ended before a timestamp, the earliest end first."""
    return [row["id"] for row in await read.rows(_OLD_TASKS, before=before, limit=limit)]


async def prune_tasks(tx: Write, task_ids: Sequence[str], *, before: int) -> int:
    """Delete tasks with their events and inputs; return the number of tasks.

    A task may have many items; `prune_items` deletes those in chunks.
    """
    deleted = 0
    for statement in _PRUNE:
        deleted = await tx.run(statement, ids=task_ids, before=before)
    return deleted


async def count_items(read: Read, task_ids: Sequence[str], *, limit: int) -> int:
    """Count the remaining items of deleted tasks, up to a limit."""
    return int((await read.one(_COUNT_ITEMS, ids=task_ids, limit=limit))["n"])


async def prune_items(tx: Write, task_ids: Sequence[str], *, limit: int) -> int:
    """Delete up to `limit` items of deleted tasks; return how many."""
    return await tx.run(_DELETE_ITEMS, ids=task_ids, limit=limit)


async def has_started_since(read: Read, org_id: str, kind: str, first: str) -> bool:
    """Return whether the organization has a task of this kind whose id is `first` or greater."""
    return await read.row(_SINCE, org=org_id, kind=kind, first=first) is not None
