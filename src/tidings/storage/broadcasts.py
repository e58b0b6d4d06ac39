# SPDX-License-Identifier: MIT
"""What a broadcast reads and writes: who receives in many applications at once, and what is to be sent to them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tidings.storage.database import Read, Sql, Value, Write

_THERE: Final = Sql(
    sqlite="SELECT id FROM application WHERE id IN (SELECT value FROM json_each(:apps)) AND deleted_at IS NULL",
    postgresql="SELECT id FROM application WHERE id = ANY(CAST(:apps AS text[])) AND deleted_at IS NULL",
)
_RECEIVERS: Final = (
    "SELECT id, app_id, event_types, channels FROM endpoint WHERE app_id {apps} AND deleted_at IS NULL"
    " AND disabled = 0 ORDER BY id"
)
_RECEIVERS_PAIR: Final = Sql(
    sqlite=_RECEIVERS.replace("{apps}", "IN (SELECT value FROM json_each(:apps))"),
    postgresql=_RECEIVERS.replace("{apps}", "= ANY(CAST(:apps AS text[]))"),
)
_COUNTS: Final = (
    "SELECT app_id, count(*) AS n FROM endpoint WHERE app_id {apps} AND deleted_at IS NULL AND disabled = 0"
    " GROUP BY app_id"
)
_COUNTS_PAIR: Final = Sql(
    sqlite=_COUNTS.replace("{apps}", "IN (SELECT value FROM json_each(:apps))"),
    postgresql=_COUNTS.replace("{apps}", "= ANY(CAST(:apps AS text[]))"),
)
_COLUMNS: Final = "msg_id, endpoint_id, app_id, org_id, due_at, task_id"
_ADD: Final = Sql(
    sqlite=f"INSERT INTO delivery ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
    postgresql=(
        f"INSERT INTO delivery ({_COLUMNS}) SELECT * FROM"
        " unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])"
    ),
)


@dataclass(frozen=True, slots=True)
class BroadcastEndpoint:
    """An enabled endpoint and its filters."""

    id: str
    app_id: str
    event_types: frozenset[str] | None
    channels: frozenset[str] | None

    def matches(self, event_type: str, channels: tuple[str, ...] | None) -> bool:
        """Tell whether a message goes here, as for any other message."""
        if self.event_types is not None and event_type not in self.event_types:
            return False
        return self.channels is None or (channels is not None and not self.channels.isdisjoint(channels))


async def there(read: Read, app_ids: Sequence[str]) -> set[str]:
    """Return those of the applications that are not deleted."""
    return {row["id"] for row in await read.rows(_THERE, apps=app_ids)}


async def hearers(read: Read, app_ids: Sequence[str]) -> list[BroadcastEndpoint]:
    """Return the enabled endpoints of applications."""
    rows = await read.rows(_RECEIVERS_PAIR, apps=app_ids)
    return [
        BroadcastEndpoint(row["id"], row["app_id"], _set(row["event_types"]), _set(row["channels"])) for row in rows
    ]


async def counts(read: Read, app_ids: Sequence[str]) -> dict[str, int]:
    """Return how many enabled endpoints applications have; one without is left out."""
    return {row["app_id"]: row["n"] for row in await read.rows(_COUNTS_PAIR, apps=app_ids)}


@lru_cache(maxsize=512)
def _set(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))


async def deliver(tx: Write, rows: Sequence[tuple[Value, ...]]) -> None:
    """Add first deliveries that nobody has leased: message, endpoint, application, organisation, due, task."""
    if rows:
        await tx.bulk(_ADD, rows)
