# SPDX-License-Identifier: MIT
"""Idempotency records: the responses to requests with an idempotency key."""

from typing import Final

from tidings.storage.drivers.database import Read, Sql, Write

_INSERT: Final = (
    "INSERT INTO idempotency_record (key, expires_at) VALUES (:key, :expires_at) ON CONFLICT (key) DO UPDATE SET"
)
_SET: Final = (
    " expires_at = excluded.expires_at, msg_id = NULL, status = NULL, body = NULL"
    " WHERE idempotency_record.expires_at <= :now"
)
# On SQLite a renewed row gets the highest rowid, because `intake.expire` assumes that rowids follow expiry.
_CLAIM: Final = Sql(
    sqlite=f"{_INSERT} rowid = (SELECT max(rowid) + 1 FROM idempotency_record),{_SET}",
    postgresql=f"{_INSERT}{_SET}",
)
_FIND: Final = "SELECT status, body FROM idempotency_record WHERE key = :key AND status IS NOT NULL"
_FIND_UNEXPIRED: Final = f"{_FIND} AND expires_at > :now"
_STORE_RESPONSE: Final = "UPDATE idempotency_record SET status = :status, body = :body WHERE key = :key"


async def claim(tx: Write, key: str, *, now: int, expires_at: int) -> bool:
    """Claim a key for a request; return whether it was free or expired.

    On PostgreSQL the statement waits for a transaction of another node that has claimed the same key.
    """
    return await tx.run(_CLAIM, key=key, now=now, expires_at=expires_at) == 1


async def find(read: Read, key: str) -> tuple[int, bytes] | None:
    """Return the status and the body of the stored response, expired or not, or None without one."""
    row = await read.row(_FIND, key=key)
    return None if row is None else (row["status"], bytes(row["body"]))


async def find_unexpired(read: Read, key: str, *, now: int) -> tuple[int, bytes] | None:
    """Return the status and the body of the stored response, or None if there is none or it has expired."""
    row = await read.row(_FIND_UNEXPIRED, key=key, now=now)
    return None if row is None else (row["status"], bytes(row["body"]))


async def keep(tx: Write, key: str, *, status: int, body: bytes) -> None:
    """Store the response for a key that this transaction has claimed."""
    await tx.run(_STORE_RESPONSE, key=key, status=status, body=body)
