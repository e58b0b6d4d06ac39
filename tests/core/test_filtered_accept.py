# SPDX-License-Identifier: MIT
"""Accept applies payload filters: the present one at the commit, with one parse of a payload, and none without one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from database_proxy import DatabaseProxy
from message_path import Path, add_app, add_endpoint, running
from tidings.model import payload_filter
from tidings.model.json_document import JsonDocument
from tidings.storage.drivers.database import Busy, Database, Write
from tidings.storage.drivers.store import opened

URL = "http://127.0.0.1:9/"
ONE, TWO = b'{"n":1}', b'{"n":2}'


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Give the payloads whose first level was parsed."""
    found: list[bytes] = []

    class Noted(JsonDocument):
        __slots__ = ()

        def _level(self, path: Any) -> Any:
            if path.parent is None and path.key not in self._levels:
                found.append(self._source)
            return super()._level(path)

    monkeypatch.setattr(payload_filter, "JsonDocument", Noted)
    return found


async def _set_filter(db: Database, app: str, endpoint: str, number: int | None) -> None:
    text = None if number is None else json.dumps([{"path": "$.n", "operator": "==", "value": number}])
    async with db.write() as tx:
        await tx.run("UPDATE endpoint SET filter = :text WHERE id = :id", text=text, id=endpoint)
        await tx.run("UPDATE application SET routing_version = routing_version + 1 WHERE id = :app", app=app)


async def _receivers(path: Path) -> list[tuple[Any, ...]]:
    return await path.rows("SELECT msg_id, endpoint_id FROM delivery ORDER BY msg_id, endpoint_id")


async def test_a_payload_is_parsed_once_for_all_filters(db: Database, parsed: list[bytes]) -> None:
    app = await add_app(db)
    every = await add_endpoint(db, app, URL)
    wanted = [await add_endpoint(db, app, URL) for _ in range(12)]
    for place, endpoint in enumerate(wanted):
        await _set_filter(db, app, endpoint, place % 3)

    async with running(db) as path:
        first, second = await path.send(app, payload=ONE), await path.send(app, payload=TWO)
        found = await _receivers(path)

    assert found == sorted(
        [(first.id, each) for each in (every, *wanted[1::3])] + [(second.id, each) for each in (every, *wanted[2::3])]
    )
    assert parsed == [ONE, TWO]


async def test_no_payload_is_parsed_without_a_filter_that_may_decide(db: Database, parsed: list[bytes]) -> None:
    app = await add_app(db)
    await add_endpoint(db, app, URL)
    for number, column in enumerate(("disabled = 1", "event_types = '[\"other\"]'", "channels = '[\"red\"]'")):
        endpoint = await add_endpoint(db, app, URL)
        await _set_filter(db, app, endpoint, number)
        async with db.write() as tx:
            await tx.run(f"UPDATE endpoint SET {column} WHERE id = :id", id=endpoint)

    async with running(db) as path:
        await asyncio.gather(*(path.send(app, payload=ONE) for _ in range(20)))
        assert await path.count("delivery") == 20

    assert parsed == []


async def test_the_filter_at_the_commit_decides(db: Database) -> None:
    """Each change is made behind the cache of the process, as another node makes it."""
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, URL)
    async with running(db) as path:
        first = await path.send(app, payload=ONE)
        for number in (2, 1, 2, None):
            await _set_filter(db, app, endpoint, number)
            last = await path.send(app, payload=ONE)
            if number == 1:
                second = last
        found = await _receivers(path)

    assert found == [(each, endpoint) for each in sorted([first.id, second.id, last.id])]


class FailsOnce(DatabaseProxy):
    """A database whose first transaction is rolled back before its commit."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.failures = 1

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        async with self.db.write(**options) as tx:
            yield tx
            if self.failures:
                self.failures -= 1
                raise Busy("a lock timeout")


async def test_a_message_that_is_written_again_is_not_parsed_again(
    migrated_sqlite_url: str, parsed: list[bytes]
) -> None:
    db = await opened(migrated_sqlite_url)
    app = await add_app(db)
    wanted, other = await add_endpoint(db, app, URL), await add_endpoint(db, app, URL)
    await _set_filter(db, app, wanted, 1)
    await _set_filter(db, app, other, 2)
    failing = FailsOnce(db)

    async with running(failing) as path:
        sent = await path.send(app, payload=ONE)
        found = await _receivers(path)
    await db.close()

    assert (failing.failures, found, parsed) == (0, [(sent.id, wanted)], [ONE])


async def test_many_messages_in_one_batch_are_filtered(db: Database) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, URL)
    await _set_filter(db, app, endpoint, 1)

    async with running(db) as path:
        sent = await asyncio.gather(*(path.send(app, payload=(ONE, TWO)[each % 2]) for each in range(300)))
        found = await _receivers(path)

    assert found == sorted((each.id, endpoint) for each in sent[::2])
