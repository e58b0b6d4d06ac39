# SPDX-License-Identifier: MIT
"""Seed data of a large installation, written straight into the tables: a month of messages of many applications.

Most applications belong to one organization, the others to 99 small ones. Each has ten endpoints. The first application
has a tenth of all messages, the next ones fewer and fewer. A message goes to one endpoint of its application: most are
delivered at once, some at the second attempt, some are exhausted, and the newest failures wait for their next attempt.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from bench_tasks.seeded_database import insert
from tidings import ids
from tidings.clock import DAY, HOUR, SECOND, SystemClock
from tidings.ids import DEFAULT_ORG, AppId, MessageId, OrgId
from tidings.model.attempt import DeliveryEnd
from tidings.model.message import AcceptedMessage, MessageExtras
from tidings.model.rollup import BUCKETS, hour_of
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import intake, settlement
from tidings.storage.tables.bucket_index import BucketIndexCache
from tidings.storage.tables.intake import DeliveryRow
from tidings.storage.tables.settlement import AttemptRow

DAYS: Final = 30
ENDPOINTS: Final = 10
"""The endpoints of each application."""
_CHUNK: Final = 5_000
_SEED: Final = 13
_OTHERS: Final = 99
_OF_OTHERS: Final = 0.1
"""The fraction of the applications that belong to other organizations."""
_RETRIED, _EXHAUSTED = 0.03, 0.03
_WAITING: Final = 0.02
"""The fraction of the messages that are the newest ones."""
_FAILING: Final = 0.5
"""Of those, the fraction that wait for their second attempt."""
_WITH_CHANNEL, _WITH_TAG = 0.1, 0.05
_ROLLED_UP: Final = 2 * DAY
_TASKS: Final = 2_000
_TYPES: Final = ("invoice.paid", "invoice.payment_failed", "customer.created", "order.shipped", "order.canceled")
_PAYLOAD: Final = b'{"id":"in_1042","amount":4200,"currency":"EUR","note":"' + b"x" * 300 + b'"}'
_URL: Final = "http://127.0.0.1:9/webhooks/"
_APPLICATION: Final = insert(
    "application",
    "id org_id uid name metadata created_at updated_at routed_at",
    "text text text text text int8 int8 int8",
)
_ENDPOINT: Final = insert(
    "endpoint",
    "id app_id org_id url description event_types metadata headers secret created_at updated_at disabled failing_since",
    "text text text text text text text text bytea int8 int8 int2 int8",
)
_EVENT_TYPE: Final = insert("event_type", "org_id name description created_at updated_at", "text text text int8 int8")
_ROLLUP: Final = insert(
    "rollup", "org_id app_id endpoint_id hour delivered failed latency", "text text text int8 int8 int8 text"
)
_TASK: Final = insert(
    "task",
    "id org_id app_id tenant kind args state wire_status fair_round ready_at size created_at updated_at finished_at",
    "text text text text text text text text int8 int8 int4 int8 int8 int8",
)


@dataclass
class Installation:
    """The written rows: the largest application and some of its rows, and the numbers of all."""

    app: str = ""
    endpoint: str = ""
    message: str = ""
    attempt: str = ""
    task: str = ""
    middle: str = ""
    """A message in the middle of the time, as a position in lists."""
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True, slots=True)
class _Customer:
    app: AppId
    org: OrgId
    endpoints: tuple[str, ...]


class _Writer:
    """Writes one installation into a database."""

    def __init__(self, db: Database, messages: int, applications: int) -> None:
        self._db, self._messages, self._applications = db, messages, applications
        self._now = SystemClock().now()
        self._chance = random.Random(_SEED)  # noqa: S311 - the same data each time
        self._cache = BucketIndexCache()
        self._hours: dict[tuple[str, str, str, int], list[int]] = defaultdict(lambda: [0, 0])
        self.found = Installation()

    async def write(self) -> Installation:
        """Write everything, and leave the tables as maintenance would have left them."""
        customers = await self._customers()
        self.found.app, self.found.endpoint = customers[0].app, customers[0].endpoints[0]
        for day in range(0, DAYS + 2, 7):
            await store.create_partitions(self._db, self._now - DAYS * DAY + day * DAY)
        weights = list(accumulate(1 / (10 + rank) for rank in range(len(customers))))
        for start in range(0, self._messages, _CHUNK):
            await self._chunk(customers, weights, range(start, min(start + _CHUNK, self._messages)))
        await self._rollups()
        await self._tasks(customers)
        await self._settle()
        return self.found

    async def _customers(self) -> list[_Customer]:
        made_at = self._now - DAYS * DAY
        customers = []
        for rank in range(self._applications):
            is_other = rank % round(1 / _OF_OTHERS) == 1
            org = OrgId(f"org_{rank % _OTHERS:027}") if is_other else DEFAULT_ORG
            app = AppId(ids.new(ids.APP, made_at + rank * 4))
            customers.append(_Customer(app, org, tuple(ids.new(ids.ENDPOINT, made_at) for _ in range(ENDPOINTS))))
        await self._bulk(
            _APPLICATION,
            [
                (each.app, each.org, f"customer-{rank}", f"Customer {rank} Corporation", "{}", made_at, made_at, 1)
                for rank, each in enumerate(customers)
            ],
        )
        await self._bulk(_ENDPOINT, [row for each in customers for row in self._endpoints(each, made_at)])
        types = [(DEFAULT_ORG, name, f"What {name} means.", made_at, made_at) for name in _TYPES]
        await self._bulk(_EVENT_TYPE, types)
        return customers

    def _endpoints(self, customer: _Customer, made_at: int) -> Iterator[Sequence[Any]]:
        for place, endpoint in enumerate(customer.endpoints):
            failing = self._now - HOUR if self._chance.random() < _EXHAUSTED else None
            types = '["invoice.paid"]' if place % 2 else None
            own = (endpoint, customer.app, customer.org, _URL + endpoint, f"Service {place}", types)
            yield (*own, "{}", "{}", b"\x01" + bytes(24), made_at, made_at, 0, failing)
            self.found.counts["endpoints"] += 1

    async def _chunk(self, customers: Sequence[_Customer], weights: Sequence[float], numbers: range) -> None:
        messages: list[AcceptedMessage] = []
        attempts: list[AttemptRow] = []
        waiting: list[DeliveryRow] = []
        for number in numbers:
            timestamp = self._now - DAYS * DAY + DAYS * DAY * number // self._messages
            [customer] = self._chance.choices(customers, cum_weights=weights)
            message = self._message(customer, timestamp)
            endpoint = self._chance.choice(customer.endpoints)
            due = number > self._messages * (1 - _WAITING) and self._chance.random() < _FAILING
            rows = list(self._attempts(message, endpoint, timestamp, is_due=due))
            messages.append(message)
            attempts += rows
            if due:
                waiting.append(DeliveryRow.of(message, endpoint, rows[-1].next_at or 0))
            if customer.app == self.found.app and number > self._messages // 2:
                self.found.middle = self.found.middle or message.id
                self.found.message, self.found.attempt = message.id, rows[0].id
                self.found.endpoint = endpoint
        async with self._db.write() as tx:
            await intake.add(tx, messages, self._cache)
            await settlement.add_attempts(tx, attempts, self._cache)
            await intake.add_deliveries(tx, waiting)
        self.found.counts["messages"] += len(messages)
        self.found.counts["attempts"] += len(attempts)
        self.found.counts["scheduled"] += len(waiting)

    def _message(self, customer: _Customer, timestamp: int) -> AcceptedMessage:
        channels = ("eu",) if self._chance.random() < _WITH_CHANNEL else None
        extras = MessageExtras(("bulk",)) if self._chance.random() < _WITH_TAG else None
        new = MessageId(ids.new(ids.MESSAGE, timestamp))
        event_type = self._chance.choice(_TYPES)
        return AcceptedMessage(new, customer.app, customer.org, event_type, _PAYLOAD, channels=channels, extras=extras)

    def _attempts(
        self, message: AcceptedMessage, endpoint: str, timestamp: int, *, is_due: bool
    ) -> Iterator[AttemptRow]:
        if is_due:
            yield self._attempt(
                message, endpoint, timestamp, 503, self._now + 12 * HOUR + self._chance.randrange(12 * HOUR)
            )
            return
        drawn = self._chance.random()
        if drawn < _EXHAUSTED:
            self.found.counts["exhausted"] += 1
            yield self._attempt(message, endpoint, timestamp, 500, None)
            return
        if drawn < _EXHAUSTED + _RETRIED:
            yield self._attempt(message, endpoint, timestamp, 500, timestamp + 5 * SECOND)
            timestamp += 5 * SECOND
        yield self._attempt(message, endpoint, timestamp, 200, None)

    def _attempt(self, message: AcceptedMessage, endpoint: str, at: int, code: int, next_at: int | None) -> AttemptRow:
        new, status = ids.new(ids.ATTEMPT, at), 0 if code == 200 else 2  # noqa: PLR2004 - a status code
        if at > self._now - _ROLLED_UP:
            owners = (message.org_id, message.app_id, endpoint), (message.org_id, message.app_id, "")
            for owner in (*owners, (message.org_id, "", ""), ("", "", "")):
                self._hours[*owner, hour_of(at)][status // 2] += 1
        who = (message.id, new, endpoint, message.app_id, message.org_id, _URL + endpoint)
        ended = int(DeliveryEnd.EXHAUSTED) if status and next_at is None else None
        return AttemptRow(*who, status, code, "ok" if not status else "an error", 42, 0, next_at=next_at, ended=ended)

    async def _rollups(self) -> None:
        rows = []
        for (org, app, endpoint, hour), (delivered, failed) in self._hours.items():
            latency = [0, 0, delivered, *[0] * (BUCKETS - 3)]
            rows.append((org, app, endpoint, hour, delivered, failed, str(latency)))
        await self._bulk(_ROLLUP, rows)
        self.found.counts["rollups"] = len(rows)
        async with self._db.write() as tx:
            for name, value in (("rollup_closed_to", hour_of(self._now)), ("rollup_counted_at", self._now)):
                await tx.run(
                    "INSERT INTO setting (name, value) VALUES (:name, :value)"
                    " ON CONFLICT (name) DO UPDATE SET value = :value",
                    name=name,
                    value=str(value),
                )

    async def _tasks(self, customers: Sequence[_Customer]) -> None:
        rows = []
        for number in range(_TASKS):
            owner = customers[0] if number % 10 == 0 else customers[number % len(customers)]
            at = self._now - DAYS * DAY * (_TASKS - number) // _TASKS
            task = ids.new(ids.TASK, at)
            if owner is customers[0]:
                self.found.task = task
            args = f'{{"endpoint_id": "{owner.endpoints[0]}", "since": {at - DAY}, "until": {at}}}'
            own = (task, owner.org, owner.app, owner.app, "endpoint.recover", args, "succeeded", "finished")
            rows.append((*own, 0, 0, 100, at, at + SECOND, at + SECOND))
        await self._bulk(_TASK, rows)
        self.found.counts["tasks"] = len(rows)

    async def _bulk(self, sql: Any, rows: Sequence[Sequence[Any]]) -> None:  # noqa: ANN401 - a statement
        for start in range(0, len(rows), 10_000):
            async with self._db.write() as tx:
                await tx.bulk(sql, rows[start : start + 10_000])

    async def _settle(self) -> None:
        async with self._db.read() as read:
            if self._db.dialect is Dialect.POSTGRESQL:
                for table in ("message", "attempt", "delivery", "bucket_index", "application", "endpoint", "rollup"):
                    await read.rows(f"VACUUM (ANALYZE) {table}")
                await read.rows("CHECKPOINT")


async def write(db: Database, messages: int, applications: int) -> Installation:
    """Write an installation with a number of messages and of applications."""
    return await _Writer(db, messages, applications).write()
