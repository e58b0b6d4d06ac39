# SPDX-License-Identifier: MIT
"""Queries and writes of the endpoints of an application."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.errors import not_found
from tidings.ids import ENDPOINT, AppId, EndpointId
from tidings.model.endpoint import Endpoint
from tidings.model.page import PageWindow
from tidings.model.payload_filter import stored_or_none
from tidings.model.rotation import OldSecret
from tidings.storage.drivers.database import (
    Read,
    Row,
    Value,
    Write,
    assigned,
    from_row,
    named,
    names_of,
    names_text,
    to_values,
)
from tidings.storage.tables import health
from tidings.storage.tables.key_ranges import bounds_of, end_of

_COLUMNS: Final = (
    "id, app_id, org_id, uid, url, description, version, disabled, event_types, channels, filter, throttle_rate,"
    " metadata, created_at, updated_at"
)
_SHOWN: Final = f"{_COLUMNS}, {health.COLUMNS}"
_BY_ID: Final = "FROM endpoint WHERE app_id = :app AND id = :ref AND deleted_at IS NULL"
_BY_UID: Final = "FROM endpoint WHERE app_id = :app AND uid = :ref AND deleted_at IS NULL"
_BY_IDS: Final = f"SELECT {_SHOWN}, deleted_at FROM endpoint WHERE id IN :ids"
_PAGE: Final = f"SELECT {_SHOWN} FROM endpoint WHERE app_id = :app AND deleted_at IS NULL"
_PAGE_SINCE: Final = (
    f"SELECT {_SHOWN}, deleted_at FROM endpoint WHERE app_id = :app AND (deleted_at IS NULL OR deleted_at >= :since)"
)
_ADD: Final = f"""
INSERT INTO endpoint ({_COLUMNS}, secret, headers) VALUES ({named(_COLUMNS)}, :secret, :headers)
ON CONFLICT (app_id, uid) WHERE uid IS NOT NULL DO NOTHING
"""
_CHANGED: Final = (
    "uid, url, description, version, disabled, event_types, channels, filter, throttle_rate, metadata, updated_at"
)
_CHANGE: Final = f"UPDATE endpoint SET {assigned(_CHANGED)} WHERE id = :id AND deleted_at IS NULL"
_SET_HEADERS: Final = "UPDATE endpoint SET headers = :headers, updated_at = :now WHERE id = :id AND deleted_at IS NULL"
_SET_SECRETS: Final = """
UPDATE endpoint SET secret = :secret, old_secrets = :old, updated_at = :now WHERE id = :id AND deleted_at IS NULL
"""
# The uid becomes free for another endpoint of the application.
_DELETE: Final = """
UPDATE endpoint SET deleted_at = :now, updated_at = :now, uid = NULL WHERE id = :id AND deleted_at IS NULL
"""
_NTH: Final = "SELECT 1 FROM endpoint WHERE app_id = :app AND deleted_at IS NULL ORDER BY id LIMIT 1 OFFSET {offset:d}"
# Unencrypted headers are JSON. The query returns NULL for encrypted and for empty ones.
_STORED_KEYS: Final = """
SELECT id, secret, old_secrets, CASE WHEN headers LIKE '{%' AND headers <> '{}' THEN headers END AS headers
FROM endpoint WHERE id > :after ORDER BY id LIMIT CAST(:limit AS BIGINT)
"""
_REPLACE_HEADERS: Final = "UPDATE endpoint SET headers = :encrypted WHERE id = :id AND headers = :plaintext"
_REPLACE_SECRETS: Final = """
UPDATE endpoint SET secret = :encrypted, old_secrets = :encrypted_old
WHERE id = :id AND secret = :plaintext AND old_secrets = :plaintext_old
"""
_IDS: Final = "SELECT id FROM endpoint WHERE app_id = :app AND deleted_at IS NULL"


def _by(ref: str) -> str:
    """Return the condition for an id or a uid. The prefix decides: a uid cannot have the form of an id."""
    return _BY_ID if ref.startswith(ENDPOINT) else _BY_UID


async def find(read: Read, app_id: AppId, ref: str) -> Endpoint | None:
    """Return an application's endpoint by its id or uid, or None if it does not exist or is deleted."""
    row = await read.row(f"SELECT {_SHOWN} {_by(ref)}", app=app_id, ref=ref)
    return None if row is None else _endpoint(row)


async def get(read: Read, app_id: AppId, ref: str) -> Endpoint:
    """Return an application's endpoint by its id or uid; raise `not_found` if it does not exist or is deleted."""
    endpoint = await find(read, app_id, ref)
    if endpoint is None:
        raise not_found()
    return endpoint


async def secret(read: Read, app_id: AppId, ref: str) -> bytes:
    """Return the stored signing secret of an endpoint, which starts with its marker byte; raise `not_found`."""
    row = await read.row(f"SELECT secret {_by(ref)}", app=app_id, ref=ref)
    if row is None:
        raise not_found()
    return bytes(row["secret"])


async def headers(read: Read, app_id: AppId, ref: str) -> str:
    """Return the stored headers of an endpoint, which may be encrypted; raise `not_found`."""
    row = await read.row(f"SELECT headers {_by(ref)}", app=app_id, ref=ref)
    if row is None:
        raise not_found()
    return str(row["headers"])


async def has_at_least(read: Read, app_id: AppId, many: int) -> bool:
    """Return whether an application has at least `many` endpoints."""
    return await read.row(_NTH.format(offset=many - 1), app=app_id) is not None


async def previous_secrets(read: Read, endpoint_id: EndpointId) -> tuple[OldSecret, ...]:
    """Return the previous secrets of an endpoint, including expired ones."""
    return old_secrets((await read.one("SELECT old_secrets FROM endpoint WHERE id = :id", id=endpoint_id))[0])


async def ids_of(read: Read, app_id: AppId) -> list[str]:
    """Return the ids of an application's endpoints."""
    return [row["id"] for row in await read.rows(_IDS, app=app_id)]


async def by_ids(read: Read, endpoint_ids: Sequence[str]) -> dict[EndpointId, Endpoint]:
    """Return endpoints by id, including deleted ones."""
    found = [_endpoint(row) for row in await read.rows(_BY_IDS, ids=list(endpoint_ids))]
    return {endpoint.id: endpoint for endpoint in found}


async def by_ids_with_deletion(
    read: Read, endpoint_ids: Sequence[str]
) -> dict[EndpointId, tuple[Endpoint, int | None]]:
    """Return endpoints by id, each with its time of deletion."""
    rows = await read.rows(_BY_IDS, ids=list(endpoint_ids))
    return {EndpointId(row["id"]): (_endpoint(row), row["deleted_at"]) for row in rows}


async def page(read: Read, app_id: AppId, window: PageWindow) -> list[Endpoint]:
    """Return a page of an application's endpoints, ordered by id."""
    rows = await read.rows(_PAGE + end_of(window, "id"), app=app_id, **bounds_of(window))
    return [_endpoint(row) for row in rows]


async def page_since(read: Read, app_id: AppId, window: PageWindow, since: int) -> list[tuple[Endpoint, int | None]]:
    """Return a page of the endpoints that existed at or after a timestamp, each with its time of deletion."""
    rows = await read.rows(_PAGE_SINCE + end_of(window, "id"), app=app_id, since=since, **bounds_of(window))
    return [(_endpoint(row), row["deleted_at"]) for row in rows]


async def add(tx: Write, endpoint: Endpoint, signing: bytes, headers: str) -> bool:
    """Add an endpoint with its stored secret and stored headers; return whether its uid was free."""
    return await tx.run(_ADD, **_values(endpoint), headers=headers, secret=signing) == 1


async def change(tx: Write, endpoint: Endpoint) -> None:
    """Update an endpoint, except its headers and secrets; raise `Duplicate` if another endpoint has its uid."""
    await tx.run(_CHANGE, **_values(endpoint))


async def set_headers(tx: Write, endpoint_id: EndpointId, headers: str, now: int) -> None:
    """Replace the stored headers of an endpoint, which may be encrypted."""
    await tx.run(_SET_HEADERS, id=endpoint_id, headers=headers, now=now)


async def set_secrets(tx: Write, endpoint_id: EndpointId, signing: bytes, kept: Sequence[OldSecret], now: int) -> None:
    """Replace the stored signing secret of an endpoint, and the previous secrets that still sign."""
    await tx.run(_SET_SECRETS, id=endpoint_id, secret=signing, old=_old_text(kept), now=now)


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """The columns of an endpoint that may be encrypted."""

    id: str
    secret: bytes
    old_secrets: tuple[OldSecret, ...]
    headers: str | None
    """The unencrypted headers; None if they are encrypted or empty."""


async def stored_keys(read: Read, *, after: str, limit: int) -> list[StoredKeys]:
    """Return the keys of the next endpoints after `after`, ordered by id, including deleted endpoints."""
    rows = await read.rows(_STORED_KEYS, after=after, limit=limit)
    return [
        StoredKeys(row["id"], bytes(row["secret"]), old_secrets(row["old_secrets"]), row["headers"]) for row in rows
    ]


async def replace_headers(tx: Write, endpoint_id: str, *, plaintext: str, encrypted: str) -> int:
    """Replace unencrypted headers with encrypted ones unless they have changed; return the number of changed rows."""
    return await tx.run(_REPLACE_HEADERS, id=endpoint_id, plaintext=plaintext, encrypted=encrypted)


async def replace_secrets(tx: Write, was: StoredKeys, encrypted: bytes, old: Sequence[OldSecret]) -> int:
    """Replace unencrypted secrets with encrypted ones unless they have changed; return the number of changed rows."""
    return await tx.run(
        _REPLACE_SECRETS,
        id=was.id,
        plaintext=was.secret,
        plaintext_old=_old_text(was.old_secrets),
        encrypted=encrypted,
        encrypted_old=_old_text(old),
    )


def _old_text(kept: Sequence[OldSecret]) -> str:
    return json.dumps([[each.expires_at, base64.b64encode(each.stored).decode("ascii")] for each in kept])


async def delete(tx: Write, endpoint_id: EndpointId, now: int) -> None:
    """Mark an endpoint as deleted and release its uid. Its attempts stay."""
    await tx.run(_DELETE, id=endpoint_id, now=now)


def old_secrets(text: str) -> tuple[OldSecret, ...]:
    """Parse the column `old_secrets`."""
    if text == "[]":
        return ()
    return tuple(OldSecret(until, base64.b64decode(stored)) for until, stored in json.loads(text))


def _values(endpoint: Endpoint) -> dict[str, Value]:
    return to_values(
        endpoint,
        event_types=names_text(endpoint.event_types),
        channels=names_text(endpoint.channels),
        filter=None if endpoint.filter is None else endpoint.filter.text,
        metadata=json.dumps(dict(endpoint.metadata)),
    )


def _endpoint(row: Row) -> Endpoint:
    return from_row(
        Endpoint,
        row,
        event_types=names_of(row["event_types"]),
        channels=names_of(row["channels"]),
        filter=stored_or_none(row["filter"]),
        metadata=json.loads(row["metadata"]),
        record=health.record_of(row),
    )
