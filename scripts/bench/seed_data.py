# SPDX-License-Identifier: MIT
"""Seed data of an application, written straight into the tables: two months of messages with their attempts.

Each message has ten attempts, spread over thirteen endpoints that differ in traffic and success rate: eight receive
everything and nearly always succeed, one never does, one succeeds at the second attempt every other time, one receives
one message in a hundred, one in a thousand, and one receives nothing. Event types, channels and tags are common, rare,
or used only in the distant past.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tidings import ids
from tidings.clock import DAY, HOUR, SECOND, SystemClock
from tidings.ids import DEFAULT_ORG, AppId, MessageId
from tidings.model.attempt import DeliveryEnd
from tidings.model.message import AcceptedMessage, MessageExtras
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import intake, settlement
from tidings.storage.tables.intake import DeliveryRow
from tidings.storage.tables.settlement import AttemptRow

DAYS: Final = 60
CHUNK: Final = 500
RETRY_MS: Final = 5 * SECOND
_PAYLOAD: Final = b'{"order":"ord_1234","amount":4200,"text":"' + b"x" * 400 + b'"}'
_URL: Final = "http://127.0.0.1/hook"
_SEED: Final = 7
_WAITING: Final = 300
"""The number of messages with a scheduled retry at the dead endpoint."""
_OLDEST: Final = 0.03
"""The fraction of messages whose event type is no longer used."""
_RARE_TYPE: Final = 0.0005
_WITH_CHANNEL, _WITH_RARE_CHANNEL = 0.1, 0.001
_WITH_TAG, _WITH_RARE_TAG = 0.05, 0.001
_TYPES: Final = 20
GETS: Final = {
    **{f"steady-{n}": 1.0 for n in range(8)},
    "dead": 1.0,
    "flaky": 0.5,
    "seldom": 0.01,
    "sparse": 0.001,
    "idle": 0.0,
}
"""The fraction of messages that each endpoint gets."""
FAILS_FIRST: Final = {
    **{f"steady-{n}": 0.001 for n in range(8)},
    "dead": 1.0,
    "flaky": 1.0,
    "seldom": 0.0,
    "sparse": 0.0,
}
"""The fraction of them that fails at the first attempt; the second succeeds, except at the dead endpoint."""
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class SeedData:
    """The written data: the application, its endpoints by name, its messages in order."""

    app: str
    endpoints: dict[str, str]
    messages: list[str]
    attempts: int


async def write(db: Database, app: str, endpoints: dict[str, str], count: int, *, days: int = DAYS) -> SeedData:
    """Write a number of messages and ten times as many attempts."""
    chance = random.Random(_SEED)  # noqa: S311 - the same data each time
    first = SystemClock().now() - days * DAY - HOUR
    for day in range(0, days + 2, 7):
        await store.create_partitions(db, first + day * DAY)
    timestamps = [first + days * DAY * n // count for n in range(count)]
    rows = [_message(chance, app, timestamp, n / count) for n, timestamp in enumerate(timestamps)]
    waiting = {row.id for row in rows[-_WAITING:]}
    made = 0
    for start in range(0, count, CHUNK):
        chunk = list(zip(rows[start : start + CHUNK], timestamps[start : start + CHUNK], strict=True))
        attempts = [
            each
            for row, timestamp in chunk
            for each in _attempts(chance, row, timestamp, endpoints, HOUR if row.id in waiting else None)
        ]
        async with db.write() as tx:
            await intake.add(tx, [row for row, _ in chunk])
            await settlement.add_attempts(tx, attempts)
        made += len(attempts)
    await _wait(db, rows[-_WAITING:], endpoints["dead"])
    await _settle(db)
    return SeedData(app, endpoints, [row.id for row in rows], made)


def _message(chance: random.Random, app: str, timestamp: int, age: float) -> AcceptedMessage:
    event_type = f"order.step{chance.randrange(_TYPES)}"
    if age < _OLDEST:
        event_type = "order.old"
    elif chance.random() < _RARE_TYPE:
        event_type = "order.rare"
    channel, tag = chance.random(), chance.random()
    channels = None if channel > _WITH_CHANNEL else ("eu",) if channel > _WITH_RARE_CHANNEL else ("eu", "vip")
    extras = None if tag > _WITH_TAG else MessageExtras(("bulk",) if tag > _WITH_RARE_TAG else ("bulk", "test"))
    new = MessageId(ids.new(ids.MESSAGE, timestamp))
    return AcceptedMessage(new, AppId(app), DEFAULT_ORG, event_type, _PAYLOAD, channels=channels, extras=extras)


def _attempts(
    chance: random.Random, message: AcceptedMessage, timestamp: int, endpoints: dict[str, str], retry_ms: int | None
) -> Iterator[AttemptRow]:
    """Yield the attempts of a message; `retry_ms` is the time of the dead endpoint's next attempt, if any."""
    for name, endpoint in endpoints.items():
        if chance.random() >= GETS[name]:
            continue
        at = timestamp + chance.randrange(20)
        if name == "dead":
            yield _attempt(message, endpoint, at, chance.choice((0, 503)), None if retry_ms is None else at + retry_ms)
        elif chance.random() < FAILS_FIRST[name]:
            yield _attempt(message, endpoint, at, 500, at + RETRY_MS)
            yield _attempt(message, endpoint, at + RETRY_MS, _OK, None)
        else:
            yield _attempt(message, endpoint, at, _OK, None)


def _attempt(message: AcceptedMessage, endpoint: str, at: int, code: int, next_at: int | None) -> AttemptRow:
    new, status = ids.new(ids.ATTEMPT, at), 0 if code == _OK else 2
    who = (message.id, new, endpoint, message.app_id, DEFAULT_ORG, _URL)
    ended = int(DeliveryEnd.EXHAUSTED) if status and next_at is None else None
    return AttemptRow(*who, status, code, "ok", 12, 0, next_at=next_at, ended=ended)


async def _wait(db: Database, rows: list[AcceptedMessage], endpoint: str) -> None:
    due_at = SystemClock().now() + 12 * HOUR
    async with db.write() as tx:
        await intake.add_deliveries(tx, [DeliveryRow.of(row, endpoint, due_at) for row in rows])


async def _settle(db: Database) -> None:
    """Leave the tables in the state that two months of background maintenance would have left."""
    if db.dialect is Dialect.POSTGRESQL:
        async with db.read() as read:
            for table in ("message", "attempt", "delivery", "bucket_index"):
                await read.rows(f"VACUUM (ANALYZE) {table}")
