# SPDX-License-Identifier: MIT
"""202 means stored, whenever the process dies, and a key makes one message, however often it is sent."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from faults.kit import (
    TRANSACTIONS,
    Lost,
    all_received,
    check_received_once,
    ended,
    eventually,
    kill_at_work,
    node,
    sending,
    slowly,
    started,
    with_endpoint,
)
from live import Live, LiveError

KILLS = 5
BETWEEN = 80
"""The number of accepted messages between two kills."""
RECEIVING = 0.03
SABOTAGED = (str(Path(__file__).with_name("sabotaged.py")),)


async def killed_again_and_again(database_url: str, folder: Path, kills: int, **settings: Any) -> None:
    server = node(database_url, folder, **settings)
    async with slowly(RECEIVING) as receiver:
        with ended(server):
            await started(server)
            path = with_endpoint(server, receiver.url)

            async with sending(path, server) as senders:
                for _ in range(kills):
                    await senders.take(BETWEEN)
                    await kill_at_work(server, senders, receiver)
                    await started(server)

            await check_received_once(senders, receiver, server)


async def test_acknowledged_messages_survive_kills_in_the_middle_of_accept(database_url: str, tmp_path: Path) -> None:
    await killed_again_and_again(database_url, tmp_path, KILLS)


async def dies_at(server: Live, place: str) -> None:
    """Start a server that dies at a failpoint, possibly before it responds to any other caller."""
    try:
        await started(server, failpoints=f"{place}=kill@10")
    except LiveError as early:
        if f"ended with {-signal.SIGKILL} " not in str(early):
            raise
        return
    await eventually(lambda: server.process is not None and server.process.poll() is not None)
    assert server.stop() == -signal.SIGKILL


async def died_at(database_url: str, folder: Path, places: Sequence[str], **settings: Any) -> None:
    server = node(database_url, folder, **settings)
    async with slowly(RECEIVING) as receiver:
        with ended(server):
            await started(server)
            path = with_endpoint(server, receiver.url)

            async with sending(path, server) as senders:
                for place in places:
                    await dies_at(server, place)
                await started(server, failpoints="")
                await senders.take(BETWEEN)

            await check_received_once(senders, receiver, server)


async def test_acknowledged_messages_survive_a_kill_just_before_and_just_after_the_commit(
    database_url: str, tmp_path: Path
) -> None:
    await died_at(database_url, tmp_path, ("accept.before_commit", "accept.after_commit"))


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_acknowledged_messages_survive_a_kill_while_they_are_settled(database_url: str, tmp_path: Path) -> None:
    await died_at(database_url, tmp_path, 3 * ("settle.before_commit", "settle.after_commit"))


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_acknowledged_messages_survive_many_kills(database_url: str, tmp_path: Path) -> None:
    await killed_again_and_again(database_url, tmp_path, 40)


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_acknowledged_messages_survive_many_kills_in_the_middle_of_transactions(
    postgres_dsn: str, tmp_path: Path
) -> None:
    await killed_again_and_again(postgres_dsn, tmp_path, 20, **TRANSACTIONS)


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_acknowledged_messages_survive_a_kill_before_and_after_the_commit_of_a_transaction(
    postgres_dsn: str, tmp_path: Path
) -> None:
    places = ("accept.before_commit", "accept.after_commit", "settle.before_commit", "settle.after_commit")
    await died_at(postgres_dsn, tmp_path, 2 * places, **TRANSACTIONS)


async def test_the_check_finds_deliveries_that_are_not_stored_with_their_message(
    sqlite_url: str, tmp_path: Path
) -> None:
    server = node(sqlite_url, tmp_path, entry=SABOTAGED)
    async with slowly(RECEIVING) as receiver:
        with ended(server):
            await started(server)
            path = with_endpoint(server, receiver.url)

            async with sending(path, server) as senders:
                await senders.take(BETWEEN)
                await kill_at_work(server, senders, receiver)
                await started(server)

            with pytest.raises(Lost):
                await all_received(senders, receiver, seconds=4)
