# SPDX-License-Identifier: MIT
"""Rollups: attempts counted by endpoint and hour, with the totals of applications, of organizations and of all.

An attempt belongs to the hour in its id, in which it began. The task `system.rollup` is the only writer of rollups.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tidings.clock import HOUR
from tidings.ids import ATTEMPT, AppId, OrgId, first_at
from tidings.model.rollup import LATENCY_BOUNDS_MS, AttemptTotals, Owner, Rollups
from tidings.storage.drivers.database import Read, Row, Sql, Write

# -----------------------------------------------------------------------------------------------------------------
# Attempts, counted

_BY_LATENCY: Final = (
    "CASE WHEN status = 2 THEN -1"
    + "".join(
        f" WHEN response_duration_ms <= {bound:d} THEN {place:d}" for place, bound in enumerate(LATENCY_BOUNDS_MS)
    )
    + f" ELSE {len(LATENCY_BOUNDS_MS):d} END"
)
# Without the duration, the index `attempt_endpoint` has every column.
_BY_OUTCOME: Final = "CASE WHEN status = 2 THEN -1 ELSE 0 END"
# On both databases, each endpoint is one probe of the index if it has no attempt in the whole range. The limits make
# PostgreSQL use the index, whatever it expects to find.
_COUNTED: Final = """
SELECT endpoint, hour, bucket, count(*) AS n FROM (
  SELECT requested.id AS endpoint, hours.start AS hour, {bucket} AS bucket
  FROM {attempts} LIMIT CAST(:most AS BIGINT)
) AS counted GROUP BY endpoint, hour, bucket
"""
_HOURS: Final = "rows_of(:firsts, :belows, :starts bigint) AS hours(first, below, start)"
_ATTEMPTS: Final = Sql(
    sqlite=(
        "(SELECT value AS id FROM json_each(:endpoints) WHERE EXISTS (SELECT 1 FROM attempt"
        " WHERE endpoint_id = value AND id >= :first AND id < :below)) AS requested"
        f" CROSS JOIN {_HOURS} CROSS JOIN attempt"
        " WHERE attempt.endpoint_id = requested.id AND attempt.id >= hours.first AND attempt.id < hours.below"
        " AND attempt.status IN (0, 2)"
    ),
    postgresql=(
        "rows_of(:endpoints) AS requested(id)"
        " CROSS JOIN LATERAL (SELECT 1 FROM attempt WHERE endpoint_id = requested.id AND id >= :first AND id < :below"
        " ORDER BY endpoint_id, id LIMIT 1) AS attempted"
        f" CROSS JOIN {_HOURS}"
        " CROSS JOIN LATERAL (SELECT status, response_duration_ms FROM attempt"
        " WHERE endpoint_id = requested.id AND id >= hours.first AND id < hours.below AND status IN (0, 2)"
        " ORDER BY endpoint_id, id LIMIT CAST(:most AS BIGINT)) AS attempt"
    ),
)
_COUNT: Final = {
    with_latency: Sql(_COUNTED, _COUNTED).format(
        bucket=_BY_LATENCY if with_latency else _BY_OUTCOME,
        attempts=_ATTEMPTS
        if with_latency
        else Sql(_ATTEMPTS.sqlite, _ATTEMPTS.postgresql.replace("status, response_duration_ms", "status")),
    )
    for with_latency in (True, False)
}
_PART: Final = (
    f"SELECT bucket, count(*) AS n, max(id) AS last_id FROM (SELECT id, {_BY_LATENCY} AS bucket FROM attempt"
    " WHERE endpoint_id = :endpoint AND id >= :first AND id < :below AND status IN (0, 2)"
    " ORDER BY endpoint_id, id LIMIT CAST(:most AS BIGINT)) AS counted GROUP BY bucket"
)


class CountedHour(NamedTuple):
    """The attempts at one endpoint in one hour."""

    endpoint_id: str
    hour: int
    totals: AttemptTotals


@dataclass(frozen=True, slots=True)
class CountedPart:
    """A counted part of the attempts at an endpoint in one hour, and the last attempt if there are more."""

    totals: AttemptTotals
    scanned: int
    last_id: str | None


def bounds(hour: int) -> tuple[str, str]:
    """Return the first id of an attempt in an hour, and the first one after it."""
    return first_at(ATTEMPT, hour), first_at(ATTEMPT, hour + HOUR)


async def count_attempts(
    read: Read, endpoint_ids: Sequence[str], hours: range, *, most: int, with_latency: bool = True
) -> list[CountedHour] | None:
    """Count the attempts at endpoints in each hour; None if there are more than `most`.

    `hours` is a range of timestamps, with steps of an hour. Hours without attempts are left out. Without the latency,
    all successful attempts are in its first bucket.
    """
    if not hours or not endpoint_ids:
        return []
    firsts = [first_at(ATTEMPT, each) for each in (*hours, hours.stop)]
    rows = await read.rows(
        _COUNT[with_latency],
        endpoints=list(endpoint_ids),
        firsts=firsts[:-1],
        belows=firsts[1:],
        starts=list(hours),
        first=firsts[0],
        below=firsts[-1],
        most=most + 1,
    )
    if sum(row["n"] for row in rows) > most:
        return None
    return _grouped(rows)


def _grouped(rows: Iterable[Row]) -> list[CountedHour]:
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for endpoint, hour, bucket, number in rows:
        found.setdefault((endpoint, hour), []).append((bucket, number))
    return [CountedHour(endpoint, hour, AttemptTotals.of_buckets(each)) for (endpoint, hour), each in found.items()]


async def count_part(read: Read, endpoint_id: str, *, first: str, below: str, most: int) -> CountedPart:
    """Count the attempts at an endpoint with `first <= id < below`, in the order of their ids, up to `most`."""
    rows = await read.rows(_PART, endpoint=endpoint_id, first=first, below=below, most=most)
    scanned = sum(row["n"] for row in rows)
    last = max((row["last_id"] for row in rows), default=None) if scanned == most else None
    return CountedPart(AttemptTotals.of_buckets((row["bucket"], row["n"]) for row in rows), scanned, last)


# -----------------------------------------------------------------------------------------------------------------
# Rollups

_COLUMNS: Final = "rollup.org_id, rollup.app_id, rollup.endpoint_id, rollup.hour, delivered, failed, latency"
_IS_OF: Final = (
    "found_by(rollup.org_id, wanted.org) AND rollup.app_id = wanted.app AND rollup.endpoint_id = wanted.endpoint"
)
_RANGE: Final = (
    f"SELECT {_COLUMNS} FROM rows_of(:orgs, :apps, :endpoints) AS wanted(org, app, endpoint) JOIN rollup ON {_IS_OF}"
    " AND rollup.hour >= CAST(:since AS BIGINT) AND rollup.hour < CAST(:until AS BIGINT)"
)
_EXACT: Final = (
    f"SELECT {_COLUMNS} FROM rows_of(:orgs, :apps, :endpoints, :hours bigint) AS wanted(org, app, endpoint, hour)"
    f" JOIN rollup ON {_IS_OF} AND found_by(rollup.hour, wanted.hour)"
)
_REPLACE: Final = (
    "INSERT INTO rollup (org_id, app_id, endpoint_id, hour, delivered, failed, latency) SELECT * FROM"
    " given(org text, app text, endpoint text, hour bigint, delivered bigint, failed bigint, latency text)"
    " ON CONFLICT (org_id, app_id, endpoint_id, hour) DO UPDATE"
    " SET delivered = excluded.delivered, failed = excluded.failed, latency = excluded.latency"
)
_OWNERS: Final = "SELECT id, org_id, app_id FROM endpoint WHERE id IN :ids"


async def of_range(read: Read, owners: Sequence[Owner], since: int, until: int) -> Rollups:
    """Return the rollups of owners for the hours from `since` to before `until`; hours without attempts are left out.

    For many owners, this reads many rows: one for each of them and each hour.
    """
    orgs, apps, endpoints = _columns(owners)
    rows = await read.rows(_RANGE, orgs=orgs, apps=apps, endpoints=endpoints, since=since, until=until)
    return _rollups(rows)


async def at_hours(read: Read, keys: Sequence[tuple[Owner, int]]) -> Rollups:
    """Return the rollups of owners, each for one hour; those without attempts are left out."""
    orgs, apps, endpoints = _columns([owner for owner, _ in keys])
    hours = [hour for _, hour in keys]
    return _rollups(await read.rows(_EXACT, orgs=orgs, apps=apps, endpoints=endpoints, hours=hours))


def _columns(owners: Sequence[Owner]) -> tuple[list[str], list[str], list[str]]:
    return [each.org_id for each in owners], [each.app_id for each in owners], [each.endpoint_id for each in owners]


def _rollups(rows: Sequence[Row]) -> Rollups:
    return {
        (Owner(org, app, endpoint), hour): AttemptTotals(delivered, failed, tuple(json.loads(latency)))
        for org, app, endpoint, hour, delivered, failed, latency in rows
    }


async def replace(tx: Write, rollups: Rollups) -> None:
    """Replace rollups."""
    rows = [
        (*_key(owner), hour, totals.delivered, totals.failed, json.dumps(totals.latency, separators=(",", ":")))
        for (owner, hour), totals in rollups.items()
    ]
    await tx.bulk(_REPLACE, sorted(rows))


def _key(owner: Owner) -> tuple[str, str, str]:
    return owner.org_id, owner.app_id, owner.endpoint_id


async def owners(read: Read, endpoint_ids: Sequence[str]) -> list[Owner]:
    """Return the owners of endpoints; those that were wiped are left out."""
    rows = await read.rows(_OWNERS, ids=list(endpoint_ids))
    return [Owner(row["org_id"], row["app_id"], row["id"]) for row in rows]


# -----------------------------------------------------------------------------------------------------------------
# The endpoints to count

_NEXT: Final = "SELECT id FROM endpoint WHERE id > :after ORDER BY id LIMIT CAST(:limit AS BIGINT)"
_ALL: Final = "SELECT id FROM endpoint ORDER BY id LIMIT CAST(:limit AS BIGINT)"
_APPS: Final = "SELECT id FROM application WHERE org_id = :org ORDER BY org_id, id LIMIT CAST(:limit AS BIGINT)"
_OF_APPS: Final = "SELECT id FROM endpoint WHERE app_id IN :apps ORDER BY app_id, id LIMIT CAST(:limit AS BIGINT)"
_FIRST: Final = "SELECT min(id) AS id FROM message"


async def next_endpoints(read: Read, *, after: str, limit: int) -> list[str]:
    """Return the first endpoints after an id, including deleted ones."""
    return [row["id"] for row in await read.rows(_NEXT, after=after, limit=limit)]


async def all_endpoints(read: Read, owner: Owner, *, limit: int) -> list[str] | None:
    """Return the endpoints of an application, an organization or all, with deleted ones; None if more than `limit`.

    An organization with more applications than that counts as having more endpoints.
    """
    apps = [owner.app_id]
    if not owner.org_id:
        rows = await read.rows(_ALL, limit=limit + 1)
    else:
        if not owner.app_id:
            apps = [row["id"] for row in await read.rows(_APPS, org=owner.org_id, limit=limit + 1)]
        rows = await read.rows(_OF_APPS, apps=apps, limit=limit + 1)
    return [row["id"] for row in rows] if max(len(apps), len(rows)) <= limit else None


async def first_message(read: Read) -> str | None:
    """Return the id of the oldest message, or None."""
    found: str | None = (await read.one(_FIRST))["id"]
    return found


# -----------------------------------------------------------------------------------------------------------------
# Hours that are counted again, because an attempt was stored late

Reopened = tuple[int, str, str]
"""The hour, the endpoint and the attempt."""
_REOPEN: Final = (
    "INSERT INTO rollup_reopened (hour, endpoint_id, attempt_id)"
    " SELECT * FROM given(hour bigint, endpoint text, attempt text) ON CONFLICT DO NOTHING"
)
_REOPENED: Final = (
    "SELECT hour, endpoint_id, attempt_id FROM rollup_reopened ORDER BY hour, endpoint_id, attempt_id"
    " LIMIT CAST(:limit AS BIGINT)"
)
_DONE: Final = (
    "DELETE FROM rollup_reopened USING given(hour bigint, endpoint text, attempt text)"
    " WHERE found_by(rollup_reopened.hour, given.hour) AND endpoint_id = given.endpoint AND attempt_id = given.attempt"
)


async def reopen(tx: Write, notes: Sequence[Reopened]) -> None:
    """Note that hours have to be counted again for endpoints, in the transaction that stores the attempts."""
    await tx.bulk(_REOPEN, sorted(notes))


async def reopened(read: Read, *, limit: int) -> list[Reopened]:
    """Return the first of these notes."""
    return [(hour, endpoint, attempt) for hour, endpoint, attempt in await read.rows(_REOPENED, limit=limit)]


async def delete_reopened(tx: Write, notes: Sequence[Reopened]) -> None:
    """Delete notes; a note that was added since for the same hour stays."""
    await tx.bulk(_DONE, sorted(notes))


# -----------------------------------------------------------------------------------------------------------------
# Deletion

_EXPIRED: Final = (
    "SELECT count(*) AS n FROM (SELECT 1 FROM rollup WHERE hour < CAST(:before AS BIGINT)"
    " LIMIT CAST(:limit AS BIGINT)) AS old"
)
_DELETE: Final = (
    "DELETE FROM rollup WHERE row_address IN"
    " (SELECT row_address FROM rollup WHERE {which} LIMIT CAST(:limit AS BIGINT))"
)
_DELETE_EXPIRED: Final = _DELETE.format(which="hour < CAST(:before AS BIGINT)")
_DELETE_OF_ORG: Final = _DELETE.format(which="org_id = :org")
_DELETE_OF_APP: Final = _DELETE.format(which="org_id = :org AND app_id = :app")


async def count_expired(read: Read, before: int, *, limit: int) -> int:
    """Count the rollups of hours before a timestamp, up to a limit."""
    return int((await read.one(_EXPIRED, before=before, limit=limit))["n"])


async def delete_expired(tx: Write, before: int, *, limit: int) -> int:
    """Delete up to `limit` rollups of hours before a timestamp; return how many."""
    return await tx.run(_DELETE_EXPIRED, before=before, limit=limit)


async def delete_of_org(tx: Write, org_id: OrgId, *, limit: int) -> int:
    """Delete up to `limit` rollups of an organization; return how many."""
    return await tx.run(_DELETE_OF_ORG, org=org_id, limit=limit)


async def delete_of_app(tx: Write, org_id: OrgId, app_id: AppId, *, limit: int) -> int:
    """Delete up to `limit` rollups of an application; return how many."""
    return await tx.run(_DELETE_OF_APP, org=org_id, app=app_id, limit=limit)


# -----------------------------------------------------------------------------------------------------------------
# Runs of the task

_RUNS: Final = (
    "SELECT id, wire_status, started_at, finished_at FROM task WHERE org_id = :org AND kind = :kind"
    " AND wire_status IN ('finished', 'running') ORDER BY id DESC LIMIT CAST(:limit AS BIGINT)"
)


@dataclass(frozen=True, slots=True)
class Runs:
    """The latest runs of the rollup task: whether one is active, and how long the last one took."""

    is_active: bool
    last_took_ms: int
    ended: Sequence[tuple[str, int]]
    """The ids of ended runs, with the times of their ends."""


async def runs(read: Read, org_id: str, kind: str, *, limit: int) -> Runs:
    """Return the latest runs, up to a limit."""
    rows = await read.rows(_RUNS, org=org_id, kind=kind, limit=limit)
    ended = [row for row in rows if row["finished_at"] is not None]
    took = ended[0]["finished_at"] - (ended[0]["started_at"] or ended[0]["finished_at"]) if ended else 0
    return Runs(len(ended) < len(rows), took, [(row["id"], row["finished_at"]) for row in ended])
