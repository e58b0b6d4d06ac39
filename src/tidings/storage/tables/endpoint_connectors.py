# SPDX-License-Identifier: MIT
"""Which connector the script of an endpoint was copied from."""

from dataclasses import dataclass
from typing import Final

from tidings.ids import ConnectorId, EndpointId
from tidings.storage.drivers.database import Read, Write, from_row

_FIND: Final = "SELECT connector_id, version, digest, applied_at FROM endpoint_connector WHERE endpoint_id = :endpoint"
_PUT: Final = """
INSERT INTO endpoint_connector (endpoint_id, connector_id, version, digest, applied_at)
VALUES (:endpoint, :connector, CAST(:version AS INTEGER), :digest, CAST(:at AS BIGINT))
ON CONFLICT (endpoint_id) DO UPDATE SET connector_id = excluded.connector_id, version = excluded.version,
  digest = excluded.digest, applied_at = excluded.applied_at
"""


@dataclass(frozen=True, slots=True)
class AppliedConnector:
    """The connector that an endpoint got its script from, and the version of that script."""

    connector_id: ConnectorId
    version: int
    digest: str
    """The SHA-256 of the script, in hexadecimal: shows whether the endpoint has another one by now."""
    applied_at: int


async def find(read: Read, endpoint_id: EndpointId) -> AppliedConnector | None:
    """Return the connector that an endpoint got its script from, or None."""
    row = await read.row(_FIND, endpoint=endpoint_id)
    return None if row is None else from_row(AppliedConnector, row)


async def put(tx: Write, endpoint_id: EndpointId, applied: AppliedConnector) -> None:
    """Record the connector that an endpoint got its script from."""
    await tx.run(
        _PUT,
        endpoint=endpoint_id,
        connector=applied.connector_id,
        version=applied.version,
        digest=applied.digest,
        at=applied.applied_at,
    )
