# SPDX-License-Identifier: MIT
"""The compiled routing of an application is rebuilt when the application has changed, and only then."""

import asyncio
from typing import Any

import pytest

from message_path import add_app, add_endpoint, running
from tidings.clock import SystemClock
from tidings.core.routing import RoutingCache
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.database import Database
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import nodes, routing


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the compiled references, in order."""
    refs: list[str] = []
    find = routing.find

    async def noted(read: Any, org_id: Any, ref: str, *rest: Any) -> Any:
        refs.append(ref)
        return await find(read, org_id, ref, *rest)

    monkeypatch.setattr(routing, "find", noted)
    return refs


async def test_a_batch_compiles_an_application_that_has_changed_once(db: Database, compiled: list[str]) -> None:
    app = await add_app(db)
    async with running(db) as path:
        await path.send(app)
        await add_endpoint(db, app, "http://127.0.0.1:9/")
        compiled.clear()

        await asyncio.gather(*(path.send(app) for _ in range(50)))

        assert [app] == compiled
        assert await path.count("delivery") == 50


async def test_an_application_is_dropped_for_a_later_version_only(db: Database) -> None:
    app = await add_app(db)
    cache = RoutingCache(db)
    known = await cache.load(DEFAULT_ORG, app)
    assert known is not None

    cache.drop_older(app, known.version)
    assert cache.known(DEFAULT_ORG, app) is known

    cache.drop_older(app, known.version + 1)
    assert cache.known(DEFAULT_ORG, app) is None


async def test_the_heartbeat_query_reports_recent_routing_versions(postgres_dsn: str) -> None:
    db = await opened(postgres_dsn)
    await migrate(db)
    before = SystemClock().now()
    app = await add_app(db)
    await add_endpoint(db, app, "http://127.0.0.1:9/")

    async with db.read() as read:
        assert {app: 2} == (await nodes.heartbeat(read, since=before, keys_since=before, node=0)).changed
        assert {} == (await nodes.heartbeat(read, since=SystemClock().now() + 60_000, keys_since=0, node=0)).changed
    await db.close()
