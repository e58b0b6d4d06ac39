# SPDX-License-Identifier: MIT
"""A PostgreSQL outage under load causes refusals, loses nothing, and needs no manual repair."""

import asyncio
from pathlib import Path

import pytest

from faults.kit import check_received_once, ended, eventually, node, sending, slowly, started, with_endpoint
from live import Live
from postgres import Cluster


async def outage(cluster: Cluster, folder: Path, seconds: float) -> None:
    server = node(cluster.dsn(cluster.create_database()), folder)
    async with slowly(0.03) as receiver:
        with ended(server):
            await started(server)
            path = with_endpoint(server, receiver.url)
            pid = server.pid

            async with sending(path, server) as senders:
                await senders.take(200)
                await asyncio.to_thread(cluster.stop, "immediate")
                taken = len(senders.accepted)
                await gone(server, path, seconds)
                assert taken + 24 >= len(senders.accepted), "answered 202 without a database"
                await asyncio.to_thread(cluster.start)
                await senders.take(200)

            await eventually(lambda: senders.statuses[503])
            assert server.pid == pid
            await check_received_once(senders, receiver, server)


async def gone(server: Live, path: str, seconds: float) -> None:
    """Check the responses to callers while the database is unavailable."""
    ends_at = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends_at:
        for call in (("POST", path, {"eventType": "a.b", "payload": {}}), ("GET", "/api/v1/app", None)):
            status, answer = await asyncio.to_thread(server.call, *call)
            assert status == 503, answer
            assert {"code", "detail"} <= set(answer)
        await asyncio.sleep(0.1)


async def test_a_database_outage_causes_refusals_and_no_loss(private_cluster: Cluster, tmp_path: Path) -> None:
    await outage(private_cluster, tmp_path, 2.0)


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_a_long_database_outage_causes_refusals_and_no_loss(private_cluster: Cluster, tmp_path: Path) -> None:
    await outage(private_cluster, tmp_path, 20.0)
