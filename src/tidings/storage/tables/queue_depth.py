# SPDX-License-Identifier: MIT
"""How many deliveries are outstanding, and since when the oldest one is overdue, in the whole database.

Every statement reads a bounded number of rows, mostly from indexes alone: a count ends at `COUNT_MAX`.

A delivery is overdue from its due time until a node leases it, and again once its lease has expired. It is *held back*
if its endpoint is disabled, does not respond (`unreachable_since`), or has reached a rate limit: such a delivery says
nothing about the service. A delivery of the replay lane gives way to live ones, and its task shows its progress. So the
oldest overdue delivery is the oldest one of the live lane that is not held back.
"""

from dataclasses import dataclass
from typing import Final

from tidings.clock import SECOND
from tidings.model.delivery import Lane
from tidings.storage.drivers.database import Read, from_row

COUNT_MAX: Final = 100_000
"""The greatest number that is counted; `Count` says whether there are more."""
_HELD_ENDPOINTS: Final = 10_000
"""The endpoints of each sort whose held back deliveries are counted."""
_THROTTLE_GRACE_MS: Final = 10 * SECOND
"""A rate limit counts as reached this long after the time at which its next delivery could be sent: it is updated only
when a delivery is."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number, and whether it is exact: if not, there are at least as many."""

    count: int
    is_exact: bool = True

    def __add__(self, other: "Count") -> "Count":
        return Count(self.count + other.count, self.is_exact and other.is_exact)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The outstanding deliveries by state: each is in one of the first three."""

    scheduled: Count
    """Due later."""
    in_flight: Count
    """Leased by a node, which holds them in memory or is sending them."""
    overdue: Count
    """Due, or leased by a node that let the lease expire."""
    held_back: Count
    """Those of the overdue ones whose endpoint is disabled, does not respond or has reached a rate limit."""


@dataclass(frozen=True, slots=True)
class OldestOverdue:
    """The oldest overdue delivery that is not held back. `since` is in milliseconds since the Unix epoch."""

    since: int
    endpoint_id: str
    app_id: str
    org_id: str


@dataclass(frozen=True, slots=True)
class OldestLimits:
    """How many rows are read to find the oldest overdue delivery."""

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
    "deleted_at IS NULL AND (disabled = 1 OR failing_since IS NOT NULL OR unreachable_since IS NOT NULL)"
)
"""The condition of the index `endpoint_unhealthy`; a query must repeat it in the same words."""
_IS_LIMITED: Final = "limited_since IS NOT NULL AND tat_us > CAST(:tat AS BIGINT)"
# The list of lanes lets the last column of `delivery_due` limit the rows.
_HELD_BACK: Final = f"""
WITH limited AS (
  SELECT key FROM throttle WHERE {_IS_LIMITED} LIMIT CAST(:endpoints AS BIGINT)
), held AS (
  SELECT id FROM (SELECT id FROM endpoint WHERE {IS_UNHEALTHY} AND (disabled = 1 OR unreachable_since IS NOT NULL)
    LIMIT CAST(:endpoints AS BIGINT)) AS silent
  UNION SELECT key FROM limited
  UNION SELECT id FROM (SELECT endpoint.id AS id FROM limited JOIN endpoint ON endpoint.app_id = limited.key
    LIMIT CAST(:endpoints AS BIGINT)) AS of_applications
)
SELECT count(*) AS held FROM (
  SELECT 1 FROM held JOIN delivery ON endpoint_id = held.id AND lease IS NULL AND due_at <= CAST(:now AS BIGINT)
  AND lane IN ({int(Lane.LIVE)}, {int(Lane.REPLAY)})
  LIMIT CAST(:most AS BIGINT)
) AS a
"""
_IS_RESPONSIVE: Final = (
    "EXISTS (SELECT 1 FROM endpoint WHERE id = first.endpoint_id AND deleted_at IS NULL AND disabled = 0"
    f" AND unreachable_since IS NULL AND NOT EXISTS (SELECT 1 FROM throttle WHERE key = endpoint.id AND {_IS_LIMITED})"
    f" AND NOT EXISTS (SELECT 1 FROM throttle WHERE key = endpoint.app_id AND {_IS_LIMITED}))"
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
_OLDEST_OF_ENDPOINTS: Final = f"""
WITH RECURSIVE walk(id, number) AS (
  SELECT min(endpoint_id), 1 FROM delivery WHERE lease IS NULL
  UNION ALL
  SELECT (SELECT min(endpoint_id) FROM delivery WHERE lease IS NULL AND endpoint_id > walk.id), number + 1
  FROM walk WHERE walk.id IS NOT NULL AND number < CAST(:endpoints AS BIGINT)
), first AS (
  SELECT walk.id AS endpoint_id, (
    SELECT min(due_at) FROM delivery WHERE endpoint_id = walk.id AND lane = {int(Lane.LIVE)} AND lease IS NULL
  ) AS since FROM walk WHERE walk.id IS NOT NULL
), oldest AS (
  SELECT since, endpoint_id FROM first
  WHERE since <= CAST(:now AS BIGINT) AND {_IS_RESPONSIVE} ORDER BY since LIMIT 1
)
SELECT since, endpoint_id, app_id, org_id FROM oldest JOIN endpoint ON id = endpoint_id
"""


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
    found = [await read.row(each, **values, read=limits.deliveries) for each in (_OLDEST_DUE, _OLDEST_EXPIRED)]
    if found[0] is None:
        found.append(await read.row(_OLDEST_OF_ENDPOINTS, **values, endpoints=limits.endpoints))
    rows = [from_row(OldestOverdue, row) for row in found if row is not None]
    return min(rows, key=lambda each: each.since, default=None)


def _limited_from(now: int) -> int:
    """Return the theoretical arrival time in microseconds after which a rate limit counts as reached."""
    return (now - _THROTTLE_GRACE_MS) * 1_000
