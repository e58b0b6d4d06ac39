# SPDX-License-Identifier: MIT
"""Queries of the console: find something of an organization by what a person knows of it. Each reads bounded rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.ids import MESSAGE, AppId, MessageId, OrgId, first_at, last_at, timestamp_of
from tidings.storage.drivers.database import Read, from_row

# -----------------------------------------------------------------------------------------------------------------
# Organizations: they have no rows, so the index of applications is visited with one probe for each.

_ORGANIZATIONS: Final = """
WITH RECURSIVE walk(id, number) AS (
  SELECT min(org_id), 1 FROM application WHERE org_id > :after
  UNION ALL
  SELECT (SELECT min(org_id) FROM application WHERE org_id > walk.id), number + 1
  FROM walk WHERE walk.id IS NOT NULL AND number < CAST(:limit AS BIGINT)
)
SELECT id FROM walk WHERE id IS NOT NULL
"""


# Primary keys and indexes that begin with the organization: each part reads one row.
_EXISTS: Final = """
SELECT 1 FROM application WHERE org_id = :org
UNION ALL SELECT 1 FROM event_type WHERE org_id = :org
UNION ALL SELECT 1 FROM api_key WHERE org_id = :org
LIMIT 1
"""


async def is_organization(read: Read, org_id: OrgId) -> bool:
    """Return whether an organization has, or had, an application, an event type or an API key."""
    return await read.row(_EXISTS, org=org_id) is not None


async def organizations(read: Read, *, after: str, limit: int) -> list[OrgId]:
    """Return the first organizations with applications after an id."""
    return [OrgId(row["id"]) for row in await read.rows(_ORGANIZATIONS, after=after, limit=limit)]


# -----------------------------------------------------------------------------------------------------------------
# Applications

_BY_UID: Final = (
    "SELECT id FROM application WHERE org_id = :org AND uid >= :text AND uid < :end AND uid IS NOT NULL"
    " AND deleted_at IS NULL ORDER BY org_id, uid LIMIT CAST(:limit AS BIGINT)"
)
# No index has the names. The newest applications are read, and their names compared.
_BY_NAME: Final = (
    "SELECT id FROM (SELECT id, name, deleted_at FROM application WHERE org_id = :org"
    " ORDER BY org_id DESC, id DESC LIMIT CAST(:scan AS BIGINT)) AS newest"
    " WHERE deleted_at IS NULL AND strpos(lower(name), :text) > 0 ORDER BY id DESC LIMIT CAST(:limit AS BIGINT)"
)


async def apps_by_uid(read: Read, org_id: OrgId, prefix: str, *, limit: int) -> list[AppId]:
    """Return applications whose uid begins so, in the order of their uids; the prefix is a valid uid itself."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return [AppId(row["id"]) for row in await read.rows(_BY_UID, org=org_id, text=prefix, end=end, limit=limit)]


async def apps_by_name(read: Read, org_id: OrgId, text: str, *, scan: int, limit: int) -> list[AppId]:
    """Return applications whose name contains a text, among the newest `scan` of the organization."""
    rows = await read.rows(_BY_NAME, org=org_id, text=text.lower(), scan=scan, limit=limit)
    return [AppId(row["id"]) for row in rows]


# -----------------------------------------------------------------------------------------------------------------
# Messages and endpoints


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message of an organization, without its payload."""

    id: MessageId
    app_id: AppId
    event_type: str
    event_id: str | None


@dataclass(frozen=True, slots=True)
class NewestMessages:
    """The messages of an organization among the newest ones of all, and how far back those were read."""

    messages: Sequence[FoundMessage]
    last: MessageId | None
    """The last id that was read; None if no older message exists."""


_COLUMNS: Final = "id, app_id, event_type, event_id"
_MESSAGE: Final = f"SELECT {_COLUMNS} FROM message WHERE id = :id AND org_id = :org"
_ENDPOINT: Final = "SELECT app_id FROM endpoint WHERE id = :id AND org_id = :org AND deleted_at IS NULL"
_BY_EVENT_ID: Final = (
    "SELECT event_id.msg_id AS id, apps.id AS app_id FROM"
    " (SELECT id FROM application WHERE org_id = :org AND deleted_at IS NULL ORDER BY org_id DESC, id DESC"
    " LIMIT CAST(:scan AS BIGINT)) AS apps"
    " JOIN event_id ON event_id.app_id = apps.id AND event_id.event_id = :text LIMIT CAST(:limit AS BIGINT)"
)
# Message ids are in the order of time, of all organizations together.
_READ: Final = (
    "SELECT id, app_id, org_id, event_type, event_id, tags FROM message WHERE id < :below"
    " ORDER BY id DESC LIMIT CAST(:scan AS BIGINT)"
)
_NEWEST: Final = (
    f"SELECT {_COLUMNS} FROM ({_READ}) AS newest WHERE org_id = :org AND (:type = '' OR event_type = :type)"
    " AND (:tag = '' OR strpos(tags, :tag) > 0) ORDER BY id DESC LIMIT CAST(:limit AS BIGINT)"
)
_LAST_READ: Final = f"SELECT min(id) AS last, count(*) AS n FROM ({_READ}) AS newest"


async def message(read: Read, org_id: OrgId, msg_id: str) -> FoundMessage | None:
    """Return a message of an organization by its id, or None."""
    row = await read.row(_MESSAGE, id=msg_id, org=org_id)
    return None if row is None else from_row(FoundMessage, row)


async def app_of_endpoint(read: Read, org_id: OrgId, endpoint_id: str) -> AppId | None:
    """Return the application of an endpoint of an organization, or None."""
    row = await read.row(_ENDPOINT, id=endpoint_id, org=org_id)
    return None if row is None else AppId(row["app_id"])


async def messages_by_event_id(
    read: Read, org_id: OrgId, event_id: str, *, scan: int, limit: int
) -> list[tuple[AppId, MessageId]]:
    """Return the messages with an event id, which each application may have used once; of the newest `scan` ones."""
    rows = await read.rows(_BY_EVENT_ID, org=org_id, text=event_id, scan=scan, limit=limit)
    return [(AppId(row["app_id"]), MessageId(row["id"])) for row in rows]


async def newest_messages(  # noqa: PLR0913 - one for each filter
    read: Read, org_id: OrgId, *, below: str, event_type: str, tag: str, scan: int, limit: int
) -> NewestMessages:
    """Return messages of an organization with ids below one, the newest first; empty filters match every message.

    It reads the newest `scan` messages of all organizations below that id.
    """
    quoted = f'"{tag}"' if tag else ""
    rows = await read.rows(_NEWEST, org=org_id, type=event_type, tag=quoted, limit=limit + 1, below=below, scan=scan)
    found = [from_row(FoundMessage, row) for row in rows[:limit]]
    if len(rows) > limit:
        return NewestMessages(found, found[-1].id)
    last = await read.one(_LAST_READ, below=below, scan=scan)
    return NewestMessages(found, _position(last["last"], below) if last["n"] == scan else None)


def _position(last_read: str, below: str) -> MessageId:
    """Return the position after the last message read, without its id: it may belong to another organization.

    Messages of the same 4 ms step are read again, so none is left out; a step with more of them than one search reads
    ends there.
    """
    at = timestamp_of(last_read)
    inside = last_at(MESSAGE, at)
    return MessageId(inside if inside < below else first_at(MESSAGE, at))


# -----------------------------------------------------------------------------------------------------------------
# The names in a list


@dataclass(frozen=True, slots=True)
class AppName:
    """An application as a list shows it."""

    id: AppId
    name: str
    uid: str | None


_NAMES: Final = "SELECT id, name, uid FROM application WHERE id IN :ids AND org_id = :org"


async def app_names(read: Read, org_id: OrgId, app_ids: Sequence[str]) -> dict[AppId, AppName]:
    """Return the names of applications of an organization, also of deleted ones."""
    rows = await read.rows(_NAMES, ids=list(app_ids), org=org_id)
    return {AppId(row["id"]): from_row(AppName, row) for row in rows}
