# SPDX-License-Identifier: MIT
"""Queries and writes of the applications of an organization, of the tokens that are revoked, and of usage."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.errors import not_found
from tidings.ids import APP, AppId, OrgId
from tidings.model.app import App, AppExclusion
from tidings.model.page import PageWindow
from tidings.storage.drivers.database import Read, Row, Sql, Value, Write, assigned, from_row, named, to_values
from tidings.storage.tables.key_ranges import bounds_of, end_of

_COLUMNS: Final = "id, org_id, uid, name, throttle_rate, metadata, created_at, updated_at"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM application WHERE org_id = :org AND id = :ref AND deleted_at IS NULL"
_BY_UID: Final = f"SELECT {_COLUMNS} FROM application WHERE org_id = :org AND uid = :ref AND deleted_at IS NULL"
_LOCKED: Final = " FOR UPDATE"
_PAGE: Final = f"SELECT {_COLUMNS} FROM application WHERE org_id = :org AND deleted_at IS NULL"
_ADD: Final = f"""
INSERT INTO application ({_COLUMNS}, routed_at) VALUES ({named(_COLUMNS)}, :created_at)
ON CONFLICT (org_id, uid) WHERE uid IS NOT NULL DO NOTHING
"""
_CHANGE: Final = f"""
UPDATE application SET {assigned("uid, name, throttle_rate, metadata, updated_at")}
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


async def find_locked(tx: Write, org_id: OrgId, ref: str) -> App | None:
    """Return an application like `find`, and lock its row until the transaction ends."""
    row = await tx.row((_BY_ID if ref.startswith(APP) else _BY_UID) + _LOCKED, org=org_id, ref=ref)
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
    return await tx.run(_ADD, **_values(app)) == 1


async def change(tx: Write, app: App) -> None:
    """Update the mutable columns of an application; raise `Duplicate` if another application has its uid."""
    await tx.run(_CHANGE, **_values(app))


async def delete(tx: Write, app_id: AppId, now: int) -> None:
    """Mark an application as deleted and release its uid."""
    await tx.run(_DELETE, id=app_id, now=now)


async def advance_routing_version(tx: Write, app_id: AppId, now: int) -> None:
    """Increment the routing version of an application; raise `not_found` if it does not exist or is deleted.

    Every change that routing depends on calls this in its own transaction. The row lock serializes such changes.
    """
    if not await tx.run(_ADVANCE_ROUTING, id=app_id, now=now):
        raise not_found()


def _values(app: App) -> dict[str, Value]:
    return to_values(app, metadata=json.dumps(dict(app.metadata)))


def _app(row: Row) -> App:
    return from_row(App, row, metadata=json.loads(row["metadata"]))


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


# -----------------------------------------------------------------------------------------------------------------
# Usage of applications: counts of their attempts, and the event types that their endpoints subscribe to


@dataclass(frozen=True, slots=True)
class AppRef:
    """The id and the uid of an application."""

    id: str
    uid: str | None


_ALL: Final = (
    "SELECT id, uid FROM application WHERE org_id = :org AND id > :after AND id <= :last AND deleted_at IS NULL"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT)"
)
_SOME: Final = (
    "SELECT id, uid FROM application WHERE id IN :ids AND org_id = :org AND id > :after AND deleted_at IS NULL"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT)"
)
_RESOLVED: Final = (
    "SELECT id, uid FROM application WHERE org_id = :org AND id IN :refs AND deleted_at IS NULL"
    " UNION SELECT id, uid FROM application WHERE org_id = :org AND uid IN :refs AND deleted_at IS NULL"
)


async def app_refs(read: Read, org_id: str, *, after: str, last: str, limit: int) -> list[AppRef]:
    """Return an organization's applications with `after < id <= last`, in id order, up to a limit."""
    return [AppRef(*row) for row in await read.rows(_ALL, org=org_id, after=after, last=last, limit=limit)]


async def selected_app_refs(read: Read, org_id: str, app_ids: Sequence[str], *, after: str, limit: int) -> list[AppRef]:
    """Return those of the given applications with `id > after`, in id order, up to a limit."""
    return [AppRef(*row) for row in await read.rows(_SOME, org=org_id, ids=app_ids, after=after, limit=limit)]


async def resolve_refs(read: Read, org_id: str, refs: Sequence[str]) -> list[AppRef]:
    """Return the applications with these ids or uids."""
    return [AppRef(*row) for row in await read.rows(_RESOLVED, org=org_id, refs=refs)]


# -----------------------------------------------------------------------------------------------------------------
# No index covers the attempts of an application. The attempts at each of its endpoints, including deleted ones, are a
# range of the index `attempt_endpoint`.

_COUNT_ATTEMPTS: Final = Sql(
    # CROSS JOIN fixes the join order on SQLite, and the OFFSET in the subquery does so on PostgreSQL.
    sqlite=(
        "SELECT value AS id, (SELECT count(*) FROM (SELECT 1 FROM endpoint CROSS JOIN attempt"
        " WHERE endpoint.app_id = json_each.value AND attempt.endpoint_id = endpoint.id"
        " AND attempt.id >= :first AND attempt.id < :end LIMIT :limit)) AS n FROM json_each(:ids)"
    ),
    postgresql=(
        "SELECT requested.id AS id, (SELECT count(*) FROM (SELECT 1 FROM endpoint CROSS JOIN LATERAL"
        " (SELECT 1 FROM attempt WHERE attempt.endpoint_id = endpoint.id"
        " AND attempt.id >= :first AND attempt.id < :end OFFSET 0) AS made"
        " WHERE endpoint.app_id = requested.id LIMIT CAST(:limit AS BIGINT)) AS counted) AS n"
        " FROM unnest(CAST(:ids AS text[])) AS requested(id)"
    ),
)
_NEXT_ENDPOINT: Final = "SELECT min(id) AS id FROM endpoint WHERE app_id = :app AND id > :after"


async def count_attempts(read: Read, app_ids: Sequence[str], first: str, end: str, *, limit: int) -> dict[str, int]:
    """Count the attempts of each application with `first <= id < end`, up to `limit` per application."""
    rows = await read.rows(_COUNT_ATTEMPTS, ids=app_ids, first=first, end=end, limit=limit)
    return {row["id"]: row["n"] for row in rows}


async def next_endpoint(read: Read, app_id: str, *, after: str) -> str | None:
    """Return the next endpoint of an application after an id, including deleted ones."""
    found: str | None = (await read.one(_NEXT_ENDPOINT, app=app_id, after=after))["id"]
    return found


_FILTERS: Final = "SELECT DISTINCT app_id, event_types FROM endpoint WHERE app_id IN :apps AND deleted_at IS NULL"


async def subscriptions(read: Read, app_ids: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return the distinct pairs of application id and its endpoints' event types (JSON, or None for all)."""
    return [(row["app_id"], row["event_types"]) for row in await read.rows(_FILTERS, apps=app_ids)]
