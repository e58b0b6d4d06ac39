# SPDX-License-Identifier: MIT
"""Endpoints."""

import json
from typing import Final

from tidings.errors import not_found
from tidings.ids import ENDPOINT, AppId, EndpointId, OrgId
from tidings.model.endpoint import Endpoint
from tidings.model.page import Span
from tidings.storage import health
from tidings.storage.database import Read, Row, Write
from tidings.storage.span import bounds_of, end_of

_COLUMNS: Final = (
    "id, app_id, org_id, uid, url, description, version, disabled, event_types, channels, throttle_rate, metadata,"
    " headers, created_at, updated_at"
)
_SHOWN: Final = f"{_COLUMNS}, {health.COLUMNS}"
_BY_ID: Final = "FROM endpoint WHERE app_id = :app AND id = :ref AND deleted_at IS NULL"
_BY_UID: Final = "FROM endpoint WHERE app_id = :app AND uid = :ref AND deleted_at IS NULL"
_PAGE: Final = f"SELECT {_SHOWN} FROM endpoint WHERE app_id = :app AND deleted_at IS NULL"
_ADD: Final = f"""
INSERT INTO endpoint ({_COLUMNS}, secret)
VALUES (:id, :app_id, :org_id, :uid, :url, :description, :version, :disabled, :event_types, :channels,
  :throttle_rate, :metadata, :headers, :created_at, :updated_at, :secret)
ON CONFLICT (app_id, uid) WHERE uid IS NOT NULL DO NOTHING
"""


def _by(ref: str) -> str:
    """Return the condition for an id or a uid; a uid never looks like an id."""
    return _BY_ID if ref.startswith(ENDPOINT) else _BY_UID


async def find(read: Read, app_id: AppId, ref: str) -> Endpoint | None:
    """Return an application's endpoint by its id or uid."""
    row = await read.row(f"SELECT {_SHOWN} {_by(ref)}", app=app_id, ref=ref)
    return None if row is None else _endpoint(row)


async def get(read: Read, app_id: AppId, ref: str) -> Endpoint:
    """Return an application's endpoint by its id or uid; raises `not_found`."""
    endpoint = await find(read, app_id, ref)
    if endpoint is None:
        raise not_found()
    return endpoint


async def secret(read: Read, app_id: AppId, ref: str) -> bytes:
    """Return what signs for an endpoint, its marker byte first; raises `not_found`."""
    row = await read.row(f"SELECT secret {_by(ref)}", app=app_id, ref=ref)
    if row is None:
        raise not_found()
    return bytes(row["secret"])


async def page(read: Read, app_id: AppId, span: Span) -> list[Endpoint]:
    """Return a part of an application's endpoints, by id."""
    rows = await read.rows(_PAGE + end_of(span, "id"), app=app_id, **bounds_of(span))
    return [_endpoint(row) for row in rows]


async def add(tx: Write, endpoint: Endpoint, signing: bytes) -> bool:
    """Add an endpoint with what signs for it; tell whether its uid was free."""
    written = await tx.run(
        _ADD,
        id=endpoint.id,
        app_id=endpoint.app_id,
        org_id=endpoint.org_id,
        uid=endpoint.uid,
        url=endpoint.url,
        description=endpoint.description,
        version=endpoint.version,
        disabled=int(endpoint.disabled),
        event_types=_listed(endpoint.event_types),
        channels=_listed(endpoint.channels),
        throttle_rate=endpoint.throttle_rate,
        metadata=json.dumps(dict(endpoint.metadata)),
        headers=json.dumps(dict(endpoint.headers)),
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        secret=signing,
    )
    return written == 1


def _listed(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else json.dumps(names)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(
        id=EndpointId(row["id"]),
        app_id=AppId(row["app_id"]),
        org_id=OrgId(row["org_id"]),
        uid=row["uid"],
        url=row["url"],
        description=row["description"],
        version=row["version"],
        disabled=bool(row["disabled"]),
        event_types=_names(row["event_types"]),
        channels=_names(row["channels"]),
        throttle_rate=row["throttle_rate"],
        metadata=json.loads(row["metadata"]),
        headers=json.loads(row["headers"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        record=health.record_of(row),
    )
