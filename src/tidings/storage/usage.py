# SPDX-License-Identifier: MIT
"""What applications use: their attempts, counted by ranges of an index, and the event types they subscribe to.

No index has the attempts of an application; each of its endpoints has its own range, deleted ones too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.storage.database import Dialect, Read, Row, Sql


@dataclass(frozen=True, slots=True)
class AppRef:
    """An application by its id and its uid."""

    id: str
    uid: str | None


_HIGH_WATER_MARK: Final = "SELECT max(id) AS high_water_mark FROM application WHERE org_id = :org"
_COUNT: Final = (
    "SELECT count(*) AS n FROM (SELECT 1 FROM application WHERE org_id = :org AND id <= :last AND deleted_at IS NULL"
    " LIMIT CAST(:limit AS BIGINT)) AS counted"
)
_ALL: Final = (
    "SELECT id, uid FROM application WHERE org_id = :org AND id > :after AND id <= :last AND deleted_at IS NULL"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT)"
)
_IN: Final = {
    Dialect.SQLITE: "IN (SELECT value FROM json_each(:{name}))",
    Dialect.POSTGRESQL: "= ANY(CAST(:{name} AS text[]))",
}


def _both(text: str, **names: str) -> Sql:
    """Make both texts of a statement that says `{in_…}` for a list."""
    return Sql(
        *(
            text.format(**{f"in_{key}": _IN[each].format(name=name) for key, name in names.items()})
            for each in (Dialect.SQLITE, Dialect.POSTGRESQL)
        )
    )


_SOME: Final = _both(
    "SELECT id, uid FROM application WHERE id {in_ids} AND org_id = :org AND id > :after AND deleted_at IS NULL"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT)",
    ids="ids",
)
_RESOLVED: Final = _both(
    "SELECT id, uid FROM application WHERE org_id = :org AND id {in_refs} AND deleted_at IS NULL"
    " UNION SELECT id, uid FROM application WHERE org_id = :org AND uid {in_refs} AND deleted_at IS NULL",
    refs="refs",
)


async def high_water_mark(read: Read, org_id: str) -> str:
    """Return the greatest id of an organisation's applications that is visible, or nothing."""
    return (await read.one(_HIGH_WATER_MARK, org=org_id))["high_water_mark"] or ""


async def count(read: Read, org_id: str, last: str, *, limit: int) -> int:
    """Count an organisation's applications up to an id, and up to a limit."""
    return int((await read.one(_COUNT, org=org_id, last=last, limit=limit))["n"])


async def applications(read: Read, org_id: str, *, after: str, last: str, limit: int) -> list[AppRef]:
    """Return the next of an organisation's applications, by id."""
    return [_named(row) for row in await read.rows(_ALL, org=org_id, after=after, last=last, limit=limit)]


async def some(read: Read, org_id: str, app_ids: Sequence[str], *, after: str, limit: int) -> list[AppRef]:
    """Return the next of some of an organisation's applications, by id."""
    return [_named(row) for row in await read.rows(_SOME, org=org_id, ids=app_ids, after=after, limit=limit)]


async def resolved(read: Read, org_id: str, refs: Sequence[str]) -> list[AppRef]:
    """Return the applications that ids or uids name."""
    return [_named(row) for row in await read.rows(_RESOLVED, org=org_id, refs=refs)]


def _named(row: Row) -> AppRef:
    return AppRef(row["id"], row["uid"])


# -----------------------------------------------------------------------------------------------------------------
# Attempts

_ATTEMPTS: Final = Sql(
    # SQLite's CROSS JOIN keeps the order of the tables; PostgreSQL keeps it where OFFSET stands in between.
    sqlite=(
        "SELECT value AS id, (SELECT count(*) FROM (SELECT 1 FROM endpoint CROSS JOIN attempt"
        " WHERE endpoint.app_id = json_each.value AND attempt.endpoint_id = endpoint.id"
        " AND attempt.id >= :first AND attempt.id < :end LIMIT :most)) AS n FROM json_each(:ids)"
    ),
    postgresql=(
        "SELECT wanted.id AS id, (SELECT count(*) FROM (SELECT 1 FROM endpoint CROSS JOIN LATERAL"
        " (SELECT 1 FROM attempt WHERE attempt.endpoint_id = endpoint.id"
        " AND attempt.id >= :first AND attempt.id < :end OFFSET 0) AS made"
        " WHERE endpoint.app_id = wanted.id LIMIT CAST(:most AS BIGINT)) AS counted) AS n"
        " FROM unnest(CAST(:ids AS text[])) AS wanted(id)"
    ),
)
_NEXT_ENDPOINT: Final = "SELECT min(id) AS id FROM endpoint WHERE app_id = :app AND id > :after"


async def attempts(read: Read, app_ids: Sequence[str], first: str, end: str, *, most: int) -> dict[str, int]:
    """Count the attempts of applications with `first <= id < end`, of each no more than so many."""
    rows = await read.rows(_ATTEMPTS, ids=app_ids, first=first, end=end, most=most)
    return {row["id"]: row["n"] for row in rows}


async def next_endpoint(read: Read, app_id: str, *, after: str) -> str | None:
    """Return the next endpoint of an application, by id; deleted ones too."""
    found: str | None = (await read.one(_NEXT_ENDPOINT, app=app_id, after=after))["id"]
    return found


# -----------------------------------------------------------------------------------------------------------------
# Subscriptions

_FILTERS: Final = _both(
    "SELECT DISTINCT app_id, event_types FROM endpoint WHERE app_id {in_apps} AND deleted_at IS NULL", apps="apps"
)


async def subscriptions(read: Read, app_ids: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return the filters of applications' endpoints, each once: application, and event types as JSON or None."""
    return [(row["app_id"], row["event_types"]) for row in await read.rows(_FILTERS, apps=app_ids)]
