# SPDX-License-Identifier: MIT
"""Two processes on one PostgreSQL: a key that is revoked through one is refused by the other, open streams included.

The promise is two seconds, which are two heartbeats of a node. The test counts the heartbeats, so a slow machine makes
it slow and not wrong.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from faults.kit import ended, started
from live import Live
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.database import Database
from tidings.storage.drivers.store import opened

KEYS = f"/api/v1/management/authentication/{DEFAULT_ORG}/api-token"
SHARED_ROWS = 16
"""Nodes whose numbers differ by a multiple of it share the row of their heartbeats."""


@pytest_asyncio.fixture
async def nodes(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[tuple[Live, Live]]:
    first, second = (Live(postgres_dsn, tmp_path / name, ("--no-tasks",)) for name in "ab")
    with ended(first, second):
        await started(first)
        await started(second)
        yield first, second


@pytest_asyncio.fixture
async def db(postgres_dsn: str, nodes: tuple[Live, Live]) -> AsyncIterator[Database]:
    del nodes  # the first one creates the schema
    db = await opened(postgres_dsn, connections=1)
    yield db
    await db.close()


async def call(server: Live, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Any]:
    return await asyncio.to_thread(server.call, method, path, body, **more)


async def numbers(db: Database) -> dict[int, int]:
    """Return the numbers of the nodes by process id."""
    async with db.read() as read:
        found = await read.rows("SELECT id, worker FROM node")
    return {int(row["worker"].split(":")[1]): int(row["id"]) for row in found}


class Heartbeats:
    """Counts the heartbeats of a node, as they arrive in the database."""

    def __init__(self, db: Database, number: int) -> None:
        self._db = db
        self._name = f"heartbeat:{number % SHARED_ROWS}"
        self._seen: set[str] = set()

    async def look(self) -> int:
        """Return how many heartbeats came since the first look."""
        async with self._db.read() as read:
            found = await read.rows("SELECT value FROM setting WHERE name = :name", name=self._name)
        self._seen |= {row["value"] for row in found}
        return len(self._seen) - 1


async def heartbeats_of_the_second(db: Database, nodes: tuple[Live, Live]) -> Heartbeats:
    """Count the heartbeats of the second node; restart the first one until they have rows of their own."""
    first, second = nodes
    while True:
        found = await numbers(db)
        mine, other = found[second.pid], found.get(first.pid)
        if other is not None and other % SHARED_ROWS != mine % SHARED_ROWS:
            return Heartbeats(db, mine)
        await started(first)


@contextlib.asynccontextmanager
async def stream(server: Live, task: str, token: str) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"GET /api/v1/background-task/{task}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    try:
        await reader.readuntil(b'"created"')
        yield reader
    finally:
        writer.close()


async def test_a_key_revoked_on_one_node_is_refused_by_another_and_ends_its_stream(
    nodes: tuple[Live, Live], db: Database
) -> None:
    first, second = nodes
    heartbeats = await heartbeats_of_the_second(db, nodes)
    app = (await call(first, "POST", "/api/v1/app", {"name": "A"}))[1]["id"]
    endpoint = (await call(first, "POST", f"/api/v1/app/{app}/endpoint", {"url": "http://a.test"}))[1]["id"]
    recover = f"/api/v1/app/{app}/endpoint/{endpoint}/recover"
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    task = (await call(first, "POST", recover, {"since": since}))[1]["id"]
    key, kept = [(await call(first, "POST", KEYS, {"name": name}))[1] for name in ("revoked", "kept")]

    async with stream(second, task, key["token"]) as ending, stream(second, task, kept["token"]) as lasting:
        assert 200 == (await call(second, "GET", "/api/v1/app", token=key["token"]))[0]
        # The last chunk is empty: the connection stays open for another request.
        rest, other = (asyncio.create_task(each.readuntil(b"\r\n0\r\n\r\n")) for each in (ending, lasting))
        assert 204 == (await call(first, "POST", f"{KEYS}/{key['id']}/expire", {}))[0]
        assert 401 == (await call(first, "GET", "/api/v1/app", token=key["token"]))[0]

        await heartbeats.look()
        accepted_after = []
        while True:
            heard = await heartbeats.look()
            status, _ = await call(second, "GET", "/api/v1/app", token=key["token"])
            if status == 401:
                break
            accepted_after.append(heard)
        text = await rest

        assert max(accepted_after, default=0) < 2, "two heartbeats are two seconds"
        assert b"nothing new" not in text, "the stream ended at the next look of its own, after 15 seconds"
        assert not other.done()
        assert 200 == (await call(second, "GET", "/api/v1/app", token=kept["token"]))[0]
        other.cancel()
