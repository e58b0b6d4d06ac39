# SPDX-License-Identifier: MIT
"""Operational events: notifications to an organization's operators.

An event is stored in the transaction of the change that it reports, so it exists if and only if the change does. The
stored events are not delivered yet; they are deleted after a week.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidings import ids
from tidings.clock import DAY
from tidings.ids import OrgId
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import health

ENDPOINT_CREATED: Final = "endpoint.created"
ENDPOINT_UPDATED: Final = "endpoint.updated"
ENDPOINT_DELETED: Final = "endpoint.deleted"
ENDPOINT_DISABLED: Final = "endpoint.disabled"
ENDPOINT_ENABLED: Final = "endpoint.enabled"
ATTEMPT_FAILING: Final = "message.attempt.failing"
ATTEMPT_EXHAUSTED: Final = "message.attempt.exhausted"
ATTEMPT_RECOVERED: Final = "message.attempt.recovered"
TASK_FINISHED: Final = "background_task.finished"

RETENTION_MS: Final = 7 * DAY
_CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True)
class OperationalEvent:
    """An event for an organization's operators; `data` is a JSON object with RFC 3339 timestamps."""

    org_id: OrgId
    type: str
    data: dict[str, Any]


async def emit(tx: Write, org_id: OrgId, type_: str, data: dict[str, Any], now: int) -> None:
    """Store an operational event in the transaction of the change that it reports."""
    await emit_all(tx, [OperationalEvent(org_id, type_, data)], now)


async def emit_all(tx: Write, events: Sequence[OperationalEvent], now: int) -> None:
    """Store many operational events; see `emit`."""
    rows = [(ids.new(ids.MESSAGE, now), each.org_id, each.type, payload(each.type, each.data)) for each in events]
    if rows:
        await health.add_events(tx, rows)


def payload(type_: str, data: dict[str, Any]) -> str:
    """Return the payload of an event: JSON with sorted keys, as svix-server sends it."""
    return json.dumps({"data": data, "type": type_}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


async def prune(db: Database, now: int) -> None:
    """Delete events older than a week, in chunks."""
    before = ids.first_at(ids.MESSAGE, now - RETENTION_MS)
    deleted = _CHUNK
    while deleted == _CHUNK:
        async with db.write() as tx:
            deleted = await health.expire_events(tx, before=before, limit=_CHUNK)
