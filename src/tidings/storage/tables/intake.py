# SPDX-License-Identifier: MIT
"""Bulk writes of accepted messages: idempotency records, event ids and messages.

An earlier request may hold an idempotency key or an event id. A bulk statement returns only the number of keys that it
claimed. If that is not all of them, which is rare, a second query finds the holders of the others. Rows are written in
key order, so two nodes with the same keys wait for each other without a deadlock.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.model.message import MessageExtras
from tidings.storage.drivers.database import Read, Row, Sql, Table, Value, Write
from tidings.storage.tables import bucket_index
from tidings.storage.tables.bucket_index import BucketIndexCache, Entry


@dataclass(slots=True, eq=False)
class NewMessage:
    """A message to insert, with the idempotency key and the event id that it claims."""

    id: str
    app_id: str
    org_id: str
    event_type: str
    event_id: str | None
    channels: str | None
    payload: bytes
    expires_at: int | None
    idempotency_key: str | None
    extras: MessageExtras | None = None


_KEYS: Final = Sql(
    sqlite="""
INSERT INTO idempotency_record (key, msg_id, expires_at) VALUES (?1, ?2, ?3)
ON CONFLICT (key) DO UPDATE
SET rowid = (SELECT max(rowid) + 1 FROM idempotency_record),
  msg_id = excluded.msg_id, expires_at = excluded.expires_at, status = NULL, body = NULL
WHERE idempotency_record.expires_at <= ?4
""",
    postgresql="""
INSERT INTO idempotency_record (key, msg_id, expires_at)
SELECT k, m, e FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS t(k, m, e, now)
ON CONFLICT (key) DO UPDATE
SET msg_id = excluded.msg_id, expires_at = excluded.expires_at, status = NULL, body = NULL
WHERE idempotency_record.expires_at <= ($4::bigint[])[1]
""",
)
_HOLDER: Final = "SELECT msg_id FROM idempotency_record WHERE key = :key AND msg_id IS NOT NULL AND expires_at > :now"
_HOLDERS: Final = Sql(
    sqlite="SELECT key, msg_id FROM idempotency_record WHERE key IN (SELECT value FROM json_each(:keys))",
    postgresql="SELECT key, msg_id FROM idempotency_record WHERE key = ANY(CAST(:keys AS text[]))",
)
_EVENT_IDS: Final = Sql(
    sqlite="INSERT INTO event_id (app_id, event_id, msg_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    postgresql=(
        "INSERT INTO event_id (app_id, event_id, msg_id)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING"
    ),
)
_EVENT_HOLDER: Final = "SELECT msg_id FROM event_id WHERE app_id = :app AND event_id = :event"
_RELEASE: Final = Sql(
    sqlite="DELETE FROM idempotency_record WHERE key IN (SELECT value FROM json_each(:keys))",
    postgresql="DELETE FROM idempotency_record WHERE key = ANY(CAST(:keys AS text[]))",
)
# Few messages have values in all columns, so a batch inserts only the columns that its messages need.
_PLAIN: Final = Table("message", ("id", "app_id", "org_id", "event_type", "channels", "payload"))
_USUAL: Final = Table("message", (*_PLAIN.columns, "event_id", "expires_at"))
_WHOLE: Final = Table("message", (*_USUAL.columns, "tags", "deliver_at", "raw"))
_EXPIRE: Final = Sql(
    # Rowids follow expiry, so the first rows expire first.
    sqlite=(
        "DELETE FROM idempotency_record"
        " WHERE rowid IN (SELECT rowid FROM idempotency_record ORDER BY rowid LIMIT :limit) AND expires_at <= :now"
    ),
    postgresql=(
        "DELETE FROM idempotency_record WHERE key IN"
        " (SELECT key FROM idempotency_record WHERE expires_at <= CAST(:now AS BIGINT)"
        " LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
    ),
)


async def claim_idempotency_keys(
    tx: Write, messages: Sequence[NewMessage], *, now: int, expires_at: int
) -> dict[str, str]:
    """Claim the idempotency keys of messages; return the keys already in use, with the messages that hold them."""
    rows = sorted(
        (each.idempotency_key, each.id, expires_at, now) for each in messages if each.idempotency_key is not None
    )
    if not rows or await tx.bulk(_KEYS, rows) == len(rows):
        return {}
    ours: dict[Value, Value] = {row[0]: row[1] for row in rows}
    held = await tx.rows(_HOLDERS, keys=[row[0] for row in rows])
    return {row["key"]: row["msg_id"] for row in held if ours[row["key"]] != row["msg_id"]}


async def claim_event_ids(tx: Write, messages: Sequence[NewMessage]) -> set[str]:
    """Claim the event ids of messages; return the messages whose event id another message of the application has."""
    rows = sorted((each.app_id, each.event_id, each.id) for each in messages if each.event_id is not None)
    if not rows or await tx.bulk(_EVENT_IDS, rows) == len(rows):
        return set()
    lost = set()
    for app_id, event_id, msg_id in rows:
        holder = await tx.one(_EVENT_HOLDER, app=app_id, event=event_id)
        if holder["msg_id"] != msg_id:
            lost.add(msg_id)
    return lost


async def release_idempotency_keys(tx: Write, idempotency_keys: Sequence[str]) -> None:
    """Release the idempotency keys that this transaction claimed for messages that it refuses."""
    await tx.run(_RELEASE, keys=idempotency_keys)


_Shape = tuple[str, str, str, str | None, tuple[str, ...] | None]
"""The application, time bucket, event type, channels and tags: they determine the entries of a message."""


async def add(tx: Write, messages: Sequence[NewMessage], cache: BucketIndexCache | None = None) -> None:
    """Insert messages, and their entries in the bucket index that `cache` does not have."""
    await bucket_index.add(tx, {_shape(message) for message in messages}, _entries_of, cache)
    if any(m.extras is not None for m in messages):
        await tx.add(_WHOLE, [(*_plain(m), m.event_id, m.expires_at, *_more(m.extras)) for m in messages])
    elif any(m.event_id is not None or m.expires_at is not None for m in messages):
        await tx.add(_USUAL, [(*_plain(m), m.event_id, m.expires_at) for m in messages])
    else:
        await tx.add(_PLAIN, [_plain(m) for m in messages])


def _shape(message: NewMessage) -> _Shape:
    m = message
    tags = None if m.extras is None else m.extras.tags
    return m.app_id, bucket_index.bucket_of(m.id), m.event_type, m.channels, tags


def _entries_of(shape: _Shape) -> Iterator[Entry]:
    app_id, bucket, event_type, channels, tags = shape
    yield app_id, bucket_index.EVENT_TYPE + event_type, bucket
    for channel in () if channels is None else json.loads(channels):
        yield app_id, bucket_index.channel_value(channel), bucket
    for tag in tags or ():
        yield app_id, bucket_index.tag_value(tag), bucket


def _plain(message: NewMessage) -> tuple[Value, ...]:
    m = message
    return m.id, m.app_id, m.org_id, m.event_type, m.channels, m.payload


def _more(extras: MessageExtras | None) -> tuple[str | None, int | None, int | None]:
    if extras is None:
        return None, None, None
    tags = None if extras.tags is None else json.dumps(extras.tags)
    return tags, extras.deliver_at, 1 if extras.is_raw else None


async def expire(tx: Write, *, now: int, limit: int) -> int:
    """Delete up to `limit` expired idempotency records; return the number."""
    return await tx.run(_EXPIRE, now=now, limit=limit)


_STORED: Final = Sql(
    sqlite=(
        "SELECT id, event_type, event_id, channels, tags, deliver_at, raw, payload FROM message"
        " WHERE id IN (SELECT value FROM json_each(:ids))"
    ),
    postgresql=(
        "SELECT id, event_type, event_id, channels, tags, deliver_at, raw, payload FROM message"
        " WHERE id = ANY(CAST(:ids AS text[]))"
    ),
)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A stored message, for a repeated response or for delivery. `payload` is None if it was deleted."""

    event_type: str
    event_id: str | None
    channels: str | None
    payload: bytes | None
    tags: str | None
    deliver_at: int | None
    is_raw: bool


async def holder(read: Read, idempotency_key: str, *, now: int) -> str | None:
    """Return the id of the message that holds an idempotency key, or None if there is none or it has expired."""
    row = await read.row(_HOLDER, key=idempotency_key, now=now)
    return None if row is None else str(row["msg_id"])


async def stored(tx: Read, msg_ids: Sequence[str]) -> dict[str, StoredMessage]:
    """Return messages by id, without those that were deleted."""
    return {row["id"]: _stored(row) for row in await tx.rows(_STORED, ids=msg_ids)}


def _stored(row: Row) -> StoredMessage:
    payload = row["payload"]
    return StoredMessage(
        row["event_type"],
        row["event_id"],
        row["channels"],
        None if payload is None else bytes(payload),
        row["tags"],
        row["deliver_at"],
        bool(row["raw"]),
    )


_PAYLOADS: Final = Sql(
    sqlite=(
        "SELECT id, length(payload) AS size, CASE WHEN length(payload) <= :most THEN payload END AS payload"
        " FROM message WHERE id IN (SELECT value FROM json_each(:ids))"
    ),
    postgresql=(
        "SELECT id, octet_length(payload) AS size,"
        " CASE WHEN octet_length(payload) <= CAST(:most AS BIGINT) THEN payload END AS payload"
        " FROM message WHERE id = ANY(CAST(:ids AS text[]))"
    ),
)


async def payloads(tx: Write, msg_ids: Sequence[str], *, most: int) -> list[tuple[str, int | None, bytes | None]]:
    """Return the id, the payload size and the payload of messages.

    The payload is None if it is larger than `most` bytes. Size and payload are None if the payload was deleted.
    """
    return [
        (row["id"], row["size"], None if row["payload"] is None else bytes(row["payload"]))
        for row in await tx.rows(_PAYLOADS, ids=msg_ids, most=most)
    ]
