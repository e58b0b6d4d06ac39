# SPDX-License-Identifier: MIT
"""Every list with a time range equals a naive one in Python, for any filters and any query plan."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
import pytest_asyncio

from tidings import ids
from tidings.clock import DAY, HOUR, ManualClock
from tidings.core import attempts, messages
from tidings.core.idempotency import Idempotency
from tidings.core.notifier import Notifier
from tidings.core.services import Services
from tidings.ids import DEFAULT_ORG, AppId, MessageId, timestamp_of
from tidings.model.app import App
from tidings.model.attempt import AttemptFilter, DeliveryEnd, MessageStatus, StatusCodeClass
from tidings.model.message import AcceptedMessage, MessageExtras, MessageFilter
from tidings.model.page import Cursor, Order, Page
from tidings.storage.drivers.database import Database, Dialect, ListTuning, StorageTuning, Write
from tidings.storage.drivers.store import opened
from tidings.storage.tables import intake, settlement
from tidings.storage.tables.settlement import AttemptRow

NOW = 1_700_000_000_000
SPAN = 200 * DAY
STEP = ids.STEP_MS
ROUNDS = 60
APP = App(
    id=AppId("app_" + "1" * 27),
    org_id=DEFAULT_ORG,
    uid=None,
    name="a",
    throttle_rate=None,
    metadata={},
    created_at=NOW,
    updated_at=NOW,
)
URL = "http://example.com/"
Item = TypeVar("Item")
ENDPOINTS = ("ep_" + "a" * 27, "ep_" + "b" * 27, "ep_" + "c" * 27)


@dataclass
class Try:
    """One attempt."""

    id: str
    msg_id: str
    endpoint: str
    status: int
    code: int


@dataclass
class World:
    """The content of the tables, once more in Python."""

    app: App
    messages: dict[str, tuple[str, list[str], list[str]]] = field(default_factory=dict)
    tries: list[Try] = field(default_factory=list)
    due: dict[tuple[str, str], int] = field(default_factory=dict)


def build(chance: random.Random, span: int, count: int) -> World:
    """Generate messages over some time, a few of them with one timestamp, and their attempts."""
    world = World(APP)
    timestamps = [NOW - chance.randrange(span) // STEP * STEP for _ in range(count)]
    for timestamp in [*timestamps, *timestamps[:10], NOW + HOUR - STEP, NOW + HOUR, NOW]:
        channels, tags = chance.choice(([], ["c"], ["c", "d"])), chance.choice(([], ["t"]))
        msg_id = ids.new(ids.MESSAGE, timestamp)
        world.messages[msg_id] = (chance.choice("ab"), channels, tags)
        for endpoint in ENDPOINTS[:2]:
            at = timestamp
            for _ in range(chance.randrange(4)):
                at += chance.randrange(HOUR) // STEP * STEP
                status = chance.choice((0, 2, 2))
                code = 200 if status == 0 else chance.choice((0, 404, 500))
                world.tries.append(Try(ids.new(ids.ATTEMPT, at), msg_id, endpoint, status, code))
            if chance.random() < 0.3:
                world.due[msg_id, endpoint] = NOW + chance.randrange(DAY)
    return world


async def store(db: Database, world: World) -> None:
    async with db.write() as tx:
        await _store_messages(tx, world)
        await _store_tries(tx, world)


async def _store_messages(tx: Write, world: World) -> None:
    for endpoint in ENDPOINTS:
        await tx.run(
            "INSERT INTO endpoint (id, app_id, org_id, url, description, metadata, headers, secret, created_at,"
            " updated_at) VALUES (:id, :app, :org, :url, '', '{}', '{}', :secret, :now, :now)",
            id=endpoint,
            app=world.app.id,
            org=DEFAULT_ORG,
            url=URL,
            secret=bytes(25),
            now=NOW,
        )
    rows = [_row(world, msg_id) for msg_id in world.messages]
    await intake.add(tx, rows)


def _row(world: World, msg_id: str) -> AcceptedMessage:
    event_type, channels, tags = world.messages[msg_id]
    extras = MessageExtras(tags=tuple(tags)) if tags else None
    return AcceptedMessage(
        MessageId(msg_id),
        world.app.id,
        DEFAULT_ORG,
        event_type,
        b"{}",
        channels=tuple(channels) if channels else None,
        extras=extras,
    )


async def _store_tries(tx: Write, world: World) -> None:
    rows: list[AttemptRow] = []
    for each in world.tries:
        ends = each.status == 2 and (each.msg_id, each.endpoint) not in world.due
        who = (each.msg_id, each.id, each.endpoint, world.app.id, DEFAULT_ORG, URL)
        next_at, ended = (None, DeliveryEnd.EXHAUSTED) if ends else (NOW, None)
        rows.append(AttemptRow(*who, each.status, each.code, "", 1, 0, next_at=next_at, ended=ended))
    await settlement.add_attempts(tx, rows)
    for (msg_id, endpoint), due_at in world.due.items():
        await tx.run(
            "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at)"
            " VALUES (:msg, :endpoint, :app, :org, :due)",
            msg=msg_id,
            endpoint=endpoint,
            app=world.app.id,
            org=DEFAULT_ORG,
            due=due_at,
        )


# The expected lists


def windowed(keys: list[str], cursor: Cursor) -> list[str]:
    """Return the elements in the window that a cursor implies, newest first."""
    since, until = None, NOW + HOUR
    key = None if cursor.iterator is None else cursor.iterator.removeprefix("-")
    if cursor.before is not None:
        until = min(until, cursor.before)
        since = cursor.before - 90 * DAY
        since = since if cursor.after is None else max(since, cursor.after)
    elif cursor.after is not None:
        since, until = cursor.after, min(until, cursor.after + 90 * DAY)
    elif key is None:
        since = NOW - 90 * DAY
    elif cursor.iterator == key:
        since = timestamp_of(key) - 90 * DAY
    else:
        until = min(until, timestamp_of(key) + 90 * DAY)
    found = [
        each
        for each in keys
        if (since is None or timestamp_of(each) // STEP >= since // STEP) and timestamp_of(each) // STEP < until // STEP
    ]
    return sorted(found, reverse=True)


def expected(keys: list[str], cursor: Cursor, *, ends_now: bool) -> tuple[list[str], str | None, str | None, bool]:
    """Return the page: its keys, its two iterators, and whether it is the last one in its direction.

    `ends_now`: a page toward the newest element ends at the present, because later ids may still be committed before.
    """
    inside = windowed(keys, cursor)
    backwards = cursor.after is not None and cursor.before is None
    if cursor.iterator is not None:
        key = cursor.iterator.removeprefix("-")
        backwards = key != cursor.iterator
        inside = [each for each in inside if (each > key if backwards else each < key)]
    if backwards and ends_now:
        inside = [each for each in inside if timestamp_of(each) // STEP <= NOW // STEP]
    shown = inside[-cursor.limit :] if backwards else inside[: cursor.limit]
    if not shown:
        return [], None, None, True
    return shown, shown[-1], f"-{shown[0]}", len(inside) <= cursor.limit


def some_cursor(chance: random.Random, keys: list[str], prefix: str) -> Cursor:
    """Draw a cursor for some page, from some position, within some range."""

    def timestamp() -> int:
        return NOW - chance.randrange(-2 * HOUR, SPAN) if chance.random() < 0.5 else timestamp_of(chance.choice(keys))

    iterator = None
    if chance.random() < 0.5:
        iterator = chance.choice(keys) if chance.random() < 0.7 else ids.new(prefix, timestamp())
        iterator = chance.choice(("", "-")) + iterator
    return Cursor(
        Order.DESCENDING,
        chance.choice((1, 3, 7, 50)),
        iterator,
        timestamp() if chance.random() < 0.3 else None,
        timestamp() if chance.random() < 0.3 else None,
    )


def some_messages(chance: random.Random) -> MessageFilter:
    if chance.random() < 0.5:
        return MessageFilter()
    return MessageFilter(
        event_types=chance.choice(((), ("a",), ("b", "x"), ("x",))),
        channel=chance.choice((None, None, "d", "c")),
        tag=chance.choice((None, None, "t")),
    )


def is_wanted(world: World, msg_id: str, wanted: MessageFilter) -> bool:
    event_type, channels, tags = world.messages[msg_id]
    return (
        (not wanted.event_types or event_type in wanted.event_types)
        and (wanted.channel is None or wanted.channel in channels)
        and (wanted.tag is None or wanted.tag in tags)
    )


def listed_status(world: World, msg_id: str, endpoint: str, wanted: MessageStatus | None) -> int | None:
    """Return the contract's status of a message under a filter; None if the filter excludes it."""
    tried = sorted((each.id, each.status) for each in world.tries if (each.msg_id, each.endpoint) == (msg_id, endpoint))
    if not tried:
        return None
    statuses = [status for _, status in tried]
    is_due = (msg_id, endpoint) in world.due
    if wanted is None:
        return 3 if statuses[-1] == 2 and is_due else statuses[-1]
    mine = 0 if 0 in statuses else 3 if is_due else 2
    return mine if mine == wanted else None


def told(page: Page[Item], key: Callable[[Item], str]) -> tuple[list[str], str | None, str | None, bool]:
    return [key(item) for item in page.items], page.iterator, page.prev_iterator, page.done


TUNINGS = {
    "few": ListTuning(),
    "many": ListTuning(entries=1, buckets=1, rare_messages=2, candidates=3),
    "most": ListTuning(entries=1, buckets=1, rare_messages=2, candidates=0),
    "known": ListTuning(entries=12, buckets=2, rare_messages=1, candidates=9),
}


@pytest_asyncio.fixture(params=TUNINGS)
async def db(request: pytest.FixtureRequest, migrated_url: str) -> AsyncIterator[Database]:
    """Force the query plans of small applications, of large ones, or of those where every value is frequent."""
    database = await opened(migrated_url, tuning=StorageTuning(lists=TUNINGS[request.param]))
    yield database
    await database.close()


@pytest.mark.parametrize(("span", "count"), [(SPAN, 40), (3 * HOUR, 80)])
async def test_lists_match_a_naive_implementation(db: Database, span: int, count: int) -> None:
    chance = random.Random(count)  # noqa: S311 - the same lists in each run
    world = build(chance, span, count)
    await store(db, world)
    clock = ManualClock(NOW)
    services, app = Services(db, clock, Notifier(), Idempotency(db, clock)), world.app
    every = list(world.messages)
    tried = [each.id for each in world.tries]
    is_postgres = db.dialect is Dialect.POSTGRESQL

    for _ in range(ROUNDS):
        wanted, endpoint = some_messages(chance), chance.choice(ENDPOINTS)
        cursor = some_cursor(chance, every, ids.MESSAGE)
        keys = [each for each in every if is_wanted(world, each, wanted)]
        page = await messages.page(services, app, cursor, wanted, with_payload=False)
        assert expected(keys, cursor, ends_now=is_postgres) == told(page, lambda each: each.id), (cursor, wanted)

        status = chance.choice((None, *MessageStatus))
        keys = [each for each in keys if listed_status(world, each, endpoint, status) is not None]
        asked = AttemptFilter(status=status, message=wanted)
        listed = await attempts.page_of_messages(services, app, endpoint, cursor, asked, with_payload=False)
        assert expected(keys, cursor, ends_now=False) == told(listed, lambda each: each.message.id), (
            cursor,
            asked,
            endpoint,
        )
        for each in listed.items:
            assert listed_status(world, each.message.id, endpoint, status) == each.status.status

        cursor = some_cursor(chance, tried, ids.ATTEMPT)
        code_class = chance.choice((None, None, StatusCodeClass.CODE_5XX, StatusCodeClass.CODE_NONE))
        asked = AttemptFilter(status=status, code_class=code_class, message=wanted)
        mine = [
            each
            for each in world.tries
            if status in (None, each.status)
            and (code_class is None or each.code in code_class.codes)
            and is_wanted(world, each.msg_id, wanted)
        ]
        found = await attempts.page_of_endpoint(services, app, endpoint, cursor, asked, with_message=False)
        keys = [each.id for each in mine if each.endpoint == endpoint]
        assert expected(keys, cursor, ends_now=True) == told(found, lambda each: each.id), (cursor, asked, endpoint)
        since = replace(cursor, iterator=None)
        assert (len(windowed(keys, since)), False) == await attempts.count(services, app, endpoint, since, asked), asked
        msg_id = chance.choice(every)
        found = await attempts.page_of_message(services, app, msg_id, cursor, asked, endpoint_ref=None)
        keys = [each.id for each in mine if each.msg_id == msg_id]
        assert expected(keys, cursor, ends_now=True) == told(found, lambda each: each.id), (cursor, asked, msg_id)
