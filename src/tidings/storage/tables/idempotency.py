# SPDX-License-Identifier: MIT
"""Idempotency records: the message or the response of each request with an idempotency key.

A bulk statement returns only the number of keys that it claimed. If that is not all of them, which is rare, a second
query finds the holders of the others. Rows are written in key order, so two nodes with the same keys wait for each
other without a deadlock.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tidings.storage.drivers.database import Read, Sql, Write

_CLAIM: Final = Sql(
    # On SQLite a renewed row gets the highest rowid, because `expire` assumes that rowids follow expiry.
    sqlite="""
INSERT INTO idempotency_record (key, msg_id, expires_at) VALUES (?1, ?2, ?3)
ON CONFLICT (key) DO UPDATE
SET rowid = (SELECT max(rowid) + 1 FROM idempotency_record),
  msg_id = excluded.msg_id, expires_at = excluded.expires_at, status = NULL, body = NULL
WHERE idempotency_record.expires_at <= ?4
""",
    postgresql="""
INSERT INTO idempotency_record (key, msg_id, expires_at)
SELECT k, m, e FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS t(k, m, e, now)
ON CONFLICT (key) DO UPDATE
SET msg_id = excluded.msg_id, expires_at = excluded.expires_at, status = NULL, body = NULL
WHERE idempotency_record.expires_at <= ($4::bigint[])[1]
""",
)
_FIND: Final = "SELECT status, body FROM idempotency_record WHERE key = :key AND status IS NOT NULL"
_STORE_RESPONSE: Final = "UPDATE idempotency_record SET status = :status, body = :body WHERE key = :key"
_HOLDER: Final = "SELECT msg_id FROM idempotency_record WHERE key = :key AND msg_id IS NOT NULL AND expires_at > :now"
_HOLDERS: Final = "SELECT key, msg_id FROM idempotency_record WHERE key IN :keys"
_RELEASE: Final = "DELETE FROM idempotency_record WHERE key IN :keys"
_EXPIRE: Final = Sql(
    # Rowids follow expiry, so the first rows expire first.
    sqlite=(
        "DELETE FROM idempotency_record"
        " WHERE rowid IN (SELECT rowid FROM idempotency_record ORDER BY rowid LIMIT :limit) AND expires_at <= :now"
    ),
    postgresql=(
        "DELETE FROM idempotency_record WHERE row_address IN"
        " (SELECT row_address FROM idempotency_record WHERE expires_at <= CAST(:now AS BIGINT)"
        " LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
    ),
)


async def claim(tx: Write, key: str, *, now: int, expires_at: int) -> bool:
    """Claim a key for a request; return whether it was free or expired.

    On PostgreSQL the statement waits for a transaction of another node that has claimed the same key.
    """
    return await tx.bulk(_CLAIM, [(key, None, expires_at, now)]) == 1


async def claim_for_messages(tx: Write, claims: Mapping[str, str], *, now: int, expires_at: int) -> dict[str, str]:
    """Claim idempotency keys, each for a message; return the keys already in use, with the messages that hold them."""
    rows = sorted([(key, msg_id, expires_at, now) for key, msg_id in claims.items()])
    if not rows or await tx.bulk(_CLAIM, rows) == len(rows):
        return {}
    held = await tx.rows(_HOLDERS, keys=list(claims))
    return {row["key"]: row["msg_id"] for row in held if claims[row["key"]] != row["msg_id"]}


async def release(tx: Write, idempotency_keys: Sequence[str]) -> None:
    """Release the idempotency keys that this transaction claimed for messages that it refuses."""
    await tx.run(_RELEASE, keys=idempotency_keys)


async def message_of(read: Read, idempotency_key: str, *, now: int) -> str | None:
    """Return the id of the message that holds an idempotency key, or None if there is none or it has expired."""
    row = await read.row(_HOLDER, key=idempotency_key, now=now)
    return None if row is None else str(row["msg_id"])


async def find(read: Read, key: str, *, now: int | None = None) -> tuple[int, bytes] | None:
    """Return the status and the body of the stored response, or None without one; with `now`, unless it has expired."""
    row = await read.row(_FIND if now is None else f"{_FIND} AND expires_at > :now", key=key, now=now)
    return None if row is None else (row["status"], bytes(row["body"]))


async def keep(tx: Write, key: str, *, status: int, body: bytes) -> None:
    """Store the response for a key that this transaction has claimed."""
    await tx.run(_STORE_RESPONSE, key=key, status=status, body=body)


async def expire(tx: Write, *, now: int, limit: int) -> int:
    """Delete up to `limit` expired idempotency records; return the number."""
    return await tx.run(_EXPIRE, now=now, limit=limit)
