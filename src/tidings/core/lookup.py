# SPDX-License-Identifier: MIT
"""Use cases of the console: find applications and messages by what a person knows of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from tidings.clock import SECOND
from tidings.core.services import Services
from tidings.errors import not_found
from tidings.ids import APP, DEFAULT_ORG, ENDPOINT, MESSAGE, TASK, AppId, MessageId, OrgId, first_at, is_id
from tidings.model import text as rules
from tidings.model.app import App
from tidings.model.page import LIMIT_DEFAULT
from tidings.storage.drivers.database import Read
from tidings.storage.tables import apps, lookup
from tidings.storage.tables.lookup import AppName, NewestMessages

SCANNED_APPS: Final = 10_000
"""The newest applications of an organization whose names and event ids are searched."""
SCANNED_MESSAGES: Final = 2_000
"""The messages of all organizations that one page of the newest ones reads."""
_SHOWN: Final = 50
_QUERY_MAX: Final = 300
END: Final = "~"
"""Sorts after every id."""


async def organizations(services: Services, *, after: str) -> list[OrgId]:
    """Return the organizations with applications after an id, at most a page."""
    async with services.db.read() as read:
        return await lookup.organizations(read, after=after, limit=_SHOWN + 1)


async def require_organization(services: Services, org_id: OrgId) -> None:
    """Raise `not_found` for an organization without a row, unless it is the default one: its id is mistyped."""
    if org_id == DEFAULT_ORG:
        return
    async with services.db.read() as read:
        if not await lookup.is_organization(read, org_id):
            raise not_found()


async def search_apps(services: Services, org_id: OrgId, query: str) -> list[App]:
    """Return applications by id, by the beginning of their uid, or by a part of their name."""
    query = query.strip()[:_QUERY_MAX]
    if not query or "\0" in query:
        return []
    async with services.db.read() as read:
        if query.startswith(APP):
            ids = [AppId(query)]
        else:
            is_uid = rules.name_error(query) is None
            ids = await lookup.apps_by_uid(read, org_id, query, limit=_SHOWN) if is_uid else []
            ids += await lookup.apps_by_name(read, org_id, query, scan=SCANNED_APPS, limit=_SHOWN)
        found = [await apps.find(read, org_id, app_id) for app_id in list(dict.fromkeys(ids))[:_SHOWN]]
    return [app for app in found if app is not None]


class QueryKind(Enum):
    """What a query of the search for messages means."""

    NOTHING = "nothing"
    MESSAGE = "the id of a message"
    APPLICATION = "the id of an application"
    ENDPOINT = "the id of an endpoint"
    TASK = "the id of a task"
    TYPE = "an event type"
    TAG = "a tag"
    TIME = "a time"
    EVENT_ID = "an event id"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LookupQuery:
    """A query of the search for messages, and the value in it."""

    kind: QueryKind
    value: str = ""
    at: int = 0
    """The time, in milliseconds."""


_IDS: Final = {
    MESSAGE: QueryKind.MESSAGE,
    APP: QueryKind.APPLICATION,
    ENDPOINT: QueryKind.ENDPOINT,
    TASK: QueryKind.TASK,
}
_WORDS: Final = {"type": QueryKind.TYPE, "tag": QueryKind.TAG, "event": QueryKind.EVENT_ID, "id": QueryKind.EVENT_ID}
_RULES: Final[Mapping[QueryKind, Callable[[str], str | None]]] = {
    QueryKind.TYPE: rules.name_error,
    QueryKind.TAG: rules.tag_error,
    QueryKind.EVENT_ID: rules.name_error,
}
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?)?(Z| ?UTC|[+-]\d\d:\d\d)?")


def understood(text: str) -> LookupQuery:
    """Return what a query means: an id, a time, `type:…`, `tag:…`, or else an event id."""
    text = text.strip()
    if not text:
        return LookupQuery(QueryKind.NOTHING)
    for prefix, kind in _IDS.items():
        if is_id(text, prefix):
            return LookupQuery(kind, text)
    if (match := _TIME.fullmatch(text)) is not None:
        return _time_of(match)
    word, colon, value = text.partition(":")
    kind = _WORDS.get(word.lower(), QueryKind.EVENT_ID) if colon else QueryKind.EVENT_ID
    value = value.strip() if colon and word.lower() in _WORDS else text
    return LookupQuery(QueryKind.UNKNOWN, text) if _RULES[kind](value) else LookupQuery(kind, value)


def _time_of(match: re.Match[str]) -> LookupQuery:
    zone = (match[3] or "Z").strip().replace("UTC", "Z")
    try:
        when = datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00'}{zone.replace('Z', '+00:00')}")
        at = int(when.astimezone(UTC).timestamp() * SECOND)
    except (ValueError, OverflowError):
        return LookupQuery(QueryKind.UNKNOWN, match[0])
    return LookupQuery(QueryKind.TIME, match[0], max(0, at)) if at > 0 else LookupQuery(QueryKind.UNKNOWN, match[0])


async def app_of(services: Services, org_id: OrgId, query: LookupQuery) -> AppId:
    """Return the application of the message or the endpoint that a query names; raise `not_found` without one."""
    async with services.db.read() as read:
        if query.kind is QueryKind.ENDPOINT:
            app_id = await lookup.app_of_endpoint(read, org_id, query.value)
        else:
            message = await lookup.message(read, org_id, query.value)
            app_id = None if message is None else message.app_id
        if app_id is None or await apps.find(read, org_id, app_id) is None:
            raise not_found()
    return app_id


async def by_event_id(services: Services, org_id: OrgId, event_id: str) -> list[tuple[AppId, MessageId]]:
    """Return the applications with a message that has an event id, and the messages."""
    async with services.db.read() as read:
        return await lookup.messages_by_event_id(read, org_id, event_id, scan=SCANNED_APPS, limit=_SHOWN)


@dataclass(frozen=True, slots=True)
class MessageSearch:
    """Which of the newest messages of an organization to list."""

    below: str = END
    event_type: str = ""
    tag: str = ""


async def newest_messages(
    services: Services, org_id: OrgId, search: MessageSearch
) -> tuple[NewestMessages, Mapping[AppId, AppName]]:
    """Return a page of an organization's messages, the newest first, with the names of their applications."""
    async with services.db.read() as read:
        found = await lookup.newest_messages(
            read,
            org_id,
            below=search.below,
            event_type=search.event_type,
            tag=search.tag,
            scan=SCANNED_MESSAGES,
            limit=LIMIT_DEFAULT,
        )
        names = await names_of(read, org_id, [each.app_id for each in found.messages])
    return found, names


def before(at: int) -> str:
    """Return the id below which the messages from before a time are."""
    return first_at(MESSAGE, at)


async def names_of(read: Read, org_id: OrgId, app_ids: Sequence[str]) -> Mapping[AppId, AppName]:
    """Return the names of applications."""
    return await lookup.app_names(read, org_id, sorted(set(app_ids)))


async def app_names(services: Services, org_id: OrgId, app_ids: Sequence[str]) -> Mapping[AppId, AppName]:
    """Return the names of applications of an organization, also of deleted ones."""
    async with services.db.read() as read:
        return await names_of(read, org_id, app_ids)
