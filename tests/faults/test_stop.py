# SPDX-License-Identifier: MIT
"""SIGTERM during work ends the process in order and within bounds; the next start continues the work."""

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from delivery.client_kit import full_accept_queue
from delivery.receiver import Receiver, reset
from faults.forwarder import Forwarder
from faults.kit import check_received_once, ended, eventually, node, received, sending, slowly, started, with_endpoint
from live import Live
from message_path import add_app
from postgres import Cluster
from tidings import ids
from tidings.clock import SystemClock
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.database import Table
from tidings.storage.drivers.store import opened

STOP_SECONDS = 10.0
GRACE = 2
"""Seconds; a stop without a bound exceeds the timeout of `Live.stop` by far."""
DIALS = 2_000
CONNECTED, DIALING = "01", "02"
ENDPOINTS = Table(
    "endpoint",
    ("id", "app_id", "org_id", "url", "description", "metadata", "headers", "secret", "created_at", "updated_at"),
)


async def test_a_stopped_server_ends_in_order_and_its_successor_continues(database_url: str, tmp_path: Path) -> None:
    server = node(database_url, tmp_path, worker_request_timeout=5)  # a slow response causes no second send
    async with slowly(0.05) as receiver:
        with ended(server):
            await started(server)
            path = with_endpoint(server, receiver.url)

            async with sending(path, server) as senders:
                await senders.take(150)
                began = time.monotonic()
                assert await asyncio.to_thread(server.stop) == 0
                assert time.monotonic() - began < STOP_SECONDS
                left = senders.ids - set(received(receiver))
                await started(server)
                await senders.take(50)

            await check_received_once(senders, receiver, server)

    assert left, "everything had been sent before the stop, so it proved nothing"
    assert set(received(receiver).values()) == {1}


def in_flight(port: int, state: str) -> int:
    """Return the number of this machine's connections to a port that are in a state."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[2].endswith(f":{port:04X}") and fields[3] == state for fields in lines)


async def add_endpoints(database_url: str, port: int, count: int) -> str:
    """Add an application with endpoints on one receiver to a database; return the path that accepts its messages."""
    db = await opened(database_url, connections=1)
    app, now = await add_app(db), SystemClock().now()
    secret = b"\x01" + bytes(24)
    rows = [
        (ids.new(ids.ENDPOINT, now), app, DEFAULT_ORG, f"http://127.0.0.1:{port}/{n}", "", "{}", "{}", secret, now, now)
        for n in range(count)
    ]
    async with db.write() as tx:
        await tx.add(ENDPOINTS, rows)
    await db.close()
    return f"/api/v1/app/{app}/msg"


def send(server: Live, path: str, messages: int) -> None:
    """Send messages in one batch."""
    message = {"eventType": "fault.test", "payload": {}}
    status, answer = server.call("POST", f"{path}/batch", {"messages": [message] * messages})
    assert status < 300, answer


@contextmanager
def silent(*, connects: bool) -> Iterator[socket.socket]:
    """Give a receiver that accepts nothing: the kernel completes connections, or its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * DIALS if connects else 0) as listener:
        yield listener


@pytest.mark.timeout(240)
@pytest.mark.parametrize("state", [DIALING, CONNECTED])
async def test_two_thousand_dials_in_flight_do_not_delay_a_stop(migrated_url: str, tmp_path: Path, state: str) -> None:
    server = node(migrated_url, tmp_path, worker_request_timeout=30, delivery_concurrency=DIALS, shutdown_grace=GRACE)
    with silent(connects=state == CONNECTED) as listener, ended(server), ExitStack() as stack:
        port = listener.getsockname()[1]
        if state == DIALING:
            stack.enter_context(full_accept_queue(listener))
        path = await add_endpoints(migrated_url, port, DIALS)
        await started(server)
        await asyncio.to_thread(send, server, path, 5)
        await eventually(lambda: in_flight(port, state) >= DIALS, 60)

        assert await asyncio.to_thread(server.stop) == 0


@pytest.mark.timeout(240)
async def test_dials_that_succeed_as_they_are_canceled_do_not_delay_a_stop(
    migrated_sqlite_url: str, tmp_path: Path
) -> None:
    server = node(
        migrated_sqlite_url, tmp_path, worker_request_timeout=30, delivery_concurrency=DIALS, shutdown_grace=GRACE
    )
    async with Receiver([reset]) as receiver:
        path = await add_endpoints(migrated_sqlite_url, receiver.port, DIALS)
        with ended(server):
            await started(server)
            await asyncio.to_thread(send, server, path, 10)
            await eventually(lambda: receiver.connections >= DIALS, 60)  # and dials never run out

            assert await asyncio.to_thread(server.stop) == 0


async def test_a_second_signal_ends_a_server_immediately(migrated_url: str, tmp_path: Path) -> None:
    server = node(migrated_url, tmp_path, worker_request_timeout=30, shutdown_grace=3_600)
    with silent(connects=True) as listener, ended(server):
        port = listener.getsockname()[1]
        path = await add_endpoints(migrated_url, port, 1)
        await started(server)
        await asyncio.to_thread(send, server, path, 1)
        await eventually(lambda: in_flight(port, CONNECTED))
        server.send(signal.SIGTERM)
        await eventually(lambda: "stopping" in server.log())

        assert await asyncio.to_thread(server.stop) == -signal.SIGTERM


def begun(server: Live, request: str, body: str = "", *, answers: bool = False) -> socket.socket:
    """Begin a request without completing it, or read only the first line of its response."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    caller.settimeout(60)
    caller.connect(("127.0.0.1", server.port))
    length = f"content-length: {len(body) + 1}\r\n" if body else ""
    head = f"{request} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.token}\r\n{length}\r\n"
    caller.sendall((head + body).encode())
    if answers:
        assert caller.recv(15) == b"HTTP/1.1 200 OK"
    return caller


def waiting_task(server: Live, path: str) -> str:
    """Start a task that stays queued because no process works on tasks; return its path."""
    endpoints = path.removesuffix("msg") + "endpoint"
    endpoint = server.call("GET", endpoints)[1]["data"][0]
    status, task = server.call("POST", f"{endpoints}/{endpoint['id']}/recover", {"since": endpoint["createdAt"]})
    assert status < 300, task
    return f"/api/v1/background-task/{task['id']}"


async def test_requests_that_never_end_do_not_delay_a_stop(database_url: str, tmp_path: Path) -> None:
    server = node(database_url, tmp_path, shutdown_grace=GRACE)
    server.arguments = ["--no-tasks"]
    with ended(server), ExitStack() as stack:
        await started(server)
        path = await asyncio.to_thread(with_endpoint, server, "http://127.0.0.1:9/")
        for _ in range(3):
            server.call("POST", path, {"eventType": "a", "payload": {"big": "x" * 1_900_000}})
        task = await asyncio.to_thread(waiting_task, server, path)
        for each in (path, "/api/v1/app", "/nowhere"):
            stack.enter_context(begun(server, f"POST {each}", "{"))
        stack.enter_context(begun(server, f"GET {task}/wait?timeout=60"))
        for each in (f"{task}/events", f"{path}?limit=250"):
            stack.enter_context(await asyncio.to_thread(begun, server, f"GET {each}", answers=True))

        assert await asyncio.to_thread(server.stop) == 0


@pytest.mark.timeout(240)
async def test_an_unresponsive_database_does_not_delay_a_stop(private_cluster: Cluster, tmp_path: Path) -> None:
    dsn = private_cluster.dsn(private_cluster.create_database())
    target = int(dsn.rpartition(":")[2].partition("/")[0])
    async with Forwarder(target) as forwarder, slowly(0) as receiver:
        server = node(forwarder.dsn(dsn), tmp_path, shutdown_grace=GRACE)
        with ended(server):
            await started(server)
            path = await asyncio.to_thread(with_endpoint, server, receiver.url)
            async with sending(path, server) as senders:
                await senders.take(50)
                forwarder.freeze()
                assert await asyncio.to_thread(server.stop) in {0, 1}
                forwarder.thaw()
                await started(server)
            await check_received_once(senders, receiver, server)
