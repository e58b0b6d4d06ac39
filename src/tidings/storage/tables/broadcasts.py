# SPDX-License-Identifier: MIT
"""Queries and writes of a broadcast, which sends one message to the endpoints of many applications."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tidings.storage.drivers.database import Read, Value, Write

_EXISTING: Final = "SELECT id FROM application WHERE id IN :apps AND deleted_at IS NULL"
_RECEIVERS: Final = (
    "SELECT id, app_id, event_types, channels FROM endpoint WHERE app_id IN :apps AND deleted_at IS NULL"
    " AND disabled = 0 ORDER BY id"
)
_COUNTS: Final = (
    "SELECT app_id, count(*) AS n FROM endpoint WHERE app_id IN :apps AND deleted_at IS NULL AND disabled = 0"
    " GROUP BY app_id"
)
_ADD: Final = (
    "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, task_id) SELECT * FROM"
    " given(msg text, endpoint text, app text, org text, due bigint, task text)"
)


@dataclass(frozen=True, slots=True)
class BroadcastEndpoint:
    """An enabled endpoint and its filters."""

    id: str
    app_id: str
    event_types: frozenset[str] | None
    channels: frozenset[str] | None

    def matches(self, event_type: str, channels: tuple[str, ...] | None) -> bool:
        """Return whether the filters match a message. The rules are those of messages that callers send."""
        if self.event_types is not None and event_type not in self.event_types:
            return False
        return self.channels is None or (channels is not None and not self.channels.isdisjoint(channels))


async def existing_apps(read: Read, app_ids: Sequence[str]) -> set[str]:
    """Return the applications among `app_ids` that exist and are not deleted."""
    return {row["id"] for row in await read.rows(_EXISTING, apps=app_ids)}


async def enabled_endpoints(read: Read, app_ids: Sequence[str]) -> list[BroadcastEndpoint]:
    """Return the enabled endpoints of applications, ordered by id."""
    rows = await read.rows(_RECEIVERS, apps=app_ids)
    return [
        BroadcastEndpoint(row["id"], row["app_id"], _set(row["event_types"]), _set(row["channels"])) for row in rows
    ]


async def count_enabled_endpoints(read: Read, app_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of enabled endpoints per application, without the applications that have none."""
    return {row["app_id"]: row["n"] for row in await read.rows(_COUNTS, apps=app_ids)}


@lru_cache(maxsize=512)
def _set(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))


async def add_deliveries(tx: Write, rows: Sequence[tuple[Value, ...]]) -> None:
    """Insert first deliveries without a lease, so that any node can claim them.

    The columns of a row are message, endpoint, application, organization, due time and task.
    """
    if rows:
        await tx.bulk(_ADD, rows)
