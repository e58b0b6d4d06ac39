# SPDX-License-Identifier: MIT
"""Lists of undelivered messages: their order, their pages in both directions, their scope, filters and bounds."""

from dataclasses import replace
from typing import Final

import pytest

from message_path import add_app, add_endpoint
from tidings import ids
from tidings.clock import HOUR, MINUTE, SECOND
from tidings.ids import DEFAULT_ORG, EndpointId, MessageId, OrgId
from tidings.model.message import MessageFilter
from tidings.model.page import Order
from tidings.model.status import Count
from tidings.model.undelivered import UndeliveredFilter, UndeliveredKey, UndeliveredRows, UndeliveredState
from tidings.storage.drivers.database import Database, Read, Value, Write
from tidings.storage.lists import (
    UndeliveredScope,
    UndeliveredWindow,
    first_page_of_undelivered,
    page_of_undelivered,
    summary_of_undelivered,
)

NOW: Final = 1_800_000_000_000
OTHER: Final = OrgId("org_other")
SCHEDULED, IN_FLIGHT, EXHAUSTED = UndeliveredState
_MESSAGE = (
    "INSERT INTO message (id, app_id, org_id, event_type, channels, payload)"
    " VALUES (:id, 'app_1', 'org_1', :type, :channels, :payload)"
)
_DELIVERY = (
    "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, lane, due_at, lease, lease_until)"
    " VALUES (:msg, :endpoint, 'app_1', :org, :lane, :due, :lease, :until)"
)
_ATTEMPT = (
    "INSERT INTO attempt (msg_id, id, endpoint_id, app_id, org_id, url, status, trigger_type, ended,"
    " response_status_code, response_duration_ms, response)"
    " VALUES (:msg, :id, :endpoint, 'app_1', :org, '', :status, :manual, :ended, 500, 1, '')"
)


class Data:
    """Two endpoints of an application, and rows of messages; a message is its number of minutes before now."""

    def __init__(self, tx: Write, endpoints: tuple[str, str]) -> None:
        self.tx = tx
        self.one, self.two = (EndpointId(each) for each in endpoints)
        self.names: dict[str, int] = {}

    async def message(self, age: int, *, event_type: str = "a.b", channels: str | None = None) -> str:
        msg_id = ids.new(ids.MESSAGE, NOW - age * MINUTE)
        self.names[msg_id] = age
        await self.tx.run(_MESSAGE, id=msg_id, type=event_type, channels=channels, payload=b"{}")
        return msg_id

    async def delivery(self, msg_id: str, due: int, *, until: int | None = None, **more: Value) -> None:
        values: dict[str, Value] = {"endpoint": self.one, "org": DEFAULT_ORG, "lane": 0, **more}
        lease = None if until is None else 7
        await self.tx.run(_DELIVERY, msg=msg_id, due=NOW + due, lease=lease, until=until and NOW + until, **values)

    async def attempt(self, msg_id: str, *, ended: int | None = 1, status: int = 2, **more: Value) -> None:
        values: dict[str, Value] = {"endpoint": self.one, "org": DEFAULT_ORG, "manual": 0, **more}
        await self.tx.run(_ATTEMPT, msg=msg_id, id=ids.new(ids.ATTEMPT, NOW), ended=ended, status=status, **values)

    async def listed(self, filters: UndeliveredFilter, *, whole: bool = False, limit: int = 50) -> list[int]:
        """Return the ages of the messages in a list, of the first endpoint or of the whole organization."""
        scope = self.scope(whole=whole)
        found = await page_of_undelivered(self.tx, scope, filters, UndeliveredWindow(Order.ASCENDING, limit), NOW)
        return [self.names[row.key.msg_id] for row in found.rows]

    def scope(self, *, whole: bool = False) -> UndeliveredScope:
        return UndeliveredScope(DEFAULT_ORG, None if whole else self.one)


async def laid_out(db: Database) -> tuple[str, str]:
    app = await add_app(db)
    return await add_endpoint(db, app, "http://127.0.0.1:9/"), await add_endpoint(db, app, "http://127.0.0.1:9/")


async def test_each_state_has_its_rows_in_its_order(db: Database) -> None:
    endpoints = await laid_out(db)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        messages = {age: await data.message(age) for age in range(9, 0, -1)}
        await data.delivery(messages[9], HOUR)
        await data.delivery(messages[8], -HOUR, lane=1)
        await data.delivery(messages[7], -MINUTE)
        await data.delivery(messages[6], -2 * HOUR, until=-SECOND)  # its node has lost the lease
        await data.delivery(messages[5], -HOUR, until=2 * SECOND)
        await data.delivery(messages[4], 0, until=SECOND)
        for age in (1, 3, 2):
            await data.attempt(messages[age])
        for whole in (False, True):
            assert [8, 7, 6, 9] == await data.listed(UndeliveredFilter(state=SCHEDULED), whole=whole)
            assert [4, 5] == await data.listed(UndeliveredFilter(state=IN_FLIGHT), whole=whole)
            assert [3, 2, 1] == await data.listed(UndeliveredFilter(state=EXHAUSTED), whole=whole)
            summaries = [
                await summary_of_undelivered(tx, data.scope(whole=whole), UndeliveredFilter(state=each), NOW)
                for each in UndeliveredState
            ]
            assert [Count(4), Count(2), Count(3)] == [each.count for each in summaries]
            assert [NOW - age * MINUTE for age in (9, 5, 3)] == [each.oldest_at for each in summaries]


async def test_a_list_has_only_its_own_rows(db: Database) -> None:
    endpoints = await laid_out(db)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        mine, shared, foreign = [await data.message(age) for age in (3, 2, 1)]
        await data.attempt(mine)
        await data.attempt(shared)
        await data.attempt(shared, endpoint=data.two)
        await data.attempt(foreign, endpoint="ep_x", org=OTHER)
        for msg_id, endpoint, org in ((mine, data.one, DEFAULT_ORG), (foreign, "ep_x", OTHER)):
            await data.delivery(msg_id, 0, endpoint=endpoint, org=org)
        for msg_id, endpoint, org in ((shared, data.two, DEFAULT_ORG), (foreign, "ep_y", OTHER)):
            await data.delivery(msg_id, 0, endpoint=endpoint, org=org, until=SECOND)

        assert [[3], [], [2]] == [await data.listed(UndeliveredFilter(state=each)) for each in UndeliveredState]
        found = [await data.listed(UndeliveredFilter(state=each), whole=True) for each in UndeliveredState]
        assert [[3], [2], [2]] == found


async def test_an_exhausted_message_leaves_the_list_when_it_is_no_longer(db: Database) -> None:
    endpoints = await laid_out(db)
    exhausted = UndeliveredFilter(state=EXHAUSTED)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        messages = {age: await data.message(age) for age in range(8, 0, -1)}
        await data.attempt(messages[8])
        await data.attempt(messages[8], manual=1)  # a resend failed, too
        await data.attempt(messages[7], manual=1)  # the only attempt
        await data.attempt(messages[6])
        await data.delivery(messages[6], 0)  # requested again
        await data.attempt(messages[5], ended=None, status=0)
        await data.attempt(messages[5], manual=1)  # delivered, and a later resend failed
        await data.attempt(messages[4], ended=2)
        await data.attempt(messages[3], ended=3)
        await data.attempt(messages[2], ended=0)
        await data.attempt(messages[1], endpoint=data.two)
        assert [8, 7] == await data.listed(exhausted)
        assert [8, 7, 1] == await data.listed(exhausted, whole=True)
        await tx.run("UPDATE endpoint SET deleted_at = :now WHERE id = :id", now=NOW, id=data.two)
        assert [8, 7] == await data.listed(exhausted, whole=True)
        await tx.run("UPDATE application SET deleted_at = :now", now=NOW)
        assert [] == await data.listed(exhausted, whole=True)
        assert Count(0) == (await summary_of_undelivered(tx, data.scope(whole=True), exhausted, NOW)).count


async def paged(
    read: Read, scope: UndeliveredScope, filters: UndeliveredFilter, order: Order, limit: int
) -> list[UndeliveredKey]:
    """Return a whole list, read in pages."""
    found: list[UndeliveredKey] = []
    window = UndeliveredWindow(order, limit)
    while True:
        part = await page_of_undelivered(read, scope, filters, window, NOW)
        found += [row.key for row in part.rows]
        assert len(part.rows) <= limit
        is_full = len(part.rows) == limit
        if part.is_end and not is_full:
            return found
        window = replace(window, after=part.rows[-1].key if is_full else part.last)


@pytest.mark.parametrize("state", UndeliveredState, ids=lambda each: each.value)
@pytest.mark.parametrize("whole", [False, True])
async def test_pages_have_every_row_once_in_both_directions(
    db: Database, state: UndeliveredState, *, whole: bool
) -> None:
    """Some rows are due at the same time, as those that a task has scheduled."""
    endpoints = await laid_out(db)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        made: list[tuple[int, str, str]] = []
        for number in range(20):
            msg_id = await data.message(40 - number)
            for endpoint in (data.one, data.two):
                due = number % 3 * MINUTE - MINUTE
                if state is EXHAUSTED:
                    await data.attempt(msg_id, endpoint=endpoint)
                else:
                    until = (number % 4 + 1) * SECOND
                    lease = until if state is IN_FLIGHT else -until if number % 5 == 0 else None
                    await data.delivery(msg_id, due, endpoint=endpoint, lane=number % 2, until=lease)
                    due = due if lease is None else lease
                if whole or endpoint == data.one:
                    made.append((0 if state is EXHAUSTED else NOW + due, msg_id, endpoint))
        wanted = [UndeliveredKey(at, MessageId(msg_id), EndpointId(endpoint)) for at, msg_id, endpoint in sorted(made)]
        filters, scope = UndeliveredFilter(state=state), data.scope(whole=whole)
        for limit in (1, 7, 100):
            assert wanted == await paged(tx, scope, filters, Order.ASCENDING, limit)
            assert wanted[::-1] == await paged(tx, scope, filters, Order.DESCENDING, limit)
        later = replace(filters, since=NOW - 30 * MINUTE, until=NOW - 25 * MINUTE)
        some = [key for key in wanted if 25 < data.names[key.msg_id] <= 30]
        assert some
        for limit in (1, 100):
            assert some == await paged(tx, scope, later, Order.ASCENDING, limit)
            assert some[::-1] == await paged(tx, scope, later, Order.DESCENDING, limit)


@pytest.mark.parametrize("state", UndeliveredState, ids=lambda each: each.value)
async def test_filters_select_messages_by_type_channel_and_time(db: Database, state: UndeliveredState) -> None:
    endpoints = await laid_out(db)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        for age, (event_type, channels) in enumerate((("a.b", None), ("c.d", '["eu", "us"]'), ("a.b", '["us"]')), 1):
            msg_id = await data.message(age, event_type=event_type, channels=channels)
            if state is EXHAUSTED:
                await data.attempt(msg_id)
            else:
                await data.delivery(msg_id, -age * MINUTE, until=None if state is SCHEDULED else -age * SECOND + MINUTE)
        every = UndeliveredFilter(state=state)
        cases = {
            (3, 1): MessageFilter(event_types=("a.b", "x.y")),
            (2,): MessageFilter(channel="eu"),
            (3,): MessageFilter(event_types=("a.b",), channel="us"),
            (): MessageFilter(tag="vip"),
        }
        for ages, messages in cases.items():
            filters = replace(every, messages=messages)
            assert list(ages) == await data.listed(filters)
            assert list(ages) == await data.listed(filters, whole=True)
            assert Count(len(ages)) == (await summary_of_undelivered(tx, data.scope(), filters, NOW)).count
        assert [2, 1] == await data.listed(replace(every, since=NOW - 2 * MINUTE))
        assert [3] == await data.listed(replace(every, until=NOW - 2 * MINUTE))


class Bounded:
    """A reader whose pages read few candidates."""

    def __init__(self, read: Read, candidates: int) -> None:
        self.dialect, self.has_one_writer = read.dialect, read.has_one_writer
        self.tuning = replace(read.tuning, lists=replace(read.tuning.lists, undelivered=candidates))
        self.rows, self.row, self.one = read.rows, read.row, read.one


async def test_a_page_reads_a_bounded_number_of_deliveries_and_then_ends_early(db: Database) -> None:
    endpoints = await laid_out(db)
    filters = UndeliveredFilter(state=EXHAUSTED)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        for number in range(30):
            msg_id = await data.message(100 - number)
            await data.attempt(msg_id)
            if number != 25:
                await data.delivery(msg_id, 0)
        bounded = Bounded(tx, 10)
        first = await page_of_undelivered(bounded, data.scope(), filters, UndeliveredWindow(Order.ASCENDING, 6), NOW)
        assert ([], False) == (first.rows, first.is_end)
        assert first.last is not None
        assert 91 == data.names[first.last.msg_id]
        assert [75] == [
            data.names[key.msg_id] for key in await paged(bounded, data.scope(), filters, Order.ASCENDING, 6)
        ]
        assert [75] == [
            data.names[key.msg_id] for key in await paged(bounded, data.scope(), filters, Order.DESCENDING, 6)
        ]


async def test_a_count_ends_at_its_limit(db: Database) -> None:
    endpoints = await laid_out(db)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        for age in (3, 2, 1):
            msg_id = await data.message(age)
            await data.delivery(msg_id, 0)
        filters = UndeliveredFilter(state=SCHEDULED)
        counts = [(await summary_of_undelivered(tx, data.scope(), filters, NOW, most=most)).count for most in (2, 3)]
    assert [Count(2, is_exact=False), Count(3)] == counts


FILTERS: Final = (
    MessageFilter(),
    MessageFilter(event_types=("a.b",)),
    MessageFilter(event_types=("nothing",)),
    MessageFilter(channel="eu"),
)


@pytest.mark.parametrize("whole", [False, True])
async def test_a_first_page_with_its_count_is_the_page_and_the_count(db: Database, *, whole: bool) -> None:
    endpoints = await laid_out(db)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        for number in range(24):
            msg_id = await data.message(
                100 - number, event_type=("a.b", "c.d")[number % 2], channels='["eu"]' if number % 3 else None
            )
            await data.attempt(msg_id, endpoint=endpoints[number % 2], ended=1 if number % 5 else None)
            if number % 4 == 0:
                await data.delivery(msg_id, number % 7, endpoint=endpoints[number % 2])
            elif number % 4 == 1:
                await data.delivery(msg_id, number, endpoint=endpoints[number % 2], until=number - 9)
        for state in UndeliveredState:
            for wanted in FILTERS:
                for since in (None, NOW - 90 * MINUTE):
                    filters = UndeliveredFilter(state=state, messages=wanted, since=since)
                    for limit, most in ((1, 3), (3, 3), (5, 30), (30, 30)):
                        await _compared(tx, data.scope(whole=whole), filters, limit, most)


async def _compared(tx: Write, scope: UndeliveredScope, filters: UndeliveredFilter, limit: int, most: int) -> None:
    """Assert that the statement for both finds what the statements for one find."""
    page = await page_of_undelivered(tx, scope, filters, UndeliveredWindow(Order.ASCENDING, limit), NOW)
    whole = await summary_of_undelivered(tx, scope, filters, NOW, most=most)

    found, counted = await first_page_of_undelivered(tx, scope, filters, limit, NOW, most=most)

    assert (page.rows, whole) == (found.rows, counted)
    if len(found.rows) < limit:
        assert (page.is_end, True) == (found.is_end, found.is_end)


async def test_a_first_page_continues_where_the_count_ended(db: Database) -> None:
    endpoints = await laid_out(db)
    async with db.write() as tx:
        data = Data(tx, endpoints)
        for number in range(30):
            msg_id = await data.message(100 - number, event_type="a.b" if number in {2, 13, 25} else "c.d")
            await data.attempt(msg_id)
        filters = UndeliveredFilter(state=EXHAUSTED, messages=MessageFilter(event_types=("a.b",)))

        enough, whole = await first_page_of_undelivered(tx, data.scope(), filters, 2, NOW, most=9)
        assert ([98, 87], Count(1, is_exact=False)) == (_ages(data, enough), whole.count)
        bounded, _ = await first_page_of_undelivered(Bounded(tx, 20), data.scope(), filters, 3, NOW, most=9)
        assert ([98, 87], False) == (_ages(data, bounded), bounded.is_end)
        assert bounded.last is not None
        assert 81 == data.names[bounded.last.msg_id]
        nothing, _ = await first_page_of_undelivered(Bounded(tx, 5), data.scope(), filters, 3, NOW, most=9)
        assert ([98], False) == (_ages(data, nothing), nothing.is_end)


def _ages(data: Data, found: UndeliveredRows) -> list[int]:
    return [data.names[row.key.msg_id] for row in found.rows]


def test_a_key_is_read_from_its_text_and_nothing_else_is() -> None:
    key = UndeliveredKey(12, MessageId(ids.new(ids.MESSAGE, NOW)), EndpointId(ids.new(ids.ENDPOINT, NOW)))

    assert key == UndeliveredKey.parse(key.text)
    for text in (
        "",
        "12",
        key.text[1:].replace("2_", "_", 1),
        key.text + "x",
        key.text.replace("ep_", "app_"),
        "x" + key.text,
    ):
        assert UndeliveredKey.parse(text) is None
    assert UndeliveredKey.parse(f"{'9' * 17}_{key.msg_id}_{key.endpoint_id}") is None
