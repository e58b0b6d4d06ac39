# SPDX-License-Identifier: MIT
"""Operational events: stored in the transaction of the change that they report, and taken by the relay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.ids import MANAGEMENT_ORG
from tidings.model.payload_filter import PayloadFilter, stored_or_none
from tidings.storage.drivers.database import Read, Write, from_row, names_of

EventRow = tuple[str, str, str, str]
"""An event's id, organization, type, and payload as JSON."""

_ADD: Final = (
    "INSERT INTO operational_event (id, org_id, type, payload)"
    " SELECT * FROM given(id text, org_id text, type text, payload text)"
)
_EXPIRE: Final = (
    "DELETE FROM operational_event WHERE row_address IN (SELECT row_address FROM operational_event WHERE id < :before"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
)
_TAKE: Final = (
    "DELETE FROM operational_event WHERE row_address IN (SELECT row_address FROM operational_event"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED) RETURNING id, org_id, type, payload"
)
_OLDEST: Final = "SELECT id, org_id, type, payload FROM operational_event ORDER BY id LIMIT CAST(:limit AS BIGINT)"
_DELETE: Final = "DELETE FROM operational_event WHERE id IN :ids"
# Without an order, and without a condition that an index has, which PostgreSQL could use to read all endpoints.
_ENDPOINTS: Final = """
SELECT a.uid AS org_id, e.id AS id, e.app_id AS app_id, e.event_types AS event_types, e.channels AS channels,
  e.filter AS filter, e.disabled AS disabled, e.created_at AS created_at
FROM application AS a JOIN endpoint AS e ON found_by(e.app_id, a.id)
WHERE a.org_id = :management AND a.uid IN :orgs AND a.deleted_at IS NULL AND coalesce(e.deleted_at, 0) = 0
"""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A stored operational event; its id has its timestamp, and the payload is JSON."""

    id: str
    org_id: str
    type: str
    payload: str


@dataclass(frozen=True, slots=True)
class OperationalEndpoint:
    """An operational endpoint of an organization, and its filters."""

    org_id: str
    """The organization whose events it receives."""
    id: str
    app_id: str
    disabled: bool
    created_at: int
    event_types: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    filter: PayloadFilter | None = None


async def add(tx: Write, events: Sequence[EventRow]) -> None:
    """Insert events. Their ids sort by timestamp."""
    await tx.bulk(_ADD, events)


async def expire(tx: Write, *, before: str, limit: int) -> int:
    """Delete up to `limit` of the events with ids less than `before`; return how many."""
    return await tx.run(_EXPIRE, before=before, limit=limit)


async def take(tx: Write, limit: int) -> list[StoredEvent]:
    """Delete the oldest events and return them, up to a limit; events that another node takes are left out."""
    found = [from_row(StoredEvent, row) for row in await tx.rows(_TAKE, limit=limit)]
    return sorted(found, key=lambda event: event.id)


async def put_back(tx: Write, events: Sequence[StoredEvent]) -> None:
    """Store events again that this transaction has taken."""
    if events:
        await add(tx, [(each.id, each.org_id, each.type, each.payload) for each in events])


async def oldest(read: Read, limit: int) -> list[StoredEvent]:
    """Return the oldest events, up to a limit."""
    return [from_row(StoredEvent, row) for row in await read.rows(_OLDEST, limit=limit)]


async def delete(tx: Write, event_ids: Sequence[str]) -> None:
    """Delete events."""
    await tx.run(_DELETE, ids=list(event_ids))


async def endpoints(read: Read, org_ids: Sequence[str]) -> list[OperationalEndpoint]:
    """Return the operational endpoints of organizations, ordered by id."""
    rows = await read.rows(_ENDPOINTS, management=MANAGEMENT_ORG, orgs=list(org_ids))
    found = [
        from_row(
            OperationalEndpoint,
            row,
            event_types=names_of(row["event_types"]),
            channels=names_of(row["channels"]),
            filter=stored_or_none(row["filter"]),
        )
        for row in rows
    ]
    return sorted(found, key=lambda endpoint: endpoint.id)


# -----------------------------------------------------------------------------------------------------------------
# The turn to post events to another service: one node at a time, because events have no leases

_TURN: Final = "operational_post"
_TAKE_TURN: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    " WHERE setting.value < :now OR setting.value LIKE :own"
)


_END_TURN: Final = "DELETE FROM setting WHERE name = :name AND value LIKE :own"


async def take_turn(tx: Write, node: int, *, now: int, until: int) -> bool:
    """Take the turn to post until a timestamp, or extend it; return whether no other node has it."""
    value = f"{until:015d}{_suffix(node)}"
    return await tx.run(_TAKE_TURN, name=_TURN, value=value, now=f"{now:015d}", own=f"%{_suffix(node)}") == 1


async def end_turn(tx: Write, node: int) -> None:
    """End the turn of a node, if it has it."""
    await tx.run(_END_TURN, name=_TURN, own=f"%{_suffix(node)}")


def _suffix(node: int) -> str:
    return f" {node:010d}"
