# SPDX-License-Identifier: MIT
"""Which endpoints receive a message: the routing of applications, its history, and the endpoints of a broadcast."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tidings.clock import SECOND
from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.encryption import DecryptionError, Encryption, UndecryptableKey
from tidings.model.endpoint import sendable_headers
from tidings.model.explanation import SettingsInForce
from tidings.model.payload_filter import PayloadFilter, stored_or_none
from tidings.model.routing import Receiver, Routing
from tidings.model.signature import KeyRing, OldKey
from tidings.model.throttle import RateLimit
from tidings.storage.drivers.database import Read, Row, Value, Write, names_of
from tidings.storage.tables import endpoints

_APP_BY_REF: Final = """
SELECT id, routing_version, throttle_rate FROM application
WHERE org_id = :org AND (id = :ref OR uid = :ref) AND deleted_at IS NULL
"""
_APP_BY_ID: Final = """
SELECT id, org_id, routing_version, throttle_rate FROM application WHERE id = :app AND deleted_at IS NULL
"""
_ENDPOINTS: Final = """
SELECT id, url, secret, old_secrets, headers, disabled, event_types, channels, throttle_rate,
  CASE WHEN failing_since IS NULL AND unreachable_since IS NULL AND run_failing_since IS NULL THEN 0 ELSE 1 END
    AS failing, filter, is_transformed
FROM endpoint
WHERE app_id = :app AND deleted_at IS NULL ORDER BY id
"""
_VERSIONS: Final = "SELECT id, routing_version FROM application WHERE id IN :apps AND deleted_at IS NULL"


async def find(read: Read, org_id: OrgId, ref: str, encryption: Encryption) -> Routing | None:
    """Return the routing of an organization's application by id or uid, or None."""
    row = await read.row(_APP_BY_REF, org=org_id, ref=ref)
    return None if row is None else await _compiled(read, row, org_id, encryption)


async def find_by_id(read: Read, app_id: str, encryption: Encryption) -> Routing | None:
    """Return the routing of an application by its id alone, as deliveries refer to it, or None."""
    row = await read.row(_APP_BY_ID, app=app_id)
    return None if row is None else await _compiled(read, row, row["org_id"], encryption)


async def versions(read: Read, app_ids: Sequence[str]) -> dict[str, int]:
    """Return the current routing versions of applications; deleted ones are left out."""
    return {row["id"]: row["routing_version"] for row in await read.rows(_VERSIONS, apps=app_ids)}


async def _compiled(read: Read, app: Row, org_id: OrgId, encryption: Encryption) -> Routing:
    app_id, shared = AppId(app["id"]), _limits(app)
    rows = await read.rows(_ENDPOINTS, app=app_id)
    receivers = tuple(_receiver(row, app_id, org_id, encryption, shared) for row in rows)
    is_filtered = any(each.filter is not None and not each.disabled for each in receivers)
    return Routing(app_id, org_id, app["routing_version"], receivers, is_filtered)


def _limits(row: Row) -> tuple[RateLimit, ...]:
    return () if row["throttle_rate"] is None else (RateLimit(row["id"], row["throttle_rate"]),)


def _ring(row: Row, encryption: Encryption) -> KeyRing:
    old = endpoints.old_secrets(row["old_secrets"])
    keys = tuple(OldKey(each.expires_at, encryption.decode_key(each.stored)) for each in old)
    return KeyRing(encryption.decode_key(bytes(row["secret"])), keys)


def _receiver(
    row: Row, app_id: AppId, org_id: OrgId, encryption: Encryption, shared: tuple[RateLimit, ...]
) -> Receiver:
    ring = _ring(row, encryption)
    try:
        headers = sendable_headers(encryption.decode_headers(row["headers"]))
    except DecryptionError as error:
        # Without its headers nothing may be sent. An `UndecryptableKey` makes each attempt fail, with the reason.
        headers, ring = (), KeyRing(UndecryptableKey(str(error)))
    return Receiver(
        id=EndpointId(row["id"]),
        app_id=app_id,
        org_id=org_id,
        url=row["url"],
        ring=ring,
        headers=headers,
        disabled=bool(row["disabled"]),
        event_types=_set(row["event_types"]),
        channels=_set(row["channels"]),
        limits=(*_limits(row), *shared),
        is_failing=bool(row["failing"]),
        filter=stored_or_none(row["filter"]),
        is_transformed=bool(row["is_transformed"]),
    )


@lru_cache(maxsize=512)
def _set(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))


# -----------------------------------------------------------------------------------------------------------------
# The history of what decides whether an endpoint receives a message: filters, disabled and deleted.
# A row copies these columns of the endpoint after a write, in the transaction of the write. A write that changes none
# of them adds no row, and an endpoint keeps its newest rows only, so a loop of edits cannot fill the table.

HISTORY_ROWS_MAX: Final = 50
"""The number of rows that an endpoint keeps."""
_MARGIN_MS: Final = 5 * SECOND
"""The longest time from the timestamp of a message to the commit that accepts it: a write may precede that commit."""
_SAME: Final = " AND ".join(
    f"coalesce(last.{column}, '') = coalesce(e.{column}, '')"
    for column in ("event_types", "channels", "filter", "disabled_reason")
)
_RECORD_HISTORY: Final = f"""
INSERT INTO endpoint_history
  (endpoint_id, routing_version, at, event_types, channels, filter, disabled, disabled_reason, deleted)
SELECT e.id, a.routing_version, CAST(:now AS BIGINT), e.event_types, e.channels, e.filter, e.disabled,
  e.disabled_reason,
  CASE WHEN e.deleted_at IS NULL THEN 0 ELSE 1 END
FROM endpoint AS e JOIN application AS a ON found_by(a.id, e.app_id)
WHERE e.id = :id AND NOT EXISTS (
  SELECT 1 FROM endpoint_history AS last
  WHERE last.endpoint_id = e.id AND last.disabled = e.disabled AND e.deleted_at IS NULL AND {_SAME}
    AND last.routing_version = (SELECT max(routing_version) FROM endpoint_history WHERE endpoint_id = e.id)
)
"""
_TRIM_HISTORY: Final = f"""
DELETE FROM endpoint_history WHERE endpoint_id = :id AND routing_version <= (
  SELECT routing_version FROM endpoint_history WHERE endpoint_id = :id
  ORDER BY routing_version DESC LIMIT 1 OFFSET {HISTORY_ROWS_MAX:d}
)
"""
_IN_FORCE: Final = """
SELECT found.endpoint_id, found.event_types, found.channels, found.filter, found.disabled,
  (SELECT count(*) FROM endpoint_history AS near WHERE near.endpoint_id = found.endpoint_id
    AND near.at >= CAST(:at AS BIGINT) AND near.at <= CAST(:until AS BIGINT)
    AND near.routing_version > (SELECT min(routing_version) FROM endpoint_history
      WHERE endpoint_id = found.endpoint_id)) AS changes_near,
  (SELECT count(*) FROM endpoint_history AS later WHERE later.endpoint_id = found.endpoint_id
    AND later.routing_version > found.routing_version AND later.disabled = 1) AS disabled_later
FROM (
  SELECT endpoint_id, max(routing_version) AS routing_version FROM endpoint_history
  WHERE endpoint_id IN :ids AND at <= CAST(:at AS BIGINT) GROUP BY endpoint_id
) AS newest JOIN endpoint_history AS found
  ON found.endpoint_id = newest.endpoint_id AND found.routing_version = newest.routing_version
"""


async def record_history(tx: Write, endpoint_id: str, now: int) -> None:
    """Record what decides the routing of an endpoint, after a write to it in this transaction.

    The transaction has called `apps.advance_routing_version`: the new routing version is the order of the rows.
    """
    if await tx.run(_RECORD_HISTORY, id=endpoint_id, now=now):
        await tx.run(_TRIM_HISTORY, id=endpoint_id)


async def settings_in_force(read: Read, endpoint_ids: Sequence[str], at: int) -> dict[EndpointId, SettingsInForce]:
    """Return the settings of endpoints that were in force at a timestamp; left out where the history is younger."""
    rows = await read.rows(_IN_FORCE, ids=list(endpoint_ids), at=at, until=at + _MARGIN_MS)
    return {EndpointId(row["endpoint_id"]): _settings(row) for row in rows}


def _settings(row: Row) -> SettingsInForce:
    return SettingsInForce(
        event_types=names_of(row["event_types"]),
        channels=names_of(row["channels"]),
        filter=stored_or_none(row["filter"]),
        disabled=bool(row["disabled"]),
        is_certain=not row["changes_near"],
        was_disabled_later=row["disabled_later"] > 0,
    )


# -----------------------------------------------------------------------------------------------------------------
# Broadcasts: one message to the endpoints of many applications

_EXISTING_APPS: Final = "SELECT id FROM application WHERE id IN :apps AND deleted_at IS NULL"
_RECEIVERS: Final = (
    "SELECT id, app_id, event_types, channels, filter FROM endpoint WHERE app_id IN :apps AND deleted_at IS NULL"
    " AND disabled = 0 ORDER BY id"
)
_COUNT_RECEIVERS: Final = (
    "SELECT app_id, count(*) AS n FROM endpoint WHERE app_id IN :apps AND deleted_at IS NULL AND disabled = 0"
    " GROUP BY app_id"
)
_ADD_DELIVERIES: Final = (
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
    filter: PayloadFilter | None


async def existing_apps(read: Read, app_ids: Sequence[str]) -> set[str]:
    """Return the applications among `app_ids` that exist and are not deleted."""
    return {row["id"] for row in await read.rows(_EXISTING_APPS, apps=app_ids)}


async def enabled_endpoints(read: Read, app_ids: Sequence[str]) -> list[BroadcastEndpoint]:
    """Return the enabled endpoints of applications, ordered by id."""
    rows = await read.rows(_RECEIVERS, apps=app_ids)
    return [
        BroadcastEndpoint(
            row["id"],
            row["app_id"],
            _set(row["event_types"]),
            _set(row["channels"]),
            stored_or_none(row["filter"]),
        )
        for row in rows
    ]


async def count_enabled_endpoints(read: Read, app_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of enabled endpoints per application, without the applications that have none."""
    return {row["app_id"]: row["n"] for row in await read.rows(_COUNT_RECEIVERS, apps=app_ids)}


async def add_deliveries(tx: Write, rows: Sequence[tuple[Value, ...]]) -> None:
    """Insert first deliveries without a lease, so that any node can claim them.

    The columns of a row are message, endpoint, application, organization, due time and task.
    """
    if rows:
        await tx.bulk(_ADD_DELIVERIES, rows)
