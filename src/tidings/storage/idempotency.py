# SPDX-License-Identifier: MIT
"""What was answered to requests that carried an idempotency key."""

from typing import Final

from tidings.storage.database import Read, Sql, Write

_TAKE: Final = "INSERT INTO idempotency (key, expires_at) VALUES (:key, :expires_at) ON CONFLICT (key) DO UPDATE SET"
_ANEW: Final = (
    " expires_at = excluded.expires_at, msg_id = NULL, status = NULL, body = NULL WHERE idempotency.expires_at <= :now"
)
# On SQLite a row that is renewed goes to the end, because the sweep takes the first rows for the oldest.
_CLAIM: Final = Sql(
    sqlite=f"{_TAKE} rowid = (SELECT max(rowid) + 1 FROM idempotency),{_ANEW}",
    postgresql=f"{_TAKE}{_ANEW}",
)
_FIND: Final = "SELECT status, body FROM idempotency WHERE key = :key AND status IS NOT NULL"
_COUNTS: Final = f"{_FIND} AND expires_at > :now"
_KEEP: Final = "UPDATE idempotency SET status = :status, body = :body WHERE key = :key"


async def claim(tx: Write, key: str, *, now: int, expires_at: int) -> bool:
    """Take a key that is free or has run out; on PostgreSQL this waits for another node that is at work with it."""
    return await tx.run(_CLAIM, key=key, now=now, expires_at=expires_at) == 1


async def find(read: Read, key: str) -> tuple[int, bytes] | None:
    """Return the status and the body that were answered."""
    row = await read.row(_FIND, key=key)
    return None if row is None else (row["status"], bytes(row["body"]))


async def find_unexpired(read: Read, key: str, *, now: int) -> tuple[int, bytes] | None:
    """Return the status and the body that were answered, while they count."""
    row = await read.row(_COUNTS, key=key, now=now)
    return None if row is None else (row["status"], bytes(row["body"]))


async def keep(tx: Write, key: str, *, status: int, body: bytes) -> None:
    """Keep an answer under a key that this transaction has claimed."""
    await tx.run(_KEEP, key=key, status=status, body=body)
