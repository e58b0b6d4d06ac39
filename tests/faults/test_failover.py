# SPDX-License-Identifier: MIT
"""After a PostgreSQL failover no connection stays on the server that refuses writes, and no restart is necessary."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.forwarder import Forwarder
from faults.kit import ended, eventually, node, slowly, started, with_endpoint
from live import Live
from postgres import Cluster, Standby

POOL = 6
BURST = 60


@pytest.fixture
def standby(postgres_binaries: Path, private_cluster: Cluster) -> Iterator[Standby]:
    """Give a standby of the private server."""
    with Standby(postgres_binaries, private_cluster) as standby:
        yield standby


def port(cluster: Cluster) -> int:
    return int(cluster.dsn("x").rpartition(":")[2].partition("/")[0])


def status(server: Live, method: str = "GET", path: str = "/api/v1/health", body: object = None) -> int:
    return server.call(method, path, body)[0]


async def burst(server: Live, path: str) -> list[int]:
    """Send many messages, a few at a time; return the statuses in order."""
    body = {"eventType": "a.b", "payload": {}}
    statuses = []
    for _ in range(BURST // POOL):
        calls = (asyncio.to_thread(status, server, "POST", path, body) for _ in range(POOL))
        statuses += await asyncio.gather(*calls)
    return statuses


@pytest.mark.timeout(240)
@pytest.mark.parametrize("asked", ["", "?target_session_attrs=any"])
async def test_a_failover_costs_one_failed_request_for_each_connection(
    private_cluster: Cluster, standby: Standby, tmp_path: Path, asked: str
) -> None:
    dsn = private_cluster.dsn(private_cluster.create_database())
    async with Forwarder(port(private_cluster)) as forwarder, slowly(0) as receiver:
        server = node(forwarder.dsn(dsn) + asked, tmp_path, db_pool_max_size=POOL)
        with ended(server):
            await started(server)
            path = await asyncio.to_thread(with_endpoint, server, receiver.url)
            assert {202} == set(await burst(server, path))
            assert 200 == await asyncio.to_thread(status, server)
            pid = server.pid

            await asyncio.to_thread(private_cluster.demote)
            assert {503} == set(await burst(server, path))
            await eventually(lambda: status(server) == 500)
            with contextlib.suppress(TimeoutError):
                await asyncio.to_thread(status, server, "GET", "/api/v1/app")

            await asyncio.to_thread(standby.promote)
            forwarder.target = port(standby)
            after = await burst(server, path)

            assert after.count(503) <= POOL, after
            assert {202} == set(after[-BURST // 2 :])
            await eventually(lambda: status(server) == 200)
            assert server.pid == pid
            await eventually(lambda: "the database is available again" in server.log())
            assert 1 == server.log().count("the database is unavailable")
            assert 1 == server.log().count("the database is available again")
            assert "Traceback" not in server.log()


@pytest.mark.timeout(240)
async def test_several_hosts_in_the_url_find_the_primary(
    private_cluster: Cluster, standby: Standby, tmp_path: Path
) -> None:
    name = private_cluster.create_database()
    hosts = f"127.0.0.1:{port(standby)},127.0.0.1:{port(private_cluster)}"
    server = node(f"postgresql://postgres@{hosts}/{name}", tmp_path, db_pool_max_size=POOL)
    async with slowly(0) as receiver:
        with ended(server):
            await started(server)
            path = await asyncio.to_thread(with_endpoint, server, receiver.url)
            assert {202} == set(await burst(server, path))

            await asyncio.to_thread(private_cluster.stop, "immediate")
            await asyncio.to_thread(standby.promote)
            after = await burst(server, path)

            assert after.count(503) <= POOL, after
            assert {202} == set(after[-BURST // 2 :])
