# SPDX-License-Identifier: MIT
"""Operational events: what the service tells an organisation of its own doings.

An event is a row of an outbox, written in the transaction of what it tells of: it is there if and only if that
happened. Whoever delivers the rows comes later; what nobody delivers is deleted after a week.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidings import ids
from tidings.clock import DAY
from tidings.ids import OrgId
from tidings.storage import outbox
from tidings.storage.database import Database, Write

ENDPOINT_CREATED: Final = "endpoint.created"
ENDPOINT_UPDATED: Final = "endpoint.updated"
ENDPOINT_DELETED: Final = "endpoint.deleted"
ENDPOINT_DISABLED: Final = "endpoint.disabled"
ENDPOINT_ENABLED: Final = "endpoint.enabled"
ATTEMPT_FAILING: Final = "message.attempt.failing"
ATTEMPT_EXHAUSTED: Final = "message.attempt.exhausted"
ATTEMPT_RECOVERED: Final = "message.attempt.recovered"
TASK_FINISHED: Final = "background_task.finished"

KEPT_MS: Final = 7 * DAY
_CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell an organisation; `data` is JSON, its moments in RFC 3339."""

    org_id: OrgId
    type: str
    data: dict[str, Any]


async def emit(tx: Write, org_id: OrgId, type_: str, data: dict[str, Any], now: int) -> None:
    """Have an organisation told of something, if and only if the transaction commits."""
    await emit_all(tx, [Event(org_id, type_, data)], now)


async def emit_all(tx: Write, events: Sequence[Event], now: int) -> None:
    """Have many events told."""
    rows = [(ids.new(ids.MESSAGE, now), each.org_id, each.type, payload(each.type, each.data), now) for each in events]
    if rows:
        await outbox.add(tx, rows)


def payload(type_: str, data: dict[str, Any]) -> str:
    """Return an event as it is delivered: its keys sorted, as receivers of the peer have seen it."""
    return json.dumps({"data": data, "type": type_}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


async def forget_old(db: Database, now: int) -> None:
    """Delete the events of more than a week ago, a chunk at a time."""
    before = ids.first_at(ids.MESSAGE, now - KEPT_MS)
    gone = _CHUNK
    while gone == _CHUNK:
        async with db.write() as tx:
            gone = await outbox.expire(tx, before=before, limit=_CHUNK)
