# SPDX-License-Identifier: MIT
"""Large payloads to receivers that never read them, against a real server process."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from delivery.authority import Authority
from faults.kit import eventually
from faults.test_readers import BIG, RSS_MAX, rss
from live import serving

RECEIVERS = 10
MESSAGES = 250
TLS_RECEIVERS = 70
MEMORY = 32 * 1024 * 1024


@pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.chaos)], indirect=True
)
def test_receivers_that_never_read_hold_a_bounded_amount_of_payloads(tmp_path: Path, database_url: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(database_url, tmp_path))
        app = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
        for _ in range(RECEIVERS):
            unread = stack.enter_context(socket.socket())  # the kernel accepts connections, and no program reads
            unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            unread.bind(("127.0.0.1", 0))
            unread.listen(1_024)
            url = f"http://127.0.0.1:{unread.getsockname()[1]}/"
            assert 201 == server.call("POST", f"/api/v1/app/{app}/endpoint", {"url": url})[0]

        def post(number: int) -> int:
            body = {"eventType": "a", "payload": {"big": BIG, "n": number}}
            return server.call("POST", f"/api/v1/app/{app}/msg", body)[0]

        with ThreadPoolExecutor(4) as senders:
            assert [202] * MESSAGES == list(senders.map(post, range(MESSAGES)))

        assert 204 == server.call("GET", "/api/v1/health/ping")[0]
        assert rss(server) < RSS_MAX


def _deaf(held: list[asyncio.StreamWriter]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    """Return a handler that completes the handshake and then reads nothing."""

    def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        held.append(writer)

    return handle


async def test_tls_receivers_that_never_read_hold_a_bounded_amount_of_one_payload(
    tmp_path: Path, database_url: str
) -> None:
    handshakes: list[asyncio.StreamWriter] = []
    context = Authority.made(tmp_path).receiver_context("receiver.test")
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    listening.bind(("0.0.0.0", 0))  # noqa: S104 - each loopback address is a receiver of its own
    port = listening.getsockname()[1]
    settings = {
        "whitelist_subnets": "[127.0.0.0/8]",
        "dangerous_disable_tls_verification": "true",
        "worker_request_timeout": 1,
        "delivery_memory_bytes": MEMORY,
        "retry_schedule": "[]",
    }
    async with await asyncio.start_server(_deaf(handshakes), sock=listening, ssl=context, backlog=1_024):
        with serving(database_url, tmp_path, **settings) as server:
            call = asyncio.to_thread
            app = (await call(server.call, "POST", "/api/v1/app", {"name": "a"}))[1]["id"]
            for number in range(TLS_RECEIVERS):
                url = f"https://127.0.1.{number + 1}:{port}/"
                assert 201 == (await call(server.call, "POST", f"/api/v1/app/{app}/endpoint", {"url": url}))[0]
            before = rss(server)
            body = {"eventType": "a", "payload": {"big": BIG}}
            status, message = await call(server.call, "POST", f"/api/v1/app/{app}/msg", body)
            assert 202 == status

            attempts = f"/api/v1/app/{app}/attempt/msg/{message['id']}?limit=250"
            await eventually(lambda: len(server.call("GET", attempts)[1]["data"]) == TLS_RECEIVERS)
            assert rss(server) < before + 3 * MEMORY
        for each in handshakes:
            each.transport.abort()
    assert len(handshakes) > TLS_RECEIVERS // 2, "the receivers came as far as the payload"
