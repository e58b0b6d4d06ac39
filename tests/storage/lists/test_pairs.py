# SPDX-License-Identifier: MIT
"""The attempts of an endpoint are found completely, whether few or many, and however long after their messages."""

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace

import pytest_asyncio

from tidings import ids
from tidings.clock import DAY, HOUR, MINUTE, SystemClock
from tidings.ids import DEFAULT_ORG, AppId, EndpointId, MessageId, timestamp_of
from tidings.model.attempt import AttemptFilter, DeliveryEnd, MessageStatus
from tidings.model.message import AcceptedMessage, MessageFilter
from tidings.model.page import Order, PageWindow
from tidings.storage import lists
from tidings.storage.drivers.database import Database, ListTuning, StorageTuning
from tidings.storage.lists import buckets
from tidings.storage.tables import intake, settlement
from tidings.storage.tables.bucket_index import BUCKET_WIDTH, bucket_of
from tidings.storage.tables.settlement import AttemptRow

NOW = SystemClock().now()
APP = AppId("app_" + "1" * 27)
ALWAYS, SELDOM = EndpointId("ep_" + "a" * 27), EndpointId("ep_" + "s" * 27)
COUNT, LATELY = 1_400, 800
"""The number of messages, each in a bucket of its own, and how many of them are recent."""
ROWS = 20
FILTERS = (
    MessageFilter(event_types=("a",)),
    MessageFilter(event_types=("old",)),
    MessageFilter(event_types=("old",), channel="c"),
    MessageFilter(event_types=("a",), channel="c"),
    MessageFilter(event_types=("rare",)),
)


@dataclass
class Past:
    """The content of the tables."""

    messages: dict[str, AcceptedMessage] = field(default_factory=dict)
    attempts: list[AttemptRow] = field(default_factory=list)


def past() -> Past:
    """Generate messages of ten days and their attempts: all at one endpoint, a few, some of them late, at another."""
    chance, made = random.Random(5), Past()  # noqa: S311 - the same data each time
    for number in range(COUNT):
        timestamp = NOW - (COUNT - number) * 10 * MINUTE
        kind = chance.choice("ab") if number > COUNT - LATELY else chance.choice(("a", "b", "old", "old"))
        kind = "rare" if chance.random() < 0.01 else kind
        channels = ("c",) if chance.random() < 0.3 else None
        new = AcceptedMessage(
            MessageId(ids.new(ids.MESSAGE, timestamp)), APP, DEFAULT_ORG, kind, b"{}", channels=channels
        )
        made.messages[new.id] = new
        made.attempts.append(tried(new.id, ALWAYS, timestamp, 0))
        if number % 9 == 0:
            status = chance.choice((0, 2))
            made.attempts.append(tried(new.id, SELDOM, timestamp, status))
            if status and chance.random() < 0.5:
                made.attempts.append(
                    tried(new.id, SELDOM, timestamp + chance.randrange(2 * DAY), chance.choice((0, 2)))
                )
    return made


def tried(msg_id: str, endpoint: str, at: int, status: int) -> AttemptRow:
    new, code = ids.new(ids.ATTEMPT, at), 200 if status == 0 else 500
    who = (msg_id, new, endpoint, APP, DEFAULT_ORG, "u")
    return AttemptRow(*who, status, code, "", 1, 0, ended=DeliveryEnd.EXHAUSTED if status else None)


@pytest_asyncio.fixture
async def there(db: Database) -> Past:
    made = past()
    async with db.write() as tx:
        await intake.add(tx, list(made.messages.values()))
        await settlement.add_attempts(tx, made.attempts)
    return made


def asked() -> Iterator[tuple[EndpointId, AttemptFilter, Order]]:
    for endpoint in (SELDOM, ALWAYS):
        for wanted in FILTERS:
            for status in (None, MessageStatus.SUCCESS, MessageStatus.FAIL):
                for order in Order:
                    yield endpoint, AttemptFilter(status=status, message=wanted), order


def is_wanted(made: Past, row: AttemptRow, endpoint: str, wanted: AttemptFilter) -> bool:
    message, asked = made.messages[row.msg_id], wanted.message
    return (
        row.endpoint_id == endpoint
        and wanted.status in (None, row.status)
        and message.event_type in asked.event_types
        and (asked.channel is None or message.channels is not None)
    )


def pages(keys: list[str], window: PageWindow) -> Iterator[tuple[PageWindow, list[str]]]:
    """Yield consecutive pages of a list with their expected content: the first three, and the last two."""
    keys = sorted(keys, reverse=window.order is Order.DESCENDING)
    for start in {0, ROWS, 2 * ROWS, max(0, len(keys) - 2 * ROWS), max(0, len(keys) - ROWS)}:
        if start > len(keys):
            continue
        part = window
        if start:
            edge = keys[start - 1]
            part = replace(window, below=edge) if window.order is Order.DESCENDING else replace(window, above=edge)
        yield part, keys[start : start + ROWS]


async def test_attempts_of_filtered_messages_are_found_in_order(db: Database, there: Past) -> None:
    for endpoint, wanted, order in asked():
        keys = [row.id for row in there.attempts if is_wanted(there, row, endpoint, wanted)]
        whole = PageWindow(
            order, ROWS, first=ids.first_at(ids.ATTEMPT, NOW - 90 * DAY), below=ids.first_at(ids.ATTEMPT, NOW + 3 * DAY)
        )
        for window, expected in pages(keys, whole):
            async with db.read() as read:
                found = await lists.page_of_attempts(read, APP, endpoint, window, wanted)
            assert expected == [each.id for each in found], (endpoint, wanted, window)


async def test_attempted_messages_of_an_endpoint_are_found_in_order(db: Database, there: Past) -> None:
    latest: dict[tuple[str, str], int] = {}
    for row in sorted(there.attempts, key=lambda row: row.id):
        latest[row.msg_id, row.endpoint_id] = min(
            latest.get((row.msg_id, row.endpoint_id), 2), row.status
        )  # a success ends it
    for endpoint, wanted, order in asked():
        keys = [
            msg_id
            for (msg_id, to), status in latest.items()
            if to == endpoint
            and wanted.status in (None, status)
            and is_wanted(there, tried(msg_id, endpoint, NOW, status), endpoint, wanted)
        ]
        whole = PageWindow(
            order, ROWS, first=ids.first_at(ids.MESSAGE, NOW - 90 * DAY), below=ids.first_at(ids.MESSAGE, NOW + HOUR)
        )
        for window, expected in pages(keys, whole):
            async with db.read() as read:
                found = await lists.page_of_attempted_messages(read, APP, endpoint, window, wanted)
            assert expected == [each.message.id for each in found], (endpoint, wanted, window)


async def test_late_attempts_are_found_in_both_directions(db: Database, there: Past) -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    made = sorted({bucket_of(each) for each in there.messages})
    late = {
        bucket_of(row.msg_id) + bucket_of(row.id)
        for row in there.attempts
        if row.endpoint_id == SELDOM and bucket_of(row.id) != bucket_of(row.msg_id)
    }

    for count in (1, 300, len(made)):
        some = chance.sample(made, count)
        async with db.read() as read:
            found = await buckets.pairs_of_messages(read, SELDOM, some)
        assert found == {each + each for each in some} | {each for each in late if each[:BUCKET_WIDTH] in some}


async def test_the_messages_in_pairs_are_found_completely_or_not_at_all(db: Database, there: Past) -> None:
    for endpoint in (SELDOM, ALWAYS):
        mine = sorted((row for row in there.attempts if row.endpoint_id == endpoint), key=lambda row: row.id)[10:60:7]
        some = [bucket_of(row.id) + bucket_of(row.msg_id) for row in mine]
        inside = [
            row
            for row in there.attempts
            if row.endpoint_id == endpoint and bucket_of(row.id) + bucket_of(row.msg_id) in some
        ]
        for status, expected in (
            (None, {row.msg_id for row in inside}),
            (MessageStatus.FAIL, {row.msg_id for row in inside if row.status}),
        ):
            db.tuning = StorageTuning(lists=ListTuning(candidates=5_000))
            async with db.read() as read:
                found = await buckets.messages_in(read, endpoint, some, status)
            db.tuning = StorageTuning(lists=ListTuning(candidates=len(expected) - 1))
            async with db.read() as read:
                none = await buckets.messages_in(read, endpoint, some, status)
            assert found is not None
            assert expected == {each for each in found if bucket_of(each) in {pair[BUCKET_WIDTH:] for pair in some}}
            assert none is None or not expected


async def listed(*parts: list[str]) -> AsyncIterator[list[str]]:
    for part in parts:
        yield part


async def test_batches_grow_and_share_no_bucket() -> None:
    some = [f"{number:04}" for number in range(2_000)]
    in_pairs = [first + second for first in some[:5] for second in some[:4]]

    found = [each async for each in buckets.batches(listed(some[:70], some[70:300], some[300:]), 16)]
    found_pairs = [each async for each in buckets.batches(listed(in_pairs[:2], in_pairs[2:13], in_pairs[13:]), 1)]

    assert some == [each for batch in found for each in batch]
    assert [16, 54, 230, 1_024, 676] == [len(batch) for batch in found]
    assert in_pairs == [each for batch in found_pairs for each in batch]
    assert [4] * 5 == [len(batch) for batch in found_pairs]


def test_an_attempts_timestamp_is_not_taken_for_its_messages() -> None:
    """The generated data has the properties that the other tests rely on."""
    rows = [row for row in past().attempts if row.endpoint_id == SELDOM]

    assert sum(timestamp_of(row.id) - timestamp_of(row.msg_id) > HOUR for row in rows) > 20
    assert len(rows) > 2 * ROWS
