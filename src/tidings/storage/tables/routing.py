# SPDX-License-Identifier: MIT
"""Routing of applications: the endpoints of each, compiled for sending, with a version."""

import json
from collections.abc import Sequence
from typing import Final

from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.encryption import DecryptionError, Encryption, UndecryptableKey
from tidings.model.endpoint import sendable_headers
from tidings.model.routing import Receiver, Routing
from tidings.model.signature import KeyRing, OldKey
from tidings.model.throttle import RateLimit
from tidings.storage.drivers.database import Read, Row
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
  CASE WHEN failing_since IS NULL AND unreachable_since IS NULL THEN 0 ELSE 1 END AS failing
FROM endpoint
WHERE app_id = :app AND deleted_at IS NULL ORDER BY id
"""
_VERSIONS: Final = "SELECT id, routing_version FROM application WHERE id IN :apps AND deleted_at IS NULL"
_CHANGED: Final = "SELECT id FROM application WHERE routed_at >= :since"


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


async def changed_since(read: Read, timestamp: int) -> list[str]:
    """Return the ids of the applications whose routing changed at or after a timestamp."""
    return [row["id"] for row in await read.rows(_CHANGED, since=timestamp)]


async def _compiled(read: Read, app: Row, org_id: OrgId, encryption: Encryption) -> Routing:
    app_id, shared = AppId(app["id"]), _limits(app)
    rows = await read.rows(_ENDPOINTS, app=app_id)
    receivers = tuple(_receiver(row, app_id, org_id, encryption, shared) for row in rows)
    return Routing(app_id, org_id, app["routing_version"], receivers)


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
    )


def _set(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))
