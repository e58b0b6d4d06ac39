# SPDX-License-Identifier: MIT
"""What a message costs the service, all the way from the request to the attempt on record.

Seconds would tell more of the machine than of the service, so the CPU time of a message is told in turns of a loop in
plain Python, run in between on the same machine. A neighbour makes both dearer and never cheaper: the cheapest of some
rounds counts. A message costs 10 to 25 turns; 75 to 200 where accepting, settling or both are not batched.
"""

import asyncio
from pathlib import Path

import psutil

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
    """Return what a message costs, in turns, over rounds of so many messages."""
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
    """Send so many messages; return once their attempts are on record. The test's own time limit bounds it."""
    wanted = sender.sent + messages
    await sender.send(messages)
    while await asyncio.to_thread(delivered, server, path) < wanted:  # noqa: ASYNC110 - the service is what tells
        await asyncio.sleep(0.05)


def delivered(server: Live, path: str) -> int:
    """Return how many messages the endpoint has taken, as the service has it on record."""
    endpoints = f"{path.removesuffix('msg')}endpoint"
    _, found = server.call("GET", endpoints)
    status, stats = server.call("GET", f"{endpoints}/{found['data'][0]['id']}/stats")
    assert status == 200, stats
    return int(stats["success"])


async def test_a_message_costs_no_more_than_so_many_turns_of_a_loop(migrated_url: str, tmp_path: Path) -> None:
    assert await cost(Live(migrated_url, tmp_path / "server"), messages=600) < TURNS_AT_MOST


async def test_the_check_sees_that_nothing_is_batched(migrated_url: str, tmp_path: Path) -> None:
    assert await cost(Live(migrated_url, tmp_path / "server", entry=UNBATCHED), messages=150) > TURNS_AT_MOST
