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


COUNT_IN_USE: Final = (
    "SELECT count(*) AS n FROM"
    " (SELECT 1 FROM endpoint WHERE is_transformed = 1 AND deleted_at IS NULL LIMIT 10000) AS found"
)
"""Reads all endpoints, up to 10,000 with a script: for diagnosis alone."""
# Plaintext begins with a brace; the encoded variables of no names are `{}`, and stay so.
_PLAINTEXT: Final = (
    "SELECT endpoint_id, variables FROM transformation WHERE endpoint_id > :after AND variables LIKE '{%'"
    " AND variables <> '{}' ORDER BY endpoint_id LIMIT CAST(:limit AS BIGINT)"
)
_REPLACE: Final = (
    "UPDATE transformation SET variables = :encrypted WHERE endpoint_id = :endpoint AND variables = :plaintext"
)


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


async def count_in_use(read: Read) -> int:
    """Return the number of endpoints with a script, up to a limit. Raises `StorageError` for an older schema."""
    return int((await read.one(COUNT_IN_USE))["n"])


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


async def plaintext_variables(read: Read, *, after: str, limit: int) -> list[tuple[EndpointId, str]]:
    """Return the next variables that are not encrypted, by the id of their endpoint."""
    rows = await read.rows(_PLAINTEXT, after=after, limit=limit)
    return [(EndpointId(row["endpoint_id"]), row["variables"]) for row in rows]


async def replace_variables(tx: Write, endpoint_id: EndpointId, *, plaintext: str, encrypted: str) -> bool:
    """Replace variables by their encrypted form, unless they were changed; return whether they were replaced."""
    return bool(await tx.run(_REPLACE, endpoint=endpoint_id, plaintext=plaintext, encrypted=encrypted))
