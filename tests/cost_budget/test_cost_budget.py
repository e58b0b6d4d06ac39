# SPDX-License-Identifier: MIT
"""The CPU cost of a message, from its request to its recorded attempt.

Seconds would measure the machine more than the service. The unit is therefore one iteration of a loop in plain Python,
which runs in between on the same machine. Other load makes both slower and never faster, so the cheapest of several
rounds counts. A message costs 10 to 25 iterations; 75 to 200 if accepting, settling or both are not batched.
"""

import asyncio
from pathlib import Path

import psutil
import pytest

from cost_budget.traffic import Sender, Sink, turn_seconds
from faults.kit import ended, with_endpoint
from live import Live

TURNS_AT_MOST = 50.0
CONNECTIONS = 200
ROUNDS = 3
UNBATCHED = (str(Path(__file__).with_name("unbatched.py")),)


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def cost(server: Live, messages: int) -> float:
    """Return the cost of a message, in iterations, over rounds of messages."""
    spent, turns = list[float](), [turn_seconds()]
    with ended(server):
        server.start()
        async with Sink() as sink:
            path = with_endpoint(server, sink.url)
            async with Sender(server, path, CONNECTIONS) as sender:
                await all_the_way(server, path, sender, messages)
                for _ in range(ROUNDS):
                    before = cpu_seconds(server.pid)
                    await all_the_way(server, path, sender, messages)
                    spent.append((cpu_seconds(server.pid) - before) / messages)
                    turns.append(turn_seconds())
        assert server.stop() == 0
    return min(spent) / min(turns)


async def all_the_way(server: Live, path: str, sender: Sender, messages: int) -> None:
    """Send messages; return once their attempts are recorded. The test's own time limit bounds the wait."""
    wanted = sender.sent + messages
    await sender.send(messages)
    while await asyncio.to_thread(delivered, server, path) < wanted:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.05)


def delivered(server: Live, path: str) -> int:
    """Return the number of messages delivered to the endpoint, by the service's own record."""
    endpoints = f"{path.removesuffix('msg')}endpoint"
    _, found = server.call("GET", endpoints)
    status, stats = server.call("GET", f"{endpoints}/{found['data'][0]['id']}/stats")
    assert status == 200, stats
    return int(stats["success"])


@pytest.mark.chaos
async def test_a_message_costs_a_bounded_number_of_loop_iterations(migrated_url: str, tmp_path: Path) -> None:
    assert await cost(Live(migrated_url, tmp_path / "server"), messages=600) < TURNS_AT_MOST


@pytest.mark.chaos
async def test_a_sabotaged_build_without_batches_exceeds_the_budget(migrated_url: str, tmp_path: Path) -> None:
    assert await cost(Live(migrated_url, tmp_path / "server", entry=UNBATCHED), messages=150) > TURNS_AT_MOST
