# SPDX-License-Identifier: MIT
"""Notifications by e-mail: changes of the state of endpoints, and the mail that is being sent."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidings.storage.drivers.database import Read, Row, Write, from_row

_ADD: Final = """
INSERT INTO notification (endpoint_id, type, org_id, at, data) VALUES (:endpoint, :type, :org, :at, :data)
ON CONFLICT (endpoint_id, type) DO UPDATE SET at = excluded.at, data = excluded.data, mail_id = NULL
"""
_ARE_WAITING: Final = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM notification WHERE mail_id IS NULL LIMIT 1) AS a) AS waiting,
  (SELECT min(due_at) FROM mail) AS due_at
"""
_TURN: Final = "mail_turn"
_TAKE_TURN: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :until) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    " WHERE setting.value <= :now"
)
_HAS_MAIL: Final = "SELECT count(*) AS n FROM mail"
_GATHER: Final = """
UPDATE notification SET mail_id = :mail WHERE row_address IN (
  SELECT row_address FROM notification WHERE mail_id IS NULL ORDER BY mail_id, at LIMIT CAST(:limit AS BIGINT)
  FOR UPDATE SKIP LOCKED)
"""
_ADD_MAIL: Final = "INSERT INTO mail (id, created_at, due_at, claim) VALUES (:id, :now, :until, :claim)"
_CLAIM: Final = """
UPDATE mail SET claim = :claim, due_at = :until
WHERE id = (SELECT id FROM mail WHERE due_at <= :now ORDER BY id LIMIT 1) AND due_at <= :now
RETURNING id, created_at, failures
"""
_FREE: Final = "UPDATE mail SET due_at = :now WHERE due_at > :now"
_LAST: Final = "(SELECT {column} FROM attempt WHERE endpoint_id = n.endpoint_id ORDER BY endpoint_id, id DESC LIMIT 1)"
_OF_MAIL: Final = f"""
SELECT n.endpoint_id, n.type, n.org_id, n.at, n.data, e.uid AS endpoint_uid, e.url, e.description, e.disabled_reason,
  e.app_id, a.uid AS app_uid, a.name AS app_name,
  {_LAST.format(column="response_status_code")} AS last_code,
  {_LAST.format(column="CASE WHEN response_status_code = 0 THEN substr(response, 1, 500) END")} AS last_error
FROM (SELECT * FROM notification WHERE mail_id = :mail ORDER BY mail_id, at LIMIT CAST(:limit AS BIGINT)) AS n
JOIN endpoint e ON found_by(e.id, n.endpoint_id) JOIN application a ON found_by(a.id, e.app_id)
ORDER BY n.at, n.endpoint_id, n.type
"""
_COUNTS: Final = "SELECT type, count(*) AS n FROM notification WHERE mail_id = :mail GROUP BY type"
_RETRY: Final = "UPDATE mail SET failures = failures + 1, due_at = :due_at WHERE id = :id AND claim = :claim"
_DELETE_MAIL: Final = "DELETE FROM mail WHERE id = :id AND claim = :claim"
# Rows are locked in the order in which settle writes them; `|| ''` keeps PostgreSQL from reading all of them for it.
_DELETE: Final = """
DELETE FROM notification WHERE row_address IN (
  SELECT row_address FROM notification WHERE mail_id = :id ORDER BY endpoint_id || '', type FOR UPDATE)
"""


@dataclass(frozen=True, slots=True)
class Notification:
    """A change of the state of an endpoint, with what a reader needs to know of the endpoint."""

    endpoint_id: str
    type: str
    """The type of the operational event."""
    org_id: str
    at: int
    data: dict[str, Any]
    """The data of the operational event."""
    endpoint_uid: str | None
    url: str
    description: str
    disabled_reason: str | None
    app_id: str
    app_uid: str | None
    app_name: str
    last_code: int | None
    """The status code of the last attempt; 0 if there was no response, None without an attempt."""
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that this node may send until the claim expires."""

    id: str
    created_at: int
    failures: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether notifications wait for a mail, and when the present mail is due; None without one."""

    has_notifications: bool
    due_at: int | None


async def add(tx: Write, endpoint_id: str, type_: str, org_id: str, data: dict[str, Any], now: int) -> None:
    """Store a notification. It replaces an earlier one of its type about its endpoint that was not sent."""
    await tx.run(_ADD, endpoint=endpoint_id, type=type_, org=org_id, at=now, data=json.dumps(data))


async def waiting(read: Read) -> Waiting:
    """Return whether there is work; reads a row or two."""
    row = await read.one(_ARE_WAITING)
    return Waiting(row["waiting"] > 0, row["due_at"])


async def take_turn(tx: Write, *, now: int, until: int) -> bool:
    """Take the turn to begin a mail, which is free again at a timestamp; return whether it was free."""
    return await tx.run(_TAKE_TURN, name=_TURN, until=f"{until:015d}", now=f"{now:015d}") == 1


async def begin_mail(tx: Write, mail_id: str, claim: str, *, now: int, until: int, limit: int) -> bool:
    """Begin a mail of the oldest notifications, claimed until a timestamp; return whether there are any.

    There is one mail at a time, so an outage of the mail server makes no queue of mails.
    """
    if (await tx.one(_HAS_MAIL))["n"] or not await tx.run(_GATHER, mail=mail_id, limit=limit):
        return False
    await tx.run(_ADD_MAIL, id=mail_id, now=now, until=until, claim=claim)
    return True


async def claim_mail(tx: Write, claim: str, *, now: int, until: int) -> ClaimedMail | None:
    """Claim the mail that is due, until a timestamp."""
    rows: Sequence[Row] = await tx.rows(_CLAIM, claim=claim, now=now, until=until)
    return from_row(ClaimedMail, rows[0]) if rows else None


async def free_mail(tx: Write, now: int) -> None:
    """Make the mail due: no other process can be sending it."""
    await tx.run(_FREE, now=now)


async def of_mail(read: Read, mail_id: str, *, limit: int) -> tuple[list[Notification], dict[str, int]]:
    """Return the oldest notifications of a mail, up to a limit, and the number of all by type."""
    rows = await read.rows(_OF_MAIL, mail=mail_id, limit=limit)
    counts = {row["type"]: row["n"] for row in await read.rows(_COUNTS, mail=mail_id)}
    return [from_row(Notification, row, data=json.loads(row["data"])) for row in rows], counts


async def retry_mail(tx: Write, mail_id: str, claim: str, due_at: int) -> None:
    """Count a failure of a claimed mail, and make it due later."""
    await tx.run(_RETRY, id=mail_id, claim=claim, due_at=due_at)


async def end_mail(tx: Write, mail_id: str, claim: str) -> None:
    """Delete a claimed mail with its notifications: it was sent, or cannot be sent."""
    if await tx.run(_DELETE_MAIL, id=mail_id, claim=claim):
        await tx.run(_DELETE, id=mail_id)
