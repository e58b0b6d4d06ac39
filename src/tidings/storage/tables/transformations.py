# SPDX-License-Identifier: MIT
"""Queries and writes of the scripts of endpoints."""

from dataclasses import dataclass
from typing import Final

from tidings.ids import EndpointId
from tidings.storage.drivers.database import Read, Write

_FIND: Final = "SELECT code, variables, enabled, updated_at FROM transformation WHERE endpoint_id = :endpoint"
_PUT: Final = """
INSERT INTO transformation (endpoint_id, code, variables, enabled, updated_at)
VALUES (:endpoint, :code, :variables, :enabled, :now)
ON CONFLICT (endpoint_id) DO UPDATE
SET code = excluded.code, variables = excluded.variables, enabled = excluded.enabled, updated_at = excluded.updated_at
"""
_MARK: Final = "UPDATE endpoint SET is_transformed = :enabled WHERE id = :endpoint AND deleted_at IS NULL"


@dataclass(frozen=True, slots=True)
class StoredTransformation:
    """A row; `variables` may be encrypted."""

    code: str | None
    variables: str
    enabled: bool
    updated_at: int


async def find(read: Read, endpoint_id: EndpointId) -> StoredTransformation | None:
    """Return the transformation of an endpoint, or None if it never had one."""
    row = await read.row(_FIND, endpoint=endpoint_id)
    if row is None:
        return None
    return StoredTransformation(row["code"], row["variables"], bool(row["enabled"]), row["updated_at"])


async def put(tx: Write, endpoint_id: EndpointId, stored: StoredTransformation) -> None:
    """Store the transformation of an endpoint, and whether deliveries use it."""
    await tx.run(
        _PUT,
        endpoint=endpoint_id,
        code=stored.code,
        variables=stored.variables,
        enabled=int(stored.enabled),
        now=stored.updated_at,
    )
    is_used = stored.enabled and stored.code is not None
    await tx.run(_MARK, endpoint=endpoint_id, enabled=int(is_used))
