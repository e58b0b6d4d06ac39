# SPDX-License-Identifier: MIT
"""Endpoints with seed data: messages, their attempts and scheduled deliveries, written straight into the tables."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tasks.kit import ORG
from tidings import ids
from tidings.clock import SystemClock
from tidings.ids import AppId, EndpointId
from tidings.model.app import App
from tidings.storage.drivers.database import Database, Sql, Value, Write
from tidings.storage.tables import deliveries
from tidings.storage.tables.deliveries import SettledDelivery

FAILED = 2
DELIVERED = 0


def _insert(table: str, columns: str, types: str) -> Sql:
    names = columns.split()
    marks = ", ".join("?" for _ in names)
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types.split(), 1))
    into = f"INSERT INTO {table} ({', '.join(names)})"
    return Sql(f"{into} VALUES ({marks})", f"{into} SELECT * FROM unnest({arrays})")


_MESSAGE = _insert("message", "id app_id org_id event_type payload expires_at", "text text text text bytea bigint")
_ATTEMPT = _insert(
    "attempt",
    "msg_id id endpoint_id app_id org_id url status response_status_code response response_duration_ms trigger_type",
    "text text text text text text smallint int text int smallint",
)
_DELIVERY = _insert("delivery", "msg_id endpoint_id app_id org_id due_at attempts", "text text text text bigint int")


@dataclass
class SeedData:
    """The history of one endpoint of one application; `timestamp` gives the creation time of an id."""

    app: App
    endpoint_id: EndpointId
    messages: list[tuple[str, bytes | None]] = field(default_factory=list)
    attempts: list[tuple[str, str, int]] = field(default_factory=list)
    scheduled: list[tuple[str, int, int]] = field(default_factory=list)

    def message(self, timestamp: int, *outcomes: tuple[int, int], payload: bytes | None = b"{}") -> str:
        """Add a message with its attempts, each a timestamp and a status."""
        msg_id = ids.new(ids.MESSAGE, timestamp)
        self.messages.append((msg_id, payload))
        self.attempts += [(msg_id, ids.new(ids.ATTEMPT, at), status) for at, status in outcomes]
        return msg_id

    def schedule(self, msg_id: str, due_at: int, attempts: int) -> None:
        """Give a message remaining automatic attempts."""
        self.scheduled.append((msg_id, due_at, attempts))

    async def write(self, db: Database) -> None:
        """Store all of it; a test may add and store more afterwards."""
        async with db.write() as tx:
            await self.write_in(tx)

    async def write_in(self, tx: Write) -> None:
        owner = (self.app.id, self.app.org_id)
        await _bulk(tx, _MESSAGE, ((m, *owner, "order.paid", payload, 1 << 50) for m, payload in self.messages))
        await _bulk(tx, _ATTEMPT, (self._attempt(*attempt) for attempt in self.attempts))
        await _bulk(tx, _DELIVERY, ((m, self.endpoint_id, *owner, due, n) for m, due, n in self.scheduled))
        self.messages, self.attempts, self.scheduled = [], [], []

    def _attempt(self, msg_id: str, attempt_id: str, status: int) -> tuple[Value, ...]:
        owner = (self.endpoint_id, self.app.id, self.app.org_id)
        return msg_id, attempt_id, *owner, "https://e.test", status, 500 if status else 200, "", 5, 0


async def _bulk(tx: Write, sql: Sql, rows: Iterable[Sequence[Value]]) -> None:
    given = list(rows)
    for start in range(0, len(given), 10_000):
        await tx.bulk(sql, given[start : start + 10_000])


async def an_endpoint(db: Database, timestamp: int, *, disabled: bool = False) -> SeedData:
    """Store an application with one endpoint and no messages."""
    app_id = AppId(ids.new(ids.APP, timestamp))
    endpoint_id = EndpointId(ids.new(ids.ENDPOINT, timestamp))
    async with db.write() as tx:
        await tx.run(
            "INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)"
            " VALUES (:id, :org, 'an app', '{}', :now, :now, :now)",
            id=app_id,
            org=ORG,
            now=timestamp,
        )
        await tx.run(
            "INSERT INTO endpoint (id, app_id, org_id, url, description, disabled, metadata, headers, secret,"
            " created_at, updated_at) VALUES (:id, :app, :org, 'https://e.test', '', :disabled, :empty, :empty,"
            " :secret, :now, :now)",
            id=endpoint_id,
            app=app_id,
            org=ORG,
            disabled=int(disabled),
            empty=json.dumps({}),
            secret=b"\x01" + bytes(24),
            now=timestamp,
        )
    app = App(
        id=app_id,
        org_id=ORG,
        uid=None,
        name="an app",
        throttle_rate=None,
        metadata={},
        created_at=timestamp,
        updated_at=timestamp,
    )
    return SeedData(app, endpoint_id)


async def sent_again(db: Database, task_id: str) -> list[str]:
    """Return the messages whose resend a task has requested, in order."""
    async with db.read() as read:
        found = await read.rows("SELECT msg_id FROM delivery WHERE task_id = :id ORDER BY msg_id", id=task_id)
    return [row["msg_id"] for row in found]


async def lease_all(db: Database, *, lease: int) -> None:
    """Lease every delivery to one process."""
    async with db.write() as tx:
        await tx.run("UPDATE delivery SET lease = :lease, lease_until = :until", lease=lease, until=1 << 50)


async def deliver(db: Database, seed: SeedData, msg_ids: Sequence[str], *, lease: int) -> None:
    """Let the leased sends succeed, as delivery settles them."""
    now = SystemClock().now()
    for msg_id in msg_ids:
        seed.attempts.append((msg_id, ids.new(ids.ATTEMPT, now), DELIVERED))
    async with db.write() as tx:
        await deliveries.settle_delivered(tx, [SettledDelivery(m, seed.endpoint_id, lease) for m in msg_ids], now)
        await seed.write_in(tx)
