# SPDX-License-Identifier: MIT
"""The history of what decides whether an endpoint receives a message: filters, disabled and deleted.

A row copies these columns of the endpoint after a write, in the transaction of the write. A write that changes none of
them adds no row, and an endpoint keeps its newest rows only, so a loop of edits cannot fill the table.
"""

import json
from collections.abc import Sequence
from typing import Final

from tidings.clock import SECOND
from tidings.ids import EndpointId
from tidings.model.explanation import SettingsInForce
from tidings.storage.drivers.database import Read, Row, Write

ROWS_MAX: Final = 50
"""The number of rows that an endpoint keeps."""
_MARGIN_MS: Final = 5 * SECOND
"""The longest time from the timestamp of a message to the commit that accepts it: a write may precede that commit."""
_SAME: Final = " AND ".join(
    f"coalesce(last.{column}, '') = coalesce(e.{column}, '')"
    for column in ("event_types", "channels", "disabled_reason")
)
_RECORD: Final = f"""
INSERT INTO endpoint_history
  (endpoint_id, routing_version, at, event_types, channels, disabled, disabled_reason, deleted)
SELECT e.id, a.routing_version, CAST(:now AS BIGINT), e.event_types, e.channels, e.disabled, e.disabled_reason,
  CASE WHEN e.deleted_at IS NULL THEN 0 ELSE 1 END
FROM endpoint AS e JOIN application AS a ON a.id = e.app_id
WHERE e.id = :id AND NOT EXISTS (
  SELECT 1 FROM endpoint_history AS last
  WHERE last.endpoint_id = e.id AND last.disabled = e.disabled AND e.deleted_at IS NULL AND {_SAME}
    AND last.routing_version = (SELECT max(routing_version) FROM endpoint_history WHERE endpoint_id = e.id)
)
"""
_TRIM: Final = f"""
DELETE FROM endpoint_history WHERE endpoint_id = :id AND routing_version <= (
  SELECT routing_version FROM endpoint_history WHERE endpoint_id = :id
  ORDER BY routing_version DESC LIMIT 1 OFFSET {ROWS_MAX:d}
)
"""
_IN_FORCE: Final = """
SELECT found.endpoint_id, found.event_types, found.channels, found.disabled,
  (SELECT count(*) FROM endpoint_history AS near WHERE near.endpoint_id = found.endpoint_id
    AND near.at >= CAST(:at AS BIGINT) AND near.at <= CAST(:until AS BIGINT)
    AND near.routing_version > (SELECT min(routing_version) FROM endpoint_history
      WHERE endpoint_id = found.endpoint_id)) AS changes_near,
  (SELECT count(*) FROM endpoint_history AS later WHERE later.endpoint_id = found.endpoint_id
    AND later.routing_version > found.routing_version AND later.disabled = 1) AS disabled_later
FROM (
  SELECT endpoint_id, max(routing_version) AS routing_version FROM endpoint_history
  WHERE endpoint_id IN :ids AND at <= CAST(:at AS BIGINT) GROUP BY endpoint_id
) AS newest JOIN endpoint_history AS found
  ON found.endpoint_id = newest.endpoint_id AND found.routing_version = newest.routing_version
"""


async def record(tx: Write, endpoint_id: str, now: int) -> None:
    """Record what decides the routing of an endpoint, after a write to it in this transaction.

    The transaction has called `apps.advance_routing_version`: the new routing version is the order of the rows.
    """
    if await tx.run(_RECORD, id=endpoint_id, now=now):
        await tx.run(_TRIM, id=endpoint_id)


async def in_force(read: Read, endpoint_ids: Sequence[str], at: int) -> dict[EndpointId, SettingsInForce]:
    """Return the settings of endpoints that were in force at a timestamp; left out where the history is younger."""
    rows = await read.rows(_IN_FORCE, ids=list(endpoint_ids), at=at, until=at + _MARGIN_MS)
    return {EndpointId(row["endpoint_id"]): _settings(row) for row in rows}


def _settings(row: Row) -> SettingsInForce:
    return SettingsInForce(
        event_types=_names(row["event_types"]),
        channels=_names(row["channels"]),
        disabled=bool(row["disabled"]),
        is_certain=not row["changes_near"],
        was_disabled_later=row["disabled_later"] > 0,
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))
