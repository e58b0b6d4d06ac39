# SPDX-License-Identifier: MIT
"""The message path of one process, assembled without its HTTP layer, for tests."""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tidings import ids
from tidings.clock import Clock, SystemClock
from tidings.core.accept import AcceptBatcher
from tidings.core.routing import RoutingCache
from tidings.core.services import HotRequest
from tidings.core.tuning import CoreTuning
from tidings.delivery.address import AddressPolicy
from tidings.delivery.role import DeliveryOptions, DeliveryRole
from tidings.delivery.tuning import DeliveryTuning
from tidings.ids import DEFAULT_ORG
from tidings.model.message import AcceptedMessage, Draft
from tidings.sandbox.pool import Sandbox
from tidings.storage.drivers.database import Database

DAY_MS = 86_400_000
LOOPBACK = AddressPolicy((ipaddress.ip_network("127.0.0.0/8"),))


def terms(**changes: Any) -> DeliveryOptions:
    """Return delivery terms for a test: short waits, small bounds."""
    usual: dict[str, Any] = {
        "policy": LOOPBACK,
        "schedule": (),
        "timeout": 2.0,
        "lease_grace": 2.0,
        "concurrency": 20,
        "memory": 2_000,
    }
    return DeliveryOptions(**{**usual, **changes})


@dataclass(frozen=True, slots=True)
class Path:
    """A running message path."""

    db: Database
    accept: AcceptBatcher
    routing: RoutingCache
    delivery: DeliveryRole | None

    async def send(self, app: str, *, payload: bytes = b'{"n":1}', **rest: Any) -> AcceptedMessage:
        """Accept one message."""
        idempotency_key = rest.pop("idempotency_key", None)
        draft = Draft(rest.pop("event_type", "a.b"), payload, rest.pop("event_id", None), None, DAY_MS)
        return await self.accept.accept(HotRequest(DEFAULT_ORG, app, idempotency_key), draft)

    async def settled(self) -> None:
        """Wait until every first send has ended and is recorded."""
        await self.until("delivery WHERE attempts = 0", 0)

    async def until(self, what: str, expected: int) -> None:
        """Wait until this many rows exist; the test's own time limit bounds the wait."""
        while await self.count(what) != expected:  # noqa: ASYNC110 - the database offers no event
            await asyncio.sleep(0.01)

    async def count(self, what: str) -> int:
        """Count rows."""
        async with self.db.read() as read:
            return int((await read.one(f"SELECT count(*) AS n FROM {what}"))["n"])

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows of a query."""
        async with self.db.read() as read:
            return [tuple(row) for row in await read.rows(sql)]


@asynccontextmanager
async def running(
    db: Database,
    *,
    clock: Clock | None = None,
    delivering: DeliveryOptions | None = None,
    tuning: DeliveryTuning = DeliveryTuning(),
    core: CoreTuning = CoreTuning(),
    sandbox: Sandbox | None = None,
) -> AsyncIterator[Path]:
    """Run a message path; without terms it accepts messages and delivers nothing."""
    clock = clock or SystemClock()
    routing = RoutingCache(db)
    if delivering is None:
        yield Path(db, AcceptBatcher(db, clock, routing, tuning=core), routing, None)
        return
    delivery = DeliveryRole(db, clock, routing, delivering, sandbox=sandbox, tuning=tuning)
    accept = AcceptBatcher(db, clock, routing, delivery.sink, core)
    await delivery.start()
    try:
        yield Path(db, accept, routing, delivery)
    finally:
        await accept.close()
        await delivery.stop(grace=1.0)


async def add_app(db: Database, *, uid: str | None = None) -> str:
    """Add an application row."""
    now = SystemClock().now()
    app = ids.new(ids.APP, now)
    async with db.write() as tx:
        await tx.run(
            "INSERT INTO application (id, org_id, uid, name, metadata, created_at, updated_at, routed_at)"
            " VALUES (:id, :org, :uid, 'test', '{}', :now, :now, :now)",
            id=app,
            org=DEFAULT_ORG,
            uid=uid,
            now=now,
        )
    return app


async def add_endpoint(db: Database, app: str, url: str, *, event_types: list[str] | None = None) -> str:
    """Add an endpoint row, and advance its application's routing version."""
    now = SystemClock().now()
    endpoint = ids.new(ids.ENDPOINT, now)
    async with db.write() as tx:
        await tx.run(
            "INSERT INTO endpoint (id, app_id, org_id, url, description, event_types, metadata, headers, secret,"
            " created_at, updated_at)"
            " VALUES (:id, :app, :org, :url, '', :types, '{}', '{}', :secret, :now, :now)",
            id=endpoint,
            app=app,
            org=DEFAULT_ORG,
            url=url,
            types=None if event_types is None else json.dumps(event_types),
            secret=b"\x01" + bytes(24),
            now=now,
        )
        await tx.run("UPDATE application SET routing_version = routing_version + 1 WHERE id = :app", app=app)
    return endpoint
