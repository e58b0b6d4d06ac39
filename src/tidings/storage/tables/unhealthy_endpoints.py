# SPDX-License-Identifier: MIT
"""Endpoints by their stored health, and the unhealthy ones by name; of all organizations or of one.

The stored health is the failure record: attempts are not read, so a `degraded` endpoint counts as healthy. A healthy
endpoint costs one entry of an index, and a count ends at `COUNT_MAX`.
"""

from typing import Final

from tidings.ids import OrgId
from tidings.model.status import Count, EndpointCounts, UnhealthyEndpoint
from tidings.storage.drivers.database import Read, from_row
from tidings.storage.tables import health
from tidings.storage.tables.queue_depth import COUNT_MAX, IS_UNHEALTHY, count_of

_READ: Final = 10_000
"""The unhealthy endpoints that are read to find the worst ones."""


_OWN: Final = " AND org_id = :org"
# Endpoints that a person disabled have no reason, and need no attention.
_IS_RECENT: Final = "disabled = 1 AND disabled_reason IS NOT NULL AND disabled_at >= CAST(:recent AS BIGINT)"
_COUNTS: Final = f"""
SELECT (SELECT count(*) FROM (
    SELECT 1 FROM endpoint WHERE deleted_at IS NULL{{own}} ORDER BY org_id, id LIMIT CAST(:most AS BIGINT)) AS a
  ) AS total,
  count(*) AS unhealthy,
  coalesce(sum(disabled), 0) AS disabled,
  coalesce(sum(CASE WHEN {_IS_RECENT} THEN 1 ELSE 0 END), 0) AS lately,
  coalesce(sum(CASE WHEN disabled = 0 AND unreachable_since IS NOT NULL THEN 1 ELSE 0 END), 0) AS unreachable,
  coalesce(sum(CASE WHEN disabled = 0 AND unreachable_since IS NULL THEN 1 ELSE 0 END), 0) AS failing
FROM (SELECT disabled, disabled_at, disabled_reason, unreachable_since FROM endpoint WHERE {IS_UNHEALTHY}{{own}}
  ORDER BY org_id, disabled, disabled_at LIMIT CAST(:most AS BIGINT)) AS unhealthy
"""
_FOREVER: Final = 2**62
_FAILS, _SILENT, _RUN = (
    f"coalesce({column}, {_FOREVER})" for column in ("failing_since", "unreachable_since", "run_failing_since")
)
_SINCE: Final = (  # the earliest one; the two databases have no function for it in common
    f"CASE WHEN disabled = 1 THEN disabled_at WHEN {_SILENT} <= {_FAILS} AND {_SILENT} <= {_RUN} THEN unreachable_since"
    f" WHEN {_FAILS} <= {_RUN} THEN failing_since ELSE run_failing_since END"
)
# The last attempt is one probe of an index, for each endpoint that is shown.
_LAST: Final = "(SELECT {column} FROM attempt WHERE endpoint_id = e.id ORDER BY endpoint_id, id DESC LIMIT 1)"
_WORST: Final = f"""
SELECT e.id AS id, e.uid AS uid, e.app_id AS app_id, a.uid AS app_uid, a.name AS app_name, e.org_id AS org_id,
  e.url AS url, e.disabled AS disabled, worst.since AS since,
  {_LAST.format(column="id")} AS last_attempt_id, {_LAST.format(column="response_status_code")} AS last_status_code,
  {", ".join(f"e.{column} AS {column}" for column in health.COLUMNS.split(", "))}
FROM (
  SELECT id, {_SINCE} AS since FROM (
    SELECT id, disabled, disabled_at, unreachable_since, failing_since, run_failing_since FROM endpoint
    WHERE {IS_UNHEALTHY}{{own}} AND (disabled = 0 OR ({_IS_RECENT}))
    ORDER BY org_id, disabled, disabled_at LIMIT CAST(:read AS BIGINT)
  ) AS unhealthy ORDER BY since, id LIMIT CAST(:limit AS BIGINT)
) AS worst JOIN endpoint e ON found_by(e.id, worst.id) JOIN application a ON found_by(a.id, e.app_id)
ORDER BY worst.since, e.id
"""


async def count(read: Read, org_id: OrgId | None, *, recent: int) -> EndpointCounts:
    """Return the endpoints by health; `disabled_lately` since the timestamp `recent`. No organization means all."""
    row = await read.one(count_statement(org_id), **_own(org_id), recent=recent, most=COUNT_MAX + 1)
    is_exact = row["unhealthy"] <= COUNT_MAX
    return EndpointCounts(
        total=count_of(row["total"]),
        **{
            name: Count(row[column], is_exact)
            for name, column in (
                ("disabled", "disabled"),
                ("disabled_lately", "lately"),
                ("unreachable", "unreachable"),
                ("failing", "failing"),
            )
        },
    )


async def worst(read: Read, org_id: OrgId | None, *, recent: int, limit: int) -> list[UnhealthyEndpoint]:
    """Return the endpoints that need attention, those that have failed the longest first. No organization means all.

    Those that the service disabled are included if it did so since the timestamp `recent`.
    """
    sql = _WORST.format(own="" if org_id is None else _OWN)
    rows = await read.rows(sql, **_own(org_id), recent=recent, read=_READ, limit=limit)
    return [from_row(UnhealthyEndpoint, row, record=health.record_of(row)) for row in rows]


def count_statement(org_id: OrgId | None) -> str:
    """Return the statement that counts the endpoints of an organization, or of all."""
    return _COUNTS.format(own="" if org_id is None else _OWN)


def _own(org_id: OrgId | None) -> dict[str, str]:
    return {} if org_id is None else {"org": org_id}
