# SPDX-License-Identifier: MIT
"""Bulk writes of accepted messages: event ids, messages and deliveries.

An earlier request may hold an event id. A bulk statement returns only the number of ids that it claimed. If that is not
all of them, which is rare, a second query finds the holders of the others. Rows are written in key order, so two nodes
with the same ids wait for each other without a deadlock.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from tidings.ids import AppId, MessageId, OrgId
from tidings.model.message import AcceptedMessage, MessageExtras
from tidings.storage.drivers.database import OneStatement, Read, Row, Table, Value, Write
from tidings.storage.tables import bucket_index
from tidings.storage.tables.bucket_index import BucketIndexCache, Entry

_new: Final = tuple.__new__
"""Builds a row of each message for a third of the cost of its constructor, which parses its arguments in Python."""


class EventIdRow(NamedTuple):
    """A claim of an event id; the fields are the columns, in their order."""

    app_id: str
    event_id: str
    msg_id: str


class MessageRow(NamedTuple):
    """A message to insert; the fields are the columns, in their order."""

    id: str
    app_id: str
    org_id: str
    event_type: str
    channels: str | None
    """A JSON array."""
    payload: bytes
    event_id: str | None
    expires_at: int | None
    tags: str | None
    """A JSON array."""
    deliver_at: int | None
    raw: int | None
    """1 if the payload is not an object."""

    @classmethod
    def of(cls, m: AcceptedMessage) -> "MessageRow":
        """Return the row of a message."""
        channels, extras = None if m.channels is None else _as_json(m.channels), m.extras
        common = (m.id, m.app_id, m.org_id, m.event_type, channels, m.payload, m.event_id, m.expires_at)
        if extras is None:
            return _new(cls, (*common, None, None, None))
        tags, raw = None if extras.tags is None else json.dumps(extras.tags), 1 if extras.is_raw else None
        return _new(cls, (*common, tags, extras.deliver_at, raw))


_as_json: Final = lru_cache(maxsize=1_024)(json.dumps)
"""Cached because most messages have one of a few sets of channels."""
_EVENT_IDS: Final = (
    "INSERT INTO event_id (app_id, event_id, msg_id) SELECT * FROM given(app text, event text, msg text)"
    " ON CONFLICT DO NOTHING"
)
_EVENT_HOLDER: Final = "SELECT msg_id FROM event_id WHERE app_id = :app AND event_id = :event"
_PLAIN: Final = Table("message", MessageRow._fields[: MessageRow._fields.index("event_id")])
_USUAL: Final = Table("message", MessageRow._fields[: MessageRow._fields.index("tags")])
_WHOLE: Final = Table("message", MessageRow._fields)


async def claim_event_ids(tx: Write, messages: Sequence[AcceptedMessage]) -> set[str]:
    """Claim the event ids of messages; return the messages whose event id another message of the application has."""
    rows = sorted(EventIdRow(each.app_id, each.event_id, each.id) for each in messages if each.event_id is not None)
    if not rows or await tx.bulk(_EVENT_IDS, rows) == len(rows):
        return set()
    lost = set()
    for row in rows:
        holder = await tx.one(_EVENT_HOLDER, app=row.app_id, event=row.event_id)
        if holder["msg_id"] != row.msg_id:
            lost.add(row.msg_id)
    return lost


_Shape = tuple[str, str, str, tuple[str, ...] | None, tuple[str, ...] | None]
"""The application, time bucket, event type, channels and tags: they determine the entries of a message."""


async def add(tx: Write, messages: Sequence[AcceptedMessage], cache: BucketIndexCache | None = None) -> None:
    """Insert messages, and their entries in the bucket index that `cache` does not have."""
    await bucket_index.add(tx, {_shape(message) for message in messages}, _entries_of, cache)
    table = _table_for(messages)
    most = len(table.columns)
    await tx.add(table, [MessageRow.of(message)[:most] for message in messages])


def _table_for(messages: Sequence[AcceptedMessage]) -> Table:
    """Return the table with the columns that messages need; few have values in all of them."""
    table = _PLAIN
    for message in messages:
        if message.extras is not None:
            return _WHOLE
        if message.event_id is not None or message.expires_at is not None:
            table = _USUAL
    return table


def _shape(m: AcceptedMessage) -> _Shape:
    tags = None if m.extras is None else m.extras.tags
    return m.app_id, bucket_index.bucket_of(m.id), m.event_type, m.channels, tags


def _entries_of(shape: _Shape) -> Iterator[Entry]:
    app_id, bucket, event_type, channels, tags = shape
    yield app_id, bucket_index.EVENT_TYPE + event_type, bucket
    for channel in channels or ():
        yield app_id, bucket_index.channel_value(channel), bucket
    for tag in tags or ():
        yield app_id, bucket_index.tag_value(tag), bucket


class DeliveryRow(NamedTuple):
    """A delivery to insert; the fields are the columns, in their order. Timestamps are in milliseconds."""

    msg_id: str
    endpoint_id: str
    app_id: str
    org_id: str
    due_at: int
    lease: int | None = None
    lease_until: int | None = None

    @classmethod
    def of(
        cls, m: AcceptedMessage, endpoint_id: str, due_at: int, lease: int | None = None, lease_until: int | None = None
    ) -> "DeliveryRow":
        """Return the row of a message's delivery to an endpoint, leased or scheduled."""
        return _new(cls, (m.id, endpoint_id, m.app_id, m.org_id, due_at, lease, lease_until))


_DELIVERY: Final = Table("delivery", DeliveryRow._fields)


async def add_deliveries(tx: Write, rows: Sequence[DeliveryRow]) -> None:
    """Insert the deliveries of new messages."""
    await tx.add(_DELIVERY, rows)


_ACCEPT: Final = "SELECT accept_batch({})".format(", ".join(f"${number}" for number in range(1, 32)))


class SmallBatch(NamedTuple):
    """A plain batch to accept in one statement. Timestamps are in milliseconds."""

    versions: Mapping[str, int]
    """The routing version of each application, with which the deliveries were made."""
    claims: Mapping[str, str]
    """The idempotency keys, each for a message."""
    expires_at: int
    """The expiry of the claims."""
    messages: Sequence[AcceptedMessage]
    deliveries: Sequence[DeliveryRow]
    made_at: int
    """The time of the message ids."""


async def add_small(statement: OneStatement, batch: SmallBatch, *, cache: BucketIndexCache, skew_ms: int) -> None:
    """Store a batch in one statement, if it is plain; raise `Declined` otherwise, and nothing is stored.

    A batch is plain if the routing versions are current, every idempotency key and event id is new, and the statement
    begins within `skew_ms` of `made_at` by the clock of the server: a list that is followed shows no message too late.
    """
    keys = sorted(batch.claims)
    events = sorted((m.app_id, m.event_id, m.id) for m in batch.messages if m.event_id is not None)
    shapes = {_shape(message) for message in batch.messages}
    entries, remember = bucket_index.missing(shapes, _entries_of, cache, statement.generation)
    await statement.call(
        _ACCEPT,
        list(batch.versions),
        list(batch.versions.values()),
        keys,
        [batch.claims[key] for key in keys],
        batch.expires_at,
        batch.made_at,
        skew_ms,
        *columns(events, 3),
        *columns(entries, 3),
        *columns([MessageRow.of(message) for message in batch.messages], len(MessageRow._fields)),
        *columns(batch.deliveries, len(DeliveryRow._fields)),
    )
    remember()


def columns(rows: Sequence[Sequence[Value]], count: int) -> list[list[Value]]:
    """Return the columns of rows as arrays, also if there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * count


_STORED: Final = (
    "SELECT id, app_id, org_id, event_type, event_id, channels, tags, deliver_at, raw, expires_at, payload"
    " FROM message WHERE id IN :ids ORDER BY id"
)
_EXPIRED: Final = b'{"expired":true}'
"""Replaces a payload that was deleted."""


async def stored(read: Read, msg_ids: Sequence[str]) -> dict[str, AcceptedMessage]:
    """Return messages by id as they were accepted; deleted ones are left out."""
    return {row["id"]: _stored(row) for row in await read.rows(_STORED, ids=msg_ids)}


def _stored(row: Row) -> AcceptedMessage:
    payload, tags = row["payload"], row["tags"]
    return AcceptedMessage(
        id=MessageId(row["id"]),
        app_id=AppId(row["app_id"]),
        org_id=OrgId(row["org_id"]),
        event_type=row["event_type"],
        payload=_EXPIRED if payload is None else bytes(payload),
        event_id=row["event_id"],
        channels=None if row["channels"] is None else tuple(json.loads(row["channels"])),
        expires_at=row["expires_at"],
        extras=MessageExtras(
            tags=None if tags is None else tuple(json.loads(tags)),
            deliver_at=row["deliver_at"],
            is_raw=bool(row["raw"]) and payload is not None,
        ),
    )


_PAYLOADS: Final = (
    "SELECT id, length(payload) AS size,"
    " CASE WHEN length(payload) <= CAST(:limit AS BIGINT) THEN payload END AS payload FROM message WHERE id IN :ids"
    " ORDER BY id"
)


class StoredPayload(NamedTuple):
    """The payload of a stored message, and its size in bytes. Both are None if the payload was deleted."""

    msg_id: str
    size: int | None
    payload: bytes | None
    """None also if it is larger than requested."""


async def payloads(tx: Write, msg_ids: Sequence[str], *, limit: int) -> list[StoredPayload]:
    """Return the payloads of messages, up to `limit` bytes each."""
    return [
        StoredPayload(row["id"], row["size"], None if row["payload"] is None else bytes(row["payload"]))
        for row in await tx.rows(_PAYLOADS, ids=msg_ids, limit=limit)
    ]


_LABELS: Final = "SELECT id, event_type, channels FROM message WHERE id IN :ids ORDER BY id"


async def labels(tx: Write, msg_ids: Sequence[str]) -> dict[str, tuple[str, tuple[str, ...] | None]]:
    """Return the event types and channels of messages, by id."""
    return {
        row["id"]: (row["event_type"], None if row["channels"] is None else tuple(json.loads(row["channels"])))
        for row in await tx.rows(_LABELS, ids=list(msg_ids))
    }
