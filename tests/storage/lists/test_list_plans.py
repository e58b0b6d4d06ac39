# SPDX-License-Identifier: MIT
"""Lists are read through indexes on both databases: none of their statements scans or sorts a table."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from bench import seed_data
from bench.seed_data import SeedData
from message_path import add_app, add_endpoint
from tasks.kit import explained
from tidings.clock import SystemClock
from tidings.ids import ATTEMPT, DEFAULT_ORG, MESSAGE, AppId, EndpointId, MessageId, OrgId
from tidings.model.attempt import AttemptFilter, MessageStatus, StatusCodeClass
from tidings.model.message import EVERY_MESSAGE, MessageFilter
from tidings.model.page import Cursor, Order, PageWindow
from tidings.model.undelivered import UndeliveredFilter, UndeliveredState
from tidings.storage import lists as filtered
from tidings.storage.drivers.database import Database, Dialect, Read, Row, Statement, Value
from tidings.storage.lists import UndeliveredScope, UndeliveredWindow
from tidings.storage.tables import attempts
from tidings.storage.tables import messages as message_rows

COUNT = 2_000
WHOLE = {
    Dialect.SQLITE: r"SCAN (message|attempt|delivery|bucket_index)$",
    Dialect.POSTGRESQL: r"Seq Scan on (message_\d+|attempt_\d+|bucket_index|delivery) .*rows=\d{3,}",
}
"""The text of a plan that scans a whole table with rows."""
PLANNED = (
    "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements"
    " WHERE (statement LIKE '%FROM message%' OR statement LIKE '%FROM attempt WHERE%')"
    " AND statement NOT LIKE '%msg_id = $%'"  # one partition: planning is fast
)
COMMON = MessageFilter(event_types=("order.step1", "order.step2"))
RARE = MessageFilter(channel="eu", tag="bulk")
OTHER = OrgId("org_other")
NEVER = MessageFilter(event_types=("order.none",))
OLD = MessageFilter(event_types=("order.old",))


class Listening:
    """A reader that records its statements."""

    def __init__(self, read: Read) -> None:
        self.dialect = read.dialect
        self.has_one_writer = read.has_one_writer
        self.tuning = read.tuning
        self._read = read
        self.asked: list[tuple[Statement, dict[str, Any]]] = []

    async def rows(self, sql: Statement, **values: Value | Sequence[Value]) -> list[Row]:
        self.asked.append((sql, values))
        return await self._read.rows(sql, **values)

    async def row(self, sql: Statement, **values: Value | Sequence[Value]) -> Row | None:
        found = await self.rows(sql, **values)
        return found[0] if found else None

    async def one(self, sql: Statement, **values: Value | Sequence[Value]) -> Row:
        return (await self.rows(sql, **values))[0]


@dataclass(frozen=True, slots=True)
class Lists:
    """Every list of an application with seed data, requested by name."""

    seed: SeedData

    @property
    def app(self) -> AppId:
        return AppId(self.seed.app)

    def endpoint(self, name: str) -> EndpointId:
        return EndpointId(self.seed.endpoints[name])

    async def messages(self, read: Read, wanted: MessageFilter) -> None:
        await filtered.page_of_messages(read, self.app, _window(MESSAGE), wanted)

    async def attempts(self, read: Read, wanted: AttemptFilter) -> None:
        await filtered.page_of_attempts(read, self.app, self.endpoint("steady-0"), _window(ATTEMPT), wanted)

    async def attempted(self, read: Read, wanted: AttemptFilter, name: str = "steady-0") -> None:
        window, endpoint = _window(MESSAGE), self.endpoint(name)
        await filtered.page_of_attempted_messages(read, self.app, endpoint, window, wanted)

    async def counted(self, read: Read, wanted: AttemptFilter) -> None:
        await filtered.count_attempts(read, self.endpoint("steady-0"), _window(ATTEMPT), wanted, limit=100)

    async def of_message(self, read: Read) -> None:
        await attempts.page_of_message(
            read, MessageId(self.seed.messages[COUNT // 2]), _window(ATTEMPT), AttemptFilter()
        )

    async def destinations(self, read: Read) -> None:
        window = Cursor(Order.ASCENDING, 10).window()
        await attempts.destinations_of(read, MessageId(self.seed.messages[COUNT // 2]), window)

    async def health(self, read: Read) -> None:
        ids = [self.endpoint(name) for name in self.seed.endpoints]
        await attempts.recent_attempts(read, ids, SystemClock().now())

    async def undelivered(
        self, read: Read, state: UndeliveredState, wanted: MessageFilter = EVERY_MESSAGE, *, whole: bool = False
    ) -> None:
        # One endpoint has all scheduled deliveries: for that one, any index does.
        has_few = state is UndeliveredState.SCHEDULED
        org, endpoint = (OTHER, "steady-0") if has_few else (DEFAULT_ORG, "dead")
        scope = UndeliveredScope(org, None if whole else self.endpoint(endpoint))
        filters, now = UndeliveredFilter(state=state, messages=wanted), SystemClock().now()
        for order in Order:
            await filtered.page_of_undelivered(read, scope, filters, UndeliveredWindow(order, 11), now)
        await filtered.summary_of_undelivered(read, scope, filters, now)
        await filtered.first_page_of_undelivered(read, scope, filters, 11, now)

    async def summaries(self, read: Read) -> None:
        pairs = [(MessageId(each), self.endpoint("dead")) for each in self.seed.messages[-20:]]
        await message_rows.summaries_of_attempts(read, pairs)

    async def explained(self, read: Read) -> None:
        ends = sorted(self.seed.endpoints.values())
        msg = MessageId(self.seed.messages[COUNT // 2])
        await message_rows.stored_deliveries(read, msg, EndpointId(ends[0]), EndpointId(ends[-1]))
        await message_rows.canceled_by_tasks(read, self.app, msg, {EndpointId(ends[0]): 0})


def _window(prefix: str) -> PageWindow:
    return Cursor(Order.DESCENDING, 10).window_in_time(prefix, SystemClock().now())


MESSAGES = r"message_app|app_id_id_event_type"
ATTEMPTS = r"attempt_endpoint|endpoint_id_id_status"
FAILED = r"attempt_failed|endpoint_id_id_idx"
BUCKET_INDEX = (
    r"SEARCH bucket_index USING PRIMARY KEY \(owner=\? AND name=\? AND bucket>\? AND bucket<\?\)|bucket_index_owner"
)
ENDED = r"attempt_ended|endpoint_id_msg_id_idx"
EXHAUSTED = r"USING (COVERING )?INDEX attempt_exhausted|endpoint_id_msg_id_idx"
EXHAUSTED_OF_ORG = r"USING INDEX attempt_org_exhausted|org_id_msg_id_endpoint_id_idx"
OF_MESSAGE = r"sqlite_autoindex_attempt_1|attempt_\w+_pkey"
OF_PAIR = r"sqlite_autoindex_attempt_1 \(msg_id=\? AND endpoint_id=\?|Index Cond: \(\(\S*msg_id = .*endpoint_id = "
"""For any number of endpoints per message."""
FAIL, SENDING, SUCCESS = MessageStatus.FAIL, MessageStatus.SENDING, MessageStatus.SUCCESS
ASKED: dict[str, tuple[str, Callable[[Lists, Read], Awaitable[None]]]] = {
    "messages": (MESSAGES, lambda lists, read: lists.messages(read, EVERY_MESSAGE)),
    "rare messages": (MESSAGES, lambda lists, read: lists.messages(read, RARE)),
    "messages of a type that is there no more": (MESSAGES, lambda lists, read: lists.messages(read, OLD)),
    "messages of a type that never was there": (BUCKET_INDEX, lambda lists, read: lists.messages(read, NEVER)),
    "attempts": (ATTEMPTS, lambda lists, read: lists.attempts(read, AttemptFilter())),
    # A bucket of attempts is a range of either index on PostgreSQL, and in a small partition both cost the same.
    "attempts that were taken": (
        f"{ATTEMPTS}|{OF_MESSAGE}",
        lambda lists, read: lists.attempts(read, AttemptFilter(status=SUCCESS)),
    ),
    "attempts that failed": (FAILED, lambda lists, read: lists.attempts(read, AttemptFilter(status=FAIL))),
    "attempts that got a 503": (
        f"{FAILED}|{ATTEMPTS}|{OF_MESSAGE}",
        lambda lists, read: lists.attempts(read, AttemptFilter(code_class=StatusCodeClass.CODE_5XX)),
    ),
    "attempts that got a 404": (
        BUCKET_INDEX,
        lambda lists, read: lists.attempts(read, AttemptFilter(code_class=StatusCodeClass.CODE_4XX)),
    ),
    "attempts of messages of long ago": (OF_PAIR, lambda lists, read: lists.attempts(read, AttemptFilter(message=OLD))),
    "attempts of rare messages": (OF_PAIR, lambda lists, read: lists.attempts(read, AttemptFilter(message=RARE))),
    "attempts of common messages": (OF_PAIR, lambda lists, read: lists.attempts(read, AttemptFilter(message=COMMON))),
    "counted where they failed": (
        f"{FAILED}|{ATTEMPTS}|{OF_MESSAGE}",
        lambda lists, read: lists.counted(read, AttemptFilter(status=FAIL)),
    ),
    "counted where there are none": (
        BUCKET_INDEX,
        lambda lists, read: lists.counted(read, AttemptFilter(code_class=StatusCodeClass.CODE_4XX)),
    ),
    "attempts of a message": (OF_MESSAGE, lambda lists, read: lists.of_message(read)),
    "tried": (OF_PAIR, lambda lists, read: lists.attempted(read, AttemptFilter())),
    # The attempts are so rare that all of a day cost as much as one, if the day began long enough ago.
    "tried at last": (
        f"{OF_PAIR}|{ATTEMPTS}",
        lambda lists, read: lists.attempted(read, AttemptFilter(), "sparse"),
    ),
    "delivered": (OF_PAIR, lambda lists, read: lists.attempted(read, AttemptFilter(status=SUCCESS))),
    "never delivered": (BUCKET_INDEX, lambda lists, read: lists.attempted(read, AttemptFilter(status=SUCCESS), "dead")),
    "lost": (ENDED, lambda lists, read: lists.attempted(read, AttemptFilter(status=FAIL), "dead")),
    "being sent": (
        r"delivery_due",
        lambda lists, read: lists.attempted(read, AttemptFilter(status=SENDING), "dead"),
    ),
    "scheduled at an endpoint": (
        r"delivery_due \(endpoint_id=\? AND lane=\? AND due_at>|on delivery_due|using delivery_due",
        lambda lists, read: lists.undelivered(read, UndeliveredState.SCHEDULED),
    ),
    "scheduled in an organization": (
        r"delivery_org \(org_id=\? AND due_at>|on delivery_org|using delivery_org",
        lambda lists, read: lists.undelivered(read, UndeliveredState.SCHEDULED, whole=True),
    ),
    "in flight": (
        "delivery_lease_expiry",
        lambda lists, read: lists.undelivered(read, UndeliveredState.IN_FLIGHT, whole=True),
    ),
    "exhausted at an endpoint": (
        EXHAUSTED,
        lambda lists, read: lists.undelivered(read, UndeliveredState.EXHAUSTED),
    ),
    "exhausted, of rare messages": (
        EXHAUSTED,
        lambda lists, read: lists.undelivered(read, UndeliveredState.EXHAUSTED, RARE),
    ),
    "exhausted in an organization": (
        EXHAUSTED_OF_ORG,
        lambda lists, read: lists.undelivered(read, UndeliveredState.EXHAUSTED, COMMON, whole=True),
    ),
    "attempts of undelivered messages": (OF_PAIR, lambda lists, read: lists.summaries(read)),
    "destinations": (OF_MESSAGE, lambda lists, read: lists.destinations(read)),
    "explanations": (OF_MESSAGE, lambda lists, read: lists.explained(read)),
    "health of endpoints": (
        r"USING COVERING INDEX attempt_endpoint|Index Only Scan Backward using \w*endpoint_id_id_status",
        lambda lists, read: lists.health(read),
    ),
}


async def test_every_list_is_read_through_its_index(db: Database) -> None:
    app = await add_app(db)
    endpoints = {name: await add_endpoint(db, app, "http://127.0.0.1:9/") for name in seed_data.GETS}
    lists = Lists(await seed_data.write(db, app, endpoints, COUNT, days=1))

    for name, (index, ask) in ASKED.items():
        async with db.read() as read:
            listening = Listening(read)
            await ask(lists, listening)
        plans = [await explained(db, sql, **values) for sql, values in listening.asked]

        assert re.search(index, "\n".join(plans)), (name, plans)
        for plan in plans:
            if "CO-ROUTINE message" in plan:  # an index entry, looked up in the table under its alias
                assert "COVERING INDEX message_app" in plan
                continue
            assert not re.search(WHOLE[db.dialect], plan), (name, plan)


async def test_a_count_looks_at_each_candidate_once(db: Database) -> None:
    scope, filters = UndeliveredScope(DEFAULT_ORG), UndeliveredFilter(state=UndeliveredState.EXHAUSTED)
    async with db.read() as read:
        listening = Listening(read)
        await filtered.summary_of_undelivered(listening, scope, filters, SystemClock().now())
        await filtered.first_page_of_undelivered(listening, scope, filters, 11, SystemClock().now())
    assert 2 == len(listening.asked)

    for sql, values in listening.asked:
        plan = await explained(db, sql, **values)

        assert 1 == len(re.findall(r"(?:Scan|SCAN|SEARCH)\b.* delivery\b", plan)), plan


async def test_postgresql_plans_a_list_once(db: Database) -> None:
    if db.dialect is not Dialect.POSTGRESQL:
        pytest.skip("SQLite plans a statement once in any case")
    app = await add_app(db)
    endpoints = {name: await add_endpoint(db, app, "http://127.0.0.1:9/") for name in seed_data.GETS}
    lists = Lists(await seed_data.write(db, app, endpoints, COUNT, days=40))

    for name, (_, ask) in ASKED.items():
        async with db.read() as read:
            for _ in range(8):
                await ask(lists, read)
            plans = await read.rows(PLANNED)

        assert [] == [tuple(row) for row in plans if row["custom_plans"] > 5], name
