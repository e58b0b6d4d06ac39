# SPDX-License-Identifier: MIT
"""Queries and writes of the applications of an organization, and of the tokens that are revoked."""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from tidings.errors import not_found
from tidings.ids import APP, AppId, OrgId
from tidings.model.app import App, AppExclusion
from tidings.model.page import PageWindow
from tidings.storage.drivers.database import Read, Row, Write
from tidings.storage.tables.page_window import bounds_of, end_of

_COLUMNS: Final = "id, org_id, uid, name, throttle_rate, metadata, created_at, updated_at"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM application WHERE org_id = :org AND id = :ref AND deleted_at IS NULL"
_BY_UID: Final = f"SELECT {_COLUMNS} FROM application WHERE org_id = :org AND uid = :ref AND deleted_at IS NULL"
_PAGE: Final = f"SELECT {_COLUMNS} FROM application WHERE org_id = :org AND deleted_at IS NULL"
_ADD: Final = f"""
INSERT INTO application ({_COLUMNS}, routed_at)
VALUES (:id, :org_id, :uid, :name, :throttle_rate, :metadata, :created_at, :updated_at, :created_at)
ON CONFLICT (org_id, uid) WHERE uid IS NOT NULL DO NOTHING
"""
_CHANGE: Final = """
UPDATE application SET uid = :uid, name = :name, throttle_rate = :throttle_rate, metadata = :metadata,
  updated_at = :updated_at
WHERE id = :id AND deleted_at IS NULL
"""
# The uid becomes free for another application. Endpoints and messages keep their rows, but no request can reach them.
_DELETE: Final = """
UPDATE application SET deleted_at = :now, updated_at = :now, uid = NULL WHERE id = :id AND deleted_at IS NULL
"""
_THERE: Final = "SELECT 1 FROM endpoint WHERE endpoint.app_id = application.id AND endpoint.deleted_at IS NULL"
_PLAY: Final = "(endpoint.url LIKE 'https://play.svix.com/%' OR endpoint.url LIKE 'https://api.play.svix.com/%')"
_EXCEPT: Final = {
    AppExclusion.ENDPOINTS: f" AND EXISTS ({_THERE})",
    AppExclusion.ENABLED: f" AND (NOT EXISTS ({_THERE}) OR EXISTS ({_THERE} AND endpoint.disabled = 0))",
    AppExclusion.REAL: f" AND (NOT EXISTS ({_THERE}) OR EXISTS ({_THERE} AND NOT {_PLAY}))",
}
_ADVANCE_ROUTING: Final = """
UPDATE application SET routing_version = routing_version + 1, routed_at = :now
WHERE id = :id AND deleted_at IS NULL
"""


async def find(read: Read, org_id: OrgId, ref: str) -> App | None:
    """Return an application by its id or uid, or None if it does not exist or is deleted.

    The prefix of `ref` decides which of the two it is: a uid cannot have the form of an id.
    """
    row = await read.row(_BY_ID if ref.startswith(APP) else _BY_UID, org=org_id, ref=ref)
    return None if row is None else _app(row)


async def get(read: Read, org_id: OrgId, ref: str) -> App:
    """Return an application by its id or uid; raise `not_found` if it does not exist or is deleted."""
    app = await find(read, org_id, ref)
    if app is None:
        raise not_found()
    return app


async def page(read: Read, org_id: OrgId, window: PageWindow, without: Iterable[AppExclusion] = ()) -> list[App]:
    """Return a page of an organization's applications, ordered by id, without those that an exclusion removes."""
    conditions = "".join(_EXCEPT[each] for each in without)
    rows = await read.rows(_PAGE + conditions + end_of(window, "id"), org=org_id, **bounds_of(window))
    return [_app(row) for row in rows]


async def add(tx: Write, app: App) -> bool:
    """Add an application and return whether its uid was free.

    A duplicate id raises `Duplicate`: ids are generated here, so it can only be a bug.
    """
    written = await tx.run(
        _ADD,
        id=app.id,
        org_id=app.org_id,
        uid=app.uid,
        name=app.name,
        throttle_rate=app.throttle_rate,
        metadata=json.dumps(dict(app.metadata)),
        created_at=app.created_at,
        updated_at=app.updated_at,
    )
    return written == 1


async def change(tx: Write, app: App) -> None:
    """Update the mutable columns of an application; raise `Duplicate` if another application has its uid."""
    await tx.run(
        _CHANGE,
        id=app.id,
        uid=app.uid,
        name=app.name,
        throttle_rate=app.throttle_rate,
        metadata=json.dumps(dict(app.metadata)),
        updated_at=app.updated_at,
    )


async def delete(tx: Write, app_id: AppId, now: int) -> None:
    """Mark an application as deleted and release its uid."""
    await tx.run(_DELETE, id=app_id, now=now)


async def advance_routing_version(tx: Write, app_id: AppId, now: int) -> None:
    """Increment the routing version of an application; raise `not_found` if it does not exist or is deleted.

    Every change that routing depends on calls this in its own transaction. The row lock serializes such changes.
    """
    if not await tx.run(_ADVANCE_ROUTING, id=app_id, now=now):
        raise not_found()


def _app(row: Row) -> App:
    return App(
        id=AppId(row["id"]),
        org_id=OrgId(row["org_id"]),
        uid=row["uid"],
        name=row["name"],
        throttle_rate=row["throttle_rate"],
        metadata=json.loads(row["metadata"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


# -----------------------------------------------------------------------------------------------------------------
# Revocations: records of application tokens that end before their expiry

_IS_ENDED: Final = """
SELECT 1 FROM token_end
WHERE app_id = :app AND issued_before > :issued_at AND ends_at <= :now AND whose IN :whose LIMIT 1
"""
# If the same tokens are ended twice, the earlier end applies.
_END_TOKENS: Final = """
INSERT INTO token_end (app_id, whose, issued_before, ends_at)
SELECT * FROM given(app_id text, whose text, issued_before bigint, ends_at bigint)
ON CONFLICT (app_id, whose, issued_before) DO UPDATE SET ends_at = excluded.ends_at
WHERE excluded.ends_at < token_end.ends_at
"""
_PRUNE_TOKENS: Final = "DELETE FROM token_end WHERE ends_at < :before"


async def is_token_ended(read: Read, app_id: AppId, whose: Sequence[str], *, issued_at: int, now: int) -> bool:
    """Return whether a token was ended under any of its names, such as `session:…` or `token:…`."""
    return await read.row(_IS_ENDED, app=app_id, whose=list(whose), issued_at=issued_at, now=now) is not None


async def end_tokens(tx: Write, app_id: AppId, whose: Sequence[str], *, issued_before: int, ends_at: int) -> None:
    """End the tokens that have one of these names and were issued before a timestamp."""
    await tx.bulk(_END_TOKENS, [(app_id, each, issued_before, ends_at) for each in whose])


async def prune_tokens(tx: Write, *, before: int) -> int:
    """Delete the records of tokens that ended before a timestamp; return how many."""
    return await tx.run(_PRUNE_TOKENS, before=before)
