# SPDX-License-Identifier: MIT
"""Two processes on one PostgreSQL: a key that is revoked through one is refused by the other, open streams included.

The promise is two seconds, which are two heartbeats of a node. The test counts the heartbeats, so a slow machine makes
it slow and not wrong.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from faults.kit import ended, started
from live import Live
from tidings.core import wiping
from tidings.ids import DEFAULT_ORG, OrgId
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


async def task_of(first: Live, app: str) -> str:
    """Start a task of an application, which its callers can follow."""
    endpoint = (await call(first, "POST", f"/api/v1/app/{app}/endpoint", {"url": "http://a.test"}))[1]["id"]
    recover = f"/api/v1/app/{app}/endpoint/{endpoint}/recover"
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    return str((await call(first, "POST", recover, {"since": since}))[1]["id"])


async def check_that_a_key_ends(
    nodes: tuple[Live, Live],
    db: Database,
    task: str,
    keys: tuple[str, str],
    end: Callable[[Live], Awaitable[None]],
) -> None:
    """End the first key through the first node; the second node refuses it and ends its stream, and keeps the other."""
    first, second = nodes
    ended_key, kept = keys
    heartbeats = await heartbeats_of_the_second(db, nodes)
    path = f"/api/v1/background-task/{task}"
    async with stream(second, task, ended_key) as ending, stream(second, task, kept) as lasting:
        assert 200 == (await call(second, "GET", path, token=ended_key))[0]
        # The last chunk is empty: the connection stays open for another request.
        rest, other = (asyncio.create_task(each.readuntil(b"\r\n0\r\n\r\n")) for each in (ending, lasting))
        await end(first)
        assert 401 == (await call(first, "GET", path, token=ended_key))[0]

        await heartbeats.look()
        accepted_after = []
        while True:
            heard = await heartbeats.look()
            status, _ = await call(second, "GET", path, token=ended_key)
            if status == 401:
                break
            accepted_after.append(heard)
        text = await rest

        assert max(accepted_after, default=0) < 2, "two heartbeats are two seconds"
        assert b"nothing new" not in text, "the stream ended at the next look of its own, after 15 seconds"
        assert not other.done()
        assert 200 == (await call(second, "GET", path, token=kept))[0]
        other.cancel()


async def test_a_key_revoked_on_one_node_is_refused_by_another_and_ends_its_stream(
    nodes: tuple[Live, Live], db: Database
) -> None:
    first, _ = nodes
    app = (await call(first, "POST", "/api/v1/app", {"name": "A"}))[1]["id"]
    key, kept = [(await call(first, "POST", KEYS, {"name": name}))[1] for name in ("revoked", "kept")]

    async def end(server: Live) -> None:
        assert 204 == (await call(server, "POST", f"{KEYS}/{key['id']}/expire", {}))[0]

    await check_that_a_key_ends(nodes, db, await task_of(first, app), (key["token"], kept["token"]), end)


@pytest.mark.parametrize("how", ["rotated", "deleted"])
async def test_the_key_of_an_integration_ends_on_another_node(nodes: tuple[Live, Live], db: Database, how: str) -> None:
    first, _ = nodes
    app = (await call(first, "POST", "/api/v1/app", {"name": "A"}))[1]["id"]
    path = f"/api/v1/app/{app}/integration"
    made = [(await call(first, "POST", path, {"name": name}))[1]["id"] for name in ("ended", "kept")]
    key, kept = [(await call(first, "POST", f"{path}/{each}/key/rotate"))[1]["key"] for each in made]

    async def end(server: Live) -> None:
        if how == "rotated":
            assert 200 == (await call(server, "POST", f"{path}/{made[0]}/key/rotate"))[0]
        else:
            assert 204 == (await call(server, "DELETE", f"{path}/{made[0]}"))[0]

    await check_that_a_key_ends(nodes, db, await task_of(first, app), (key, kept), end)


async def test_a_key_of_a_wiped_organization_is_refused_by_a_running_node(
    nodes: tuple[Live, Live], db: Database
) -> None:
    first, second = nodes
    org = OrgId("org_wiped")
    keys, token = f"/api/v1/management/authentication/{org}/api-token", first.token_of(org)
    key = (await call(first, "POST", keys, {"name": "wiped"}, token=token))[1]["token"]
    kept = (await call(first, "POST", KEYS, {"name": "kept"}))[1]["token"]
    heartbeats = await heartbeats_of_the_second(db, nodes)
    for each in (key, kept):
        assert 200 == (await call(second, "GET", "/api/v1/app", token=each))[0]

    await wiping.wipe(db, org, chunk=100)

    await heartbeats.look()
    while (await call(second, "GET", "/api/v1/app", token=key))[0] != 401:
        assert await heartbeats.look() <= 2, "two heartbeats are two seconds"
    assert 200 == (await call(second, "GET", "/api/v1/app", token=kept))[0]
