# SPDX-License-Identifier: MIT
"""Usage of applications: counts of their attempts, and the event types that their endpoints subscribe to.

No index covers the attempts of an application. The attempts at each of its endpoints, including deleted ones, are a
range of the index `attempt_endpoint`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.storage.drivers.database import Read, Row, Sql


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


async def applications(read: Read, org_id: str, *, after: str, last: str, limit: int) -> list[AppRef]:
    """Return an organization's applications with `after < id <= last`, in id order, up to a limit."""
    return [_app_ref(row) for row in await read.rows(_ALL, org=org_id, after=after, last=last, limit=limit)]


async def selected_applications(
    read: Read, org_id: str, app_ids: Sequence[str], *, after: str, limit: int
) -> list[AppRef]:
    """Return those of the given applications with `id > after`, in id order, up to a limit."""
    return [_app_ref(row) for row in await read.rows(_SOME, org=org_id, ids=app_ids, after=after, limit=limit)]


async def resolve(read: Read, org_id: str, refs: Sequence[str]) -> list[AppRef]:
    """Return the applications with these ids or uids."""
    return [_app_ref(row) for row in await read.rows(_RESOLVED, org=org_id, refs=refs)]


def _app_ref(row: Row) -> AppRef:
    return AppRef(row["id"], row["uid"])


# -----------------------------------------------------------------------------------------------------------------
# Attempts

_ATTEMPTS: Final = Sql(
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


async def attempts(read: Read, app_ids: Sequence[str], first: str, end: str, *, limit: int) -> dict[str, int]:
    """Count the attempts of each application with `first <= id < end`, up to `limit` per application."""
    rows = await read.rows(_ATTEMPTS, ids=app_ids, first=first, end=end, limit=limit)
    return {row["id"]: row["n"] for row in rows}


async def next_endpoint(read: Read, app_id: str, *, after: str) -> str | None:
    """Return the next endpoint of an application after an id, including deleted ones."""
    found: str | None = (await read.one(_NEXT_ENDPOINT, app=app_id, after=after))["id"]
    return found


# -----------------------------------------------------------------------------------------------------------------
# Subscriptions

_FILTERS: Final = "SELECT DISTINCT app_id, event_types FROM endpoint WHERE app_id IN :apps AND deleted_at IS NULL"


async def subscriptions(read: Read, app_ids: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return the distinct pairs of application id and its endpoints' event types (JSON, or None for all)."""
    return [(row["app_id"], row["event_types"]) for row in await read.rows(_FILTERS, apps=app_ids)]
