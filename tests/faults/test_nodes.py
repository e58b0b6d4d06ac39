# SPDX-License-Identifier: MIT
"""Two processes on one PostgreSQL: a change made through one takes effect on the other at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from delivery.receiver import Receiver
from faults.kit import add_endpoint, ended, eventually, node, received, started, stored, with_endpoint
from live import Live

ROUNDS = 10


@pytest_asyncio.fixture
async def nodes(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[tuple[Live, Live]]:
    # A slow response causes no second send.
    first, second = (node(postgres_dsn, tmp_path / name, worker_request_timeout=5) for name in "ab")
    with ended(first, second):
        await asyncio.gather(started(first), started(second))
        yield first, second


async def post(server: Live, path: str, key: str | None = None) -> tuple[int, Any]:
    headers = {} if key is None else {"idempotency-key": key}
    message = {"eventType": "node.test", "payload": {"n": 1}}
    return await asyncio.to_thread(server.call, "POST", path, message, headers=headers)


async def test_one_idempotency_key_creates_one_message_on_two_nodes(
    nodes: tuple[Live, Live], postgres_dsn: str
) -> None:
    async with Receiver() as receiver:
        path = with_endpoint(nodes[0], receiver.url)

        answers = await asyncio.gather(*(post(nodes[n % 2], path, "auto_the same") for n in range(50)))

        assert [answers[0]] * 50 == answers
        assert answers[0][0] == 202
        assert await stored(postgres_dsn) == {answers[0][1]["id"]}
        await eventually(lambda: received(receiver) == {answers[0][1]["id"]: 1})


async def test_an_endpoint_created_on_one_node_receives_the_next_message_of_another(nodes: tuple[Live, Live]) -> None:
    first, second = nodes
    async with Receiver() as receiver:
        path = with_endpoint(first, f"{receiver.url}/0")
        expected: Counter[str] = Counter()
        for number in range(1, ROUNDS + 1):
            expected[(await post(second, path))[1]["id"]] = number  # now the other node caches the application
            await asyncio.to_thread(add_endpoint, first, path, f"{receiver.url}/{number}")
            expected[(await post(second, path))[1]["id"]] = number + 1

        await eventually(lambda: received(receiver) == expected)
