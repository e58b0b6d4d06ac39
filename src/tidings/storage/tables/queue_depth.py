# SPDX-License-Identifier: MIT
"""How many deliveries are outstanding, and since when the oldest one is overdue: of all organizations, or of one.

Every statement reads a bounded number of rows, mostly from indexes alone: a count ends at `COUNT_MAX`.

A delivery is overdue from its due time until a node leases it, and again once its lease has expired. It is *held back*
if its endpoint is disabled, does not respond (`unreachable_since`), or has reached a rate limit: such a delivery says
nothing about the service. A delivery of the replay lane gives way to live ones, and its task shows its progress. So the
oldest overdue delivery is the oldest one of the live lane that is not held back.
"""

from dataclasses import dataclass
from typing import Final

from tidings.clock import SECOND
from tidings.ids import OrgId
from tidings.model.delivery import Lane
from tidings.model.status import Count, OldestOverdue, QueueDepth
from tidings.storage.drivers.database import Read, Sql, from_row

COUNT_MAX: Final = 100_000
"""The greatest number that is counted; `Count` says whether there are more."""
_HELD_ENDPOINTS: Final = 10_000
"""The endpoints of each sort whose held back deliveries are counted."""
_THROTTLE_GRACE_MS: Final = 10 * SECOND
"""A rate limit counts as reached this long after the time at which its next delivery could be sent: it is updated only
when a delivery is."""


@dataclass(frozen=True, slots=True)
class OldestLimits:
    """How many rows are read to find the oldest overdue delivery."""

    first: int = 50
    """The deliveries that are read at first: usually the oldest one is among them."""
    deliveries: int = 2_000
    """The overdue deliveries that are read in the order of their due times to find one that is not held back."""
    endpoints: int = 2_000
    """The endpoints that are visited if all those deliveries are held back or replays."""


OLDEST_LIMITS: Final = OldestLimits()


def count_of(rows: int, most: int = COUNT_MAX) -> Count:
    """Return the count of rows that were read with the limit `most` + 1."""
    return Count(min(rows, most), rows <= most)


# The order makes PostgreSQL read the index that has it.
_STATE: Final = (
    "(SELECT count(*) FROM (SELECT 1 FROM delivery WHERE lease IS {lease} AND {at} {than} CAST(:now AS BIGINT)"
    " ORDER BY {at} LIMIT CAST(:most AS BIGINT)) AS {name}) AS {name}"
)
_DEPTH: Final = f"""
SELECT {_STATE.format(name="scheduled", lease="NULL", at="due_at", than=">")},
  {_STATE.format(name="due", lease="NULL", at="due_at", than="<=")},
  {_STATE.format(name="leased", lease="NOT NULL", at="lease_until", than=">")},
  {_STATE.format(name="expired", lease="NOT NULL", at="lease_until", than="<=")}
"""
IS_UNHEALTHY: Final = (
    "deleted_at IS NULL AND (disabled = 1 OR failing_since IS NOT NULL OR unreachable_since IS NOT NULL"
    " OR run_failing_since IS NOT NULL)"
)
"""The condition of the index `endpoint_needing_attention`; a query must repeat it in the same words."""
_IS_LIMITED: Final = "limited_since IS NOT NULL AND tat_us > CAST(:tat AS BIGINT)"
# The whole key of `delivery_due` limits the rows: an endpoint that does not respond may have a million scheduled ones.
# PostgreSQL is made to use it by the comparison of the whole key and the limit of each probe: otherwise a plan made
# while the table has few rows would read all of them for each endpoint.
_HELD: Final = f"""
WITH lanes(lane) AS (
  VALUES (CAST({int(Lane.LIVE)} AS SMALLINT)), (CAST({int(Lane.REPLAY)} AS SMALLINT))
), limited AS (
  SELECT key FROM throttle WHERE {_IS_LIMITED} LIMIT CAST(:endpoints AS BIGINT)
), held AS (
  SELECT id FROM (SELECT id FROM endpoint WHERE {IS_UNHEALTHY} AND (disabled = 1 OR unreachable_since IS NOT NULL)
    LIMIT CAST(:endpoints AS BIGINT)) AS silent
  UNION SELECT key FROM limited
  UNION SELECT id FROM (SELECT endpoint.id AS id FROM limited JOIN endpoint ON found_by(endpoint.app_id, limited.key)
    LIMIT CAST(:endpoints AS BIGINT)) AS of_applications
)
SELECT count(*) AS held FROM (
  SELECT 1 FROM held CROSS JOIN lanes
  {{due}} LIMIT CAST(:most AS BIGINT)
) AS a
"""
_HELD_BACK: Final = Sql(
    sqlite=_HELD.format(
        due="JOIN delivery ON lease IS NULL AND endpoint_id = held.id AND delivery.lane = lanes.lane"
        " AND due_at <= CAST(:now AS BIGINT)"
    ),
    postgresql=_HELD.format(
        due="CROSS JOIN LATERAL (SELECT 1 FROM delivery WHERE lease IS NULL"
        " AND (endpoint_id, lane, due_at) >= (held.id, lanes.lane, 0)"
        " AND (endpoint_id, lane, due_at) <= (held.id, lanes.lane, CAST(:now AS BIGINT))"
        " ORDER BY endpoint_id, lane, due_at LIMIT CAST(:most AS BIGINT)) AS due"
    ),
)
# Scalar subqueries: PostgreSQL could read a whole table for EXISTS.
_IS_RESPONSIVE: Final = (
    "(SELECT 1 FROM endpoint WHERE id = first.endpoint_id AND coalesce(deleted_at, 0) = 0 AND disabled = 0"
    f" AND unreachable_since IS NULL AND (SELECT 1 FROM throttle WHERE key = endpoint.id AND {_IS_LIMITED} LIMIT 1)"
    f" IS NULL AND (SELECT 1 FROM throttle WHERE key = endpoint.app_id AND {_IS_LIMITED} LIMIT 1) IS NULL"
    " LIMIT 1) = 1"
)
_FIRST: Final = (
    "SELECT {at} AS since, endpoint_id, app_id, org_id, lane FROM delivery"
    " WHERE lease IS {lease} AND {at} <= CAST(:now AS BIGINT) ORDER BY {at} LIMIT CAST(:read AS BIGINT)"
)
_OLDEST: Final = f"""
SELECT since, endpoint_id, app_id, org_id FROM ({{first}}) AS first
WHERE lane = {int(Lane.LIVE)} AND {_IS_RESPONSIVE} ORDER BY since LIMIT 1
"""
_OLDEST_DUE: Final = _OLDEST.format(first=_FIRST.format(at="due_at", lease="NULL"))
_OLDEST_EXPIRED: Final = _OLDEST.format(first=_FIRST.format(at="lease_until", lease="NOT NULL"))
# The recursion visits the distinct endpoints of the index with one probe each, as a claim does.
_VISIT: Final = f"""
WITH RECURSIVE walk(id, number) AS (
  SELECT min(endpoint_id), 1 FROM delivery WHERE lease IS NULL
  UNION ALL
  SELECT (SELECT min(endpoint_id) FROM delivery WHERE lease IS NULL AND endpoint_id > walk.id), number + 1
  FROM walk WHERE walk.id IS NOT NULL AND number < CAST(:endpoints AS BIGINT)
), first AS (
  SELECT walk.id AS endpoint_id, (
    SELECT due_at FROM delivery WHERE lease IS NULL AND {{is_live}} ORDER BY endpoint_id, lane, due_at LIMIT 1
  ) AS since FROM walk WHERE walk.id IS NOT NULL
), oldest AS (
  SELECT since, endpoint_id FROM first
  WHERE since <= CAST(:now AS BIGINT) AND {_IS_RESPONSIVE} ORDER BY since LIMIT 1
)
SELECT since, endpoint_id, app_id, org_id FROM oldest JOIN endpoint ON found_by(id, endpoint_id)
"""
_OLDEST_OF_ENDPOINTS: Final = Sql(
    sqlite=_VISIT.format(is_live=f"endpoint_id = walk.id AND lane = {int(Lane.LIVE)}"),
    postgresql=_VISIT.format(
        is_live=f"(endpoint_id, lane, due_at) >= (walk.id, CAST({int(Lane.LIVE)} AS SMALLINT), 0)"
        f" AND (endpoint_id, lane, due_at) <= (walk.id, CAST({int(Lane.LIVE)} AS SMALLINT), CAST(:now AS BIGINT))"
    ),
)


# One organization: its endpoints are visited, because no index of deliveries has the organization.
_OWN_DEPTH: Final = f"""
WITH own AS MATERIALIZED (
  SELECT id, disabled, unreachable_since, EXISTS (SELECT 1 FROM throttle WHERE key = endpoint.id AND {_IS_LIMITED})
    OR EXISTS (SELECT 1 FROM throttle WHERE key = endpoint.app_id AND {_IS_LIMITED}) AS is_limited
  FROM endpoint WHERE org_id = :org AND deleted_at IS NULL ORDER BY org_id, id LIMIT CAST(:endpoints AS BIGINT)
), outstanding AS MATERIALIZED (
  SELECT own.id AS endpoint_id, due_at, lane, (disabled = 1 OR unreachable_since IS NOT NULL OR is_limited) AS is_held
  FROM own {{outstanding}} LIMIT CAST(:most AS BIGINT)
), oldest AS (
  SELECT endpoint_id, due_at FROM outstanding WHERE NOT is_held AND lane = {int(Lane.LIVE)}
  AND due_at <= CAST(:now AS BIGINT) ORDER BY due_at LIMIT 1
), totals AS (
  SELECT coalesce(sum(CASE WHEN due_at > CAST(:now AS BIGINT) THEN 1 ELSE 0 END), 0) AS scheduled,
    coalesce(sum(CASE WHEN due_at <= CAST(:now AS BIGINT) THEN 1 ELSE 0 END), 0) AS due,
    coalesce(sum(CASE WHEN due_at <= CAST(:now AS BIGINT) AND is_held THEN 1 ELSE 0 END), 0) AS held
  FROM outstanding
)
SELECT totals.scheduled AS scheduled, totals.due AS due, totals.held AS held, oldest.due_at AS since,
  oldest.endpoint_id AS endpoint_id, (SELECT app_id FROM endpoint WHERE id = oldest.endpoint_id) AS app_id,
  :org AS org_id, (SELECT count(*) FROM own) AS endpoints
FROM totals LEFT JOIN oldest ON 1 = 1
"""
_OWN: Final = Sql(
    sqlite=_OWN_DEPTH.format(outstanding="JOIN delivery ON endpoint_id = own.id AND lease IS NULL"),
    postgresql=_OWN_DEPTH.format(
        outstanding="CROSS JOIN LATERAL (SELECT due_at, lane FROM delivery WHERE lease IS NULL AND endpoint_id = own.id"
        " ORDER BY endpoint_id, lane, due_at LIMIT CAST(:most AS BIGINT)) AS due"
    ),
)
_OWN_LEASED: Final = """
SELECT count(*) AS leased,
  coalesce(sum(CASE WHEN org_id = :org AND lease_until > CAST(:now AS BIGINT) THEN 1 ELSE 0 END), 0) AS current,
  coalesce(sum(CASE WHEN org_id = :org AND lease_until <= CAST(:now AS BIGINT) THEN 1 ELSE 0 END), 0) AS expired
FROM (SELECT org_id, lease_until FROM delivery WHERE lease IS NOT NULL
  ORDER BY lease_until LIMIT CAST(:most AS BIGINT)) AS a
"""


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """How much is read for the queue depth of one organization."""

    endpoints: int = 5_000
    deliveries: int = 20_000
    """The scheduled and overdue deliveries of those endpoints."""
    leased: int = 10_000
    """The leased deliveries of all organizations."""


OWN_LIMITS: Final = OwnLimits()


async def own_queue_depth(
    read: Read, org_id: OrgId, now: int, *, limits: OwnLimits = OWN_LIMITS
) -> tuple[QueueDepth, OldestOverdue | None]:
    """Return the outstanding deliveries of an organization, and its oldest overdue one that is not held back.

    Deliveries of deleted endpoints do not count.
    """
    row = await read.one(
        _OWN, org=org_id, now=now, tat=_limited_from(now), endpoints=limits.endpoints + 1, most=limits.deliveries + 1
    )
    leased = await read.one(_OWN_LEASED, org=org_id, now=now, most=limits.leased + 1)
    is_whole = row["endpoints"] <= limits.endpoints and row["scheduled"] + row["due"] <= limits.deliveries
    knows_leases = leased["leased"] <= limits.leased
    depth = QueueDepth(
        scheduled=Count(row["scheduled"], is_whole),
        in_flight=Count(leased["current"], knows_leases),
        overdue=Count(row["due"], is_whole) + Count(leased["expired"], knows_leases),
        held_back=Count(row["held"], is_whole),
    )
    return depth, None if row["since"] is None else from_row(OldestOverdue, row)


# The oldest ones first: they are those that accumulate.
_TENANTS: Final = """
SELECT org_id, count(*) AS outstanding FROM (
  SELECT org_id FROM delivery WHERE lease IS NULL ORDER BY due_at LIMIT CAST(:most AS BIGINT)
) AS a GROUP BY org_id ORDER BY outstanding DESC, org_id LIMIT CAST(:limit AS BIGINT)
"""


async def top_tenants(read: Read, *, most: int, limit: int) -> list[tuple[OrgId, int]]:
    """Return the organizations with the most scheduled and overdue deliveries, among the first `most` by due time."""
    rows = await read.rows(_TENANTS, most=most, limit=limit)
    return [(OrgId(row["org_id"]), row["outstanding"]) for row in rows]


async def queue_depth(read: Read, now: int, *, most: int = COUNT_MAX) -> QueueDepth:
    """Return the outstanding deliveries by state, each counted up to `most`."""
    row = await read.one(_DEPTH, now=now, most=most + 1)
    due, expired = count_of(row["due"], most), count_of(row["expired"], most)
    held = Count(0)
    if due.count:
        values = {"now": now, "tat": _limited_from(now), "endpoints": _HELD_ENDPOINTS, "most": most + 1}
        held = count_of((await read.one(_HELD_BACK, **values))["held"], most)
    return QueueDepth(count_of(row["scheduled"], most), count_of(row["leased"], most), due + expired, held)


async def oldest_overdue(read: Read, now: int, *, limits: OldestLimits = OLDEST_LIMITS) -> OldestOverdue | None:
    """Return the oldest overdue delivery of the live lane that is not held back, or None.

    If thousands of older ones are held back or replays, the first endpoints by id are visited. Then a younger delivery
    than the oldest may be returned.
    """
    values = {"now": now, "tat": _limited_from(now)}
    found = [await read.row(_OLDEST_EXPIRED, **values, read=limits.deliveries)]
    for most in (limits.first, limits.deliveries):
        found.append(await read.row(_OLDEST_DUE, **values, read=most))
        if found[-1] is not None:
            break
    else:
        found.append(await read.row(_OLDEST_OF_ENDPOINTS, **values, endpoints=limits.endpoints))
    rows = [from_row(OldestOverdue, row) for row in found if row is not None]
    return min(rows, key=lambda each: each.since, default=None)


def _limited_from(now: int) -> int:
    """Return the theoretical arrival time in microseconds after which a rate limit counts as reached."""
    return (now - _THROTTLE_GRACE_MS) * 1_000
