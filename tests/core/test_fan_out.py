# SPDX-License-Identifier: MIT
"""Messages with very many deliveries: a batch is bounded, and its parts let other writers in between."""

import asyncio

import pytest

from message_path import add_app, add_endpoint, running
from tidings.core.tuning import CoreTuning
from tidings.ids import DEFAULT_ORG
from tidings.model.message import Draft
from tidings.storage.drivers.database import Database, Dialect

URL = "http://127.0.0.1:9/hook"
ENDPOINTS = 12


@pytest.fixture
async def app(db: Database) -> str:
    app = await add_app(db)
    for _ in range(ENDPOINTS):
        await add_endpoint(db, app, URL)
    return app


async def test_a_batch_of_messages_is_bounded_in_deliveries(db: Database, app: str) -> None:
    if db.dialect is not Dialect.POSTGRESQL:
        pytest.skip("only PostgreSQL says which transaction wrote a row")
    async with running(db, core=CoreTuning(accept_fan_out=3 * ENDPOINTS)) as path:
        await path.send(app)  # from here on the routing is cached
        await asyncio.gather(*(path.send(app) for _ in range(10)))

        sizes = await path.rows("SELECT count(*) FROM delivery GROUP BY CAST(xmin AS text) ORDER BY 1 DESC")

    assert 11 * ENDPOINTS == sum(n for (n,) in sizes)
    assert [(3 * ENDPOINTS,)] * 3 == sizes[:3]


async def test_other_requests_continue_while_many_deliveries_are_written(db: Database, app: str) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with running(db, core=CoreTuning(accept_chunk=ENDPOINTS)) as path:
        await path.send(app)
        beside = asyncio.create_task(others())
        with path.accept.preparing() as prepared:
            async with db.write() as tx:
                before = turns
                drafts = [Draft("a.b", b"{}", None, None, 1)] * 40
                await path.accept.accept_many(tx, DEFAULT_ORG, app, drafts, prepared)
                during = turns - before
        beside.cancel()

        assert during > 30
        assert 41 * ENDPOINTS == await path.count("delivery")
