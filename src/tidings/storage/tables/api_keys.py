# SPDX-License-Identifier: MIT
"""API keys: add, find, list and change them, and record their last uses.

The keys of integrations are rows of the same table, so that every node hears of their changes. They are in no list.
"""

import secrets
from collections.abc import Collection, Iterable
from typing import Final

from tidings.ids import AppId, OrgId
from tidings.model.api_key import ApiKey, KeyScope
from tidings.model.page import PageWindow
from tidings.storage.drivers.database import Read, Row, Write, from_row, named, names_of, to_values
from tidings.storage.tables.key_ranges import bounds_of, end_of

_COLUMNS: Final = (
    "id, org_id, app_id, scope, read_only, name, hint, created_by, created_at, expires_at, revoked_at, last_used_at,"
    " version, integration_id"
)
_FLAGS: Final = "(SELECT feature_flags FROM integration WHERE integration.id = api_key.integration_id)"
_FROM: Final = f"SELECT {_COLUMNS}, {_FLAGS} AS feature_flags FROM api_key"
_BY_HASH: Final = f"{_FROM} WHERE hash = :hash"
_BY_ID: Final = f"{_FROM} WHERE id = :id"
_PAGE: Final = f"{_FROM} WHERE integration_id IS NULL AND org_id = :org"
_EVERY: Final = f"{_FROM} WHERE integration_id IS NULL"
_ADD: Final = f"INSERT INTO api_key (hash, {_COLUMNS}) VALUES (:hash, {named(_COLUMNS)})"
_COUNT: Final = "SELECT count(*) AS n FROM api_key WHERE org_id = :org AND integration_id IS NULL"
_DROP_ENDED: Final = """
DELETE FROM api_key WHERE row_address IN (
  SELECT row_address FROM api_key WHERE org_id = :org AND integration_id IS NULL AND expires_at <= :before
  ORDER BY expires_at LIMIT 1
)
"""
_RENAME: Final = "UPDATE api_key SET name = :name WHERE id = :id"
_RESCOPE: Final = """
UPDATE api_key SET scope = :scope, app_id = :app, read_only = :read_only, version = version + 1, changed_at = :now
WHERE id = :id
"""
# A revoked key never becomes valid again, and a later revocation does not postpone an earlier one.
_REVOKE: Final = """
UPDATE api_key SET expires_at = CAST(:ends_at AS BIGINT), revoked_at = :now, version = version + 1, changed_at = :now
WHERE id = :id AND (expires_at IS NULL OR expires_at > CAST(:ends_at AS BIGINT))
"""
_NOTE_USES: Final = """
UPDATE api_key SET last_used_at = given.used_at FROM given(id text, used_at bigint)
WHERE found_by(api_key.id, given.id) AND (last_used_at IS NULL OR last_used_at < given.used_at)
"""
_PRUNE: Final = """
DELETE FROM api_key WHERE row_address IN (
  SELECT row_address FROM api_key WHERE expires_at < :before ORDER BY expires_at LIMIT CAST(:limit AS BIGINT)
)
"""
DELETION_SETTING: Final = "api_keys_deleted"
"""The setting whose value differs after each deletion of keys that had not ended; the heartbeat query reads it."""
_DELETE_OF_ORG: Final = "DELETE FROM api_key WHERE org_id = :org"
_NOTE_DELETION: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_MARK_BYTES: Final = 8


async def add(tx: Write, key: ApiKey, digest: str) -> None:
    """Add a key; `digest` is the hash of its text."""
    values = to_values(
        key, scope=key.scope.value, read_only=int(key.is_read_only), integration_id=key.integration_id, hash=digest
    )
    del values["is_read_only"]
    await tx.run(_ADD, **values)


async def find(read: Read, digest: str) -> ApiKey | None:
    """Return the key whose text has this hash, also an ended one, or None."""
    return _key(await read.row(_BY_HASH, hash=digest))


async def get(read: Read, key_id: str) -> ApiKey | None:
    """Return a key by its id, also an ended one, or None."""
    return _key(await read.row(_BY_ID, id=key_id))


async def page(read: Read, org_id: OrgId | None, window: PageWindow) -> list[ApiKey]:
    """Return a page of the keys of an organization, or of all, ordered by id, with the ended ones."""
    where, values = (_EVERY, bounds_of(window)) if org_id is None else (_PAGE, {"org": org_id, **bounds_of(window)})
    return [found for row in await read.rows(where + end_of(window, "id"), **values) if (found := _key(row))]


async def count(read: Read, org_id: OrgId) -> int:
    """Return the number of keys of an organization, with the ended ones."""
    return int((await read.one(_COUNT, org=org_id))["n"])


async def delete_ended(tx: Write, org_id: OrgId, before: int) -> bool:
    """Delete the key of an organization that ended first, not after `before`; return whether there was one."""
    return await tx.run(_DROP_ENDED, org=org_id, before=before) == 1


async def rename(tx: Write, key_id: str, name: str) -> None:
    """Change the name of a key."""
    await tx.run(_RENAME, id=key_id, name=name)


async def rescope(tx: Write, key: ApiKey, now: int) -> None:
    """Change the scope, the application and the read-only flag of a key to those of `key`."""
    await tx.run(_RESCOPE, id=key.id, scope=key.scope.value, app=key.app_id, read_only=int(key.is_read_only), now=now)


async def revoke(tx: Write, key_id: str, *, now: int, ends_at: int) -> None:
    """End a key at a timestamp, unless it ends earlier."""
    await tx.run(_REVOKE, id=key_id, now=now, ends_at=ends_at)


async def note_uses(tx: Write, uses: Iterable[tuple[str, int]]) -> None:
    """Record the last uses of keys, by id; nodes may do so at the same time, so the rows are locked in order."""
    await tx.bulk(_NOTE_USES, sorted(uses))


async def prune(tx: Write, *, before: int, limit: int) -> int:
    """Delete keys that ended before a timestamp, up to a limit; return how many."""
    return await tx.run(_PRUNE, before=before, limit=limit)


async def delete_of_org(tx: Write, org_id: OrgId) -> None:
    """Delete the keys of an organization, with those of its integrations.

    Without a row no node could hear that its key has ended, so each of them drops all keys that it holds.
    """
    if await tx.run(_DELETE_OF_ORG, org=org_id):
        await tx.run(_NOTE_DELETION, name=DELETION_SETTING, value=secrets.token_hex(_MARK_BYTES))


def _key(row: Row | None) -> ApiKey | None:
    if row is None:
        return None
    return from_row(
        ApiKey,
        row,
        scope=KeyScope(row["scope"]),
        is_read_only=bool(row["read_only"]),
        integration_id=row["integration_id"],
        feature_flags=names_of(row["feature_flags"]) or (),
    )


# ----------------------------------------------------------------------------------------------------------------------
# Keys of integrations

_OF_INTEGRATION: Final = "app_id = :app AND integration_id = :integration AND expires_at IS NULL"
_OF_INTEGRATIONS: Final = f"{_FROM} WHERE app_id = :app AND integration_id IN :integrations AND expires_at IS NULL"
_REPLACE: Final = f"""
UPDATE api_key SET hash = :hash, hint = :hint, created_by = :created_by, last_used_at = NULL, version = version + 1,
  changed_at = :now
WHERE {_OF_INTEGRATION} RETURNING id
"""
_TOUCH: Final = f"UPDATE api_key SET version = version + 1, changed_at = :now WHERE {_OF_INTEGRATION} RETURNING id"
_END: Final = """
UPDATE api_key SET expires_at = CAST(:now AS BIGINT), revoked_at = :now, version = version + 1, changed_at = :now
WHERE app_id = :app AND (expires_at IS NULL OR expires_at > CAST(:now AS BIGINT))"""
_END_ALL: Final = f"{_END} RETURNING id"
_END_ONE: Final = f"{_END} AND integration_id = :integration RETURNING id"
_DELETE_ENDED: Final = (
    "DELETE FROM api_key WHERE app_id = :app AND integration_id IS NOT NULL AND expires_at < CAST(:before AS BIGINT)"
)


async def replace_of_integration(tx: Write, key: ApiKey, digest: str) -> list[str]:
    """Give the key of an integration the hash, hint and creator of a new one; return the id of its row, if any.

    The old text of the key is then unknown.
    """
    rows = await tx.rows(
        _REPLACE,
        app=key.app_id,
        integration=key.integration_id,
        hash=digest,
        hint=key.hint,
        created_by=key.created_by,
        now=key.created_at,
    )
    return [row["id"] for row in rows]


async def touch_of_integration(tx: Write, app_id: AppId, integration_id: str, now: int) -> list[str]:
    """Make every node read the key of an integration again; return the key's id, if any."""
    rows = await tx.rows(_TOUCH, app=app_id, integration=integration_id, now=now)
    return [row["id"] for row in rows]


async def end_of_application(tx: Write, app_id: AppId, integration_id: str | None, now: int) -> list[str]:
    """End the key of an integration, or for None all keys of an application; return the ids of the ended keys.

    The rows stay for a while: a node that holds such a key learns from its row that it ended.
    """
    if integration_id is None:
        rows = await tx.rows(_END_ALL, app=app_id, now=now)
    else:
        rows = await tx.rows(_END_ONE, app=app_id, integration=integration_id, now=now)
    return [row["id"] for row in rows]


async def delete_ended_of_integrations(tx: Write, app_id: AppId, *, before: int) -> None:
    """Delete the keys of integrations of an application that ended before a timestamp."""
    await tx.run(_DELETE_ENDED, app=app_id, before=before)


async def of_integrations(read: Read, app_id: AppId, integration_ids: Collection[str]) -> list[ApiKey]:
    """Return the keys of integrations of an application; an integration without one has none in the result."""
    rows = await read.rows(_OF_INTEGRATIONS, app=app_id, integrations=list(integration_ids))
    return [found for row in rows if (found := _key(row))]
