# SPDX-License-Identifier: MIT
"""Tasks on a real server: their items match the receiver's record, and stream readers do not delay a shutdown."""

import asyncio
import http.client
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from delivery.receiver import OK, Peer, Receiver, read, say
from faults.kit import eventually, received, slowly
from live import Live, serving
from tidings.clock import HOUR, SystemClock, rfc3339

NO = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
MESSAGES = 40
LOAD = 200


class RefusingReceiver:
    """Refuses everything at first, then every second message in order of arrival."""

    def __init__(self) -> None:
        self.is_out = True
        self.took: set[str] = set()
        self.refused: set[str] = set()

    async def serve(self, peer: Peer) -> None:
        while True:
            await read(peer)
            msg = peer.receiver.requests[-1].values(b"svix-id")[0].decode()
            takes = not self.is_out and len(self.took) <= len(self.refused)
            if not self.is_out:
                (self.took if takes else self.refused).add(msg)
            await say(OK if takes else NO)(peer)


@pytest.fixture
async def refusing() -> RefusingReceiver:
    return RefusingReceiver()


@pytest.fixture
async def receiver(refusing: RefusingReceiver) -> AsyncIterator[Receiver]:
    async with Receiver([refusing.serve]) as receiver:
        yield receiver


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Live]:
    with serving(database_url, tmp_path, retry_schedule="[]") as server:
        yield server


async def test_items_match_the_receivers_record(server: Live, receiver: Receiver, refusing: RefusingReceiver) -> None:
    at, messages = await asyncio.to_thread(_sent, server, receiver)
    await eventually(lambda: len(receiver.requests) == MESSAGES)
    await eventually(lambda: _attempts(server, at) == MESSAGES)
    since = {"since": rfc3339(SystemClock().now() - HOUR)}
    _, estimate = await asyncio.to_thread(server.call, "POST", f"{at}/recover?dryRun=true", since)
    refusing.is_out = False

    _, started = await asyncio.to_thread(server.call, "POST", f"{at}/recover", since)
    path = f"/api/v1/background-task/{started['id']}"
    _, ended = await asyncio.to_thread(server.call, "GET", f"{path}/wait?timeout=10")
    await eventually(lambda: not _items(server, path, "rearmed"))

    assert (estimate["total"], estimate["exact"]) == (MESSAGES, True)
    assert set(estimate["sample"]) <= messages
    assert (ended["status"], ended["data"]) == ("finished", {"messagesSent": MESSAGES})
    assert _items(server, path, "delivered") == refusing.took
    assert _items(server, path, "failed") == refusing.refused
    assert refusing.took | refusing.refused == messages
    assert len(refusing.took) in (MESSAGES // 2, MESSAGES // 2 + 1)


@pytest.mark.parametrize("more", [{"task_chunk": 7}, {"task_chunk": 7, "delivery_concurrency": 1}])
async def test_a_cancel_under_load_counts_every_message_once(
    database_url: str, tmp_path: Path, more: dict[str, int]
) -> None:
    """Chunks, sends and live messages continue while the task is canceled; each message has exactly one result."""
    async with slowly(0.01) as receiver:
        with serving(database_url, tmp_path, retry_schedule="[]", **more) as server:
            at, messages = await asyncio.to_thread(_sent, server, receiver, LOAD)
            await eventually(lambda: len(receiver.requests) == LOAD)
            since = {"since": rfc3339(SystemClock().now() - HOUR)}
            _, started = await asyncio.to_thread(server.call, "POST", f"{at}/bulk-replay", since)
            path = f"/api/v1/background-task/{started['id']}"
            await eventually(lambda: len(receiver.requests) > LOAD)
            _, cancelled = await asyncio.to_thread(server.call, "POST", f"{path}/cancel")
            await eventually(lambda: not _items(server, path, "rearmed"))
            _, later = await asyncio.to_thread(server.call, "GET", path)
            withdrawn, delivered = _items(server, path, "withdrawn"), _items(server, path, "delivered")

    assert later == cancelled
    assert withdrawn or "delivery_concurrency" not in more
    assert later["x"]["withdrawn"] == len(withdrawn)
    assert later["data"]["messagesSent"] == len(withdrawn) + len(delivered)
    assert withdrawn.isdisjoint(delivered)
    assert withdrawn | delivered <= messages
    assert Counter(received(receiver).values()) == Counter({1: LOAD - len(delivered), 2: len(delivered)})


def _sent(server: Live, receiver: Receiver, count: int = MESSAGES) -> tuple[str, set[str]]:
    _, app = server.call("POST", "/api/v1/app", {"name": "A"})
    at = f"/api/v1/app/{app['id']}"
    _, endpoint = server.call("POST", f"{at}/endpoint", {"url": receiver.url})
    body = {"eventType": "order.paid", "payload": {}}
    messages = {server.call("POST", f"{at}/msg", body)[1]["id"] for _ in range(count)}
    return f"{at}/endpoint/{endpoint['id']}", messages


def _attempts(server: Live, at: str) -> int:
    path = at.replace("/endpoint/", "/attempt/endpoint/")
    return len(server.call("GET", f"{path}?limit=250")[1]["data"])


def _items(server: Live, path: str, outcome: str) -> set[str]:
    status, response = server.call("GET", f"{path}/items?limit=250&outcome={outcome}")
    assert status == 200, response
    return {item["msgId"] for item in response["data"]}


def test_a_stream_resumes_after_a_restart_and_does_not_delay_the_shutdown(server: Live) -> None:
    path = f"/api/v1/background-task/{_paused(server)}"
    with _stream(server, f"{path}/events") as response:
        assert [b"1", b"2"] == _ids(response, 2)
        assert server.stop() == 0
        assert response.read() == b""  # ended by itself: a cut at the end of the grace period would raise an error here
    assert "Traceback" not in server.log()

    server.restart()
    with _stream(server, f"{path}/events", **{"last-event-id": "2"}) as response:
        assert server.call("POST", f"{path}/cancel")[0] == 200
        assert [b"3"] == _ids(response, 1)
    assert server.call("GET", f"{path}/events", headers={"last-event-id": "3"}) == (204, None)


def test_readers_that_disconnect_leave_no_stream_open(server: Live) -> None:
    path = f"/api/v1/background-task/{_paused(server)}"
    for _ in range(40):  # more streams than a token may have at once
        with _stream(server, f"{path}/events") as response:
            assert [b"1", b"2"] == _ids(response, 2)
    assert "Traceback" not in server.log()


def _paused(server: Live) -> str:
    """Start a task that waits for a disabled endpoint, and pause it."""
    _, app = server.call("POST", "/api/v1/app", {"name": "A"})
    at = f"/api/v1/app/{app['id']}/endpoint"
    _, endpoint = server.call("POST", at, {"url": "http://127.0.0.1:9/", "disabled": True})
    body = {"eventType": "order.paid", "payload": {}}
    server.call("POST", f"/api/v1/app/{app['id']}/msg", body)
    since = {"since": rfc3339(SystemClock().now() - HOUR)}
    _, started = server.call("POST", f"{at}/{endpoint['id']}/replay-missing?force=true", since)
    status, response = server.call("POST", f"/api/v1/background-task/{started['id']}/pause")
    assert status == 200, response
    return str(started["id"])


@contextmanager
def _stream(server: Live, path: str, **headers: Any) -> Iterator[http.client.HTTPResponse]:
    given = {"authorization": f"Bearer {server.token}", **headers}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("GET", path, headers=given)
        yield connection.getresponse()


def _ids(response: http.client.HTTPResponse, count: int) -> list[bytes]:
    """Read on until this many ids have arrived, to the end of the last one's event."""
    found: list[bytes] = []
    while len(found) < count:
        line = response.readline()
        assert line, "the stream has ended"
        if line.startswith(b"id: "):
            found.append(line.removeprefix(b"id: ").strip())
    while response.readline().strip():
        pass
    return found
