# SPDX-License-Identifier: MIT
"""Operational events: notifications to an organization's operators.

An event is stored in the transaction of the change that it reports, so it exists if and only if the change does. The
relay makes messages of the stored events. There are no events about the management organization: an operational
endpoint that fails would cause events that are sent to it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidings import ids
from tidings.clock import DAY
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import operational_events

ENDPOINT_CREATED: Final = "endpoint.created"
ENDPOINT_UPDATED: Final = "endpoint.updated"
ENDPOINT_DELETED: Final = "endpoint.deleted"
ENDPOINT_DISABLED: Final = "endpoint.disabled"
ENDPOINT_DISABLING: Final = "endpoint.disabling"
ENDPOINT_ENABLED: Final = "endpoint.enabled"
ENDPOINT_FAILING: Final = "endpoint.failing"
ENDPOINT_RECOVERED: Final = "endpoint.recovered"
ATTEMPT_FAILING: Final = "message.attempt.failing"
ATTEMPT_EXHAUSTED: Final = "message.attempt.exhausted"
ATTEMPT_RECOVERED: Final = "message.attempt.recovered"
TASK_FINISHED: Final = "background_task.finished"

_UNSENT: Final = "An event of the Svix API that this service does not send."

TYPES: Final[Mapping[str, str]] = {
    ENDPOINT_CREATED: "An endpoint was created.",
    ENDPOINT_UPDATED: "An endpoint was changed, or its secret was rotated.",
    ENDPOINT_DELETED: "An endpoint was deleted.",
    ENDPOINT_DISABLED: "An endpoint was disabled, by a request or by its failures.",
    ENDPOINT_DISABLING: "An endpoint keeps failing, and will be disabled unless a message succeeds.",
    ENDPOINT_ENABLED: "An endpoint was enabled.",
    ENDPOINT_FAILING: "Ten attempts in a row at an endpoint failed.",
    ENDPOINT_RECOVERED: "An attempt succeeded after an event about the failures of an endpoint.",
    ATTEMPT_FAILING: "The fourth attempt of a message failed, and another follows.",
    ATTEMPT_EXHAUSTED: "The last attempt of a message failed.",
    ATTEMPT_RECOVERED: "A message was delivered after an event about its failures.",
    TASK_FINISHED: "A background task ended: it succeeded, failed or was canceled.",
}
"""The types of operational events, each with its description."""
UNSENT: Final[Mapping[str, str]] = {
    "ingest.endpoint.disabled": _UNSENT,
    "ingest.message.attempt.exhausted": _UNSENT,
    "ingest.message.attempt.failing": _UNSENT,
    "ingest.message.attempt.recovered": _UNSENT,
    "message.attempt.log": _UNSENT,
}
"""The other types of the Svix API: an endpoint may name them, so that a client needs no other list here."""
OWN: Final = frozenset({ENDPOINT_DISABLING, ENDPOINT_FAILING, ENDPOINT_RECOVERED})
"""The types that the Svix API does not have."""
STATE_CHANGES: Final = (ENDPOINT_DISABLED, ENDPOINT_DISABLING, ENDPOINT_FAILING, ENDPOINT_RECOVERED)
"""The types that report a change of the state of an endpoint."""

RETENTION_MS: Final = 14 * DAY
"""How long an event waits that cannot be sent, and how long the payload of its message is kept."""
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
    rows = [
        (ids.new(ids.MESSAGE, now), each.org_id, each.type, payload(each.type, each.data))
        for each in events
        if each.org_id != MANAGEMENT_ORG
    ]
    if rows:
        await operational_events.add(tx, rows)
        tx.after_commit(_notify)


listeners: Final[set[Callable[[], None]]] = set()
"""Called after each commit that stored events; they are quick, and raise nothing."""


def _notify() -> None:
    for each in listeners:
        each()


def payload(type_: str, data: dict[str, Any]) -> str:
    """Return the payload of an event: JSON with sorted keys, as svix-server sends it."""
    return json.dumps({"data": data, "type": type_}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


async def prune(db: Database, now: int) -> None:
    """Delete events older than their retention, in chunks."""
    before = ids.first_at(ids.MESSAGE, now - RETENTION_MS)
    deleted = _CHUNK
    while deleted == _CHUNK:
        async with db.write() as tx:
            deleted = await operational_events.expire(tx, before=before, limit=_CHUNK)
