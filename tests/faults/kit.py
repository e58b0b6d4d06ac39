# SPDX-License-Identifier: MIT
"""Helpers for the fault tests: clients that retry without end, a slow receiver, and the final audit."""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

from delivery.receiver import OK, Peer, Receiver, read, say
from live import Live
from tidings.storage.drivers.store import opened

TIMEOUT = 30.0
PAUSE = 0.02
"""Seconds between two checks, and between two retries of a client."""
CLIENTS = 24
SHORT_LEASES = {
    "worker_request_timeout": 1,
    "lease_grace": 2,
    "retry_schedule": "[1,1,1,1,1,1,1,1]",
    # Fewer concurrent sends than messages arriving: at any time some messages are accepted and not yet sent.
    "delivery_concurrency": 12,
}
TRANSACTIONS = {"db_pgbouncer": "true"}
"""Settings with which every batch on PostgreSQL is a transaction; otherwise a small one is a single statement."""


class Lost(Exception):
    """A message that was answered 202 never reached its receiver."""


async def eventually(holds: Callable[[], object], seconds: float = TIMEOUT, *, pause: float = PAUSE) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the condition depends on another process
            await asyncio.sleep(pause)


def slowly(seconds: float) -> Receiver:
    """Give a receiver that responds after a delay."""

    async def serve(peer: Peer) -> None:
        while True:
            await read(peer)
            await asyncio.sleep(seconds)
            await say(OK)(peer)

    return Receiver([serve])


def received(receiver: Receiver) -> Counter[str]:
    """Return the number of requests that the receiver got for each message."""
    return Counter(request.values(b"svix-id")[0].decode() for request in receiver.requests)


@contextmanager
def ended(*servers: Live) -> Iterator[None]:
    """Stop servers at the end of the block, even after an error."""
    try:
        yield
    finally:
        for server in servers:
            if server.process is not None:
                server.kill()


def with_endpoint(server: Live, url: str) -> str:
    """Create an application with an endpoint; return the path that accepts its messages."""
    status, app = server.call("POST", "/api/v1/app", {"name": "faults"})
    assert status == 201, app
    add_endpoint(server, f"/api/v1/app/{app['id']}/msg", url)
    return f"/api/v1/app/{app['id']}/msg"


def add_endpoint(server: Live, path: str, url: str) -> None:
    """Add an endpoint to the application of a message path."""
    status, endpoint = server.call("POST", path.removesuffix("msg") + "endpoint", {"url": url})
    assert status == 201, endpoint


class _Line:
    """A client's connection, reopened whenever it breaks."""

    def __init__(self, server: Live) -> None:
        self._server = server
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connect(self) -> None:
        """Connect if necessary. Raises OSError if there is no listener."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._server.port)

    async def ask(self, path: str, key: str, body: bytes) -> tuple[int, Any]:
        """Post a message. Raises OSError or IncompleteReadError if the connection is cut."""
        assert self._streams is not None
        reader, writer = self._streams
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self._server.token}\r\n"
            f"content-type: application/json\r\nidempotency-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            text = await reader.readexactly(int(length.partition(b":")[2]))
        except BaseException:
            self.close()
            raise
        if b"connection: close" in answer.lower():
            self.close()
        return int(answer.split()[1]), json.loads(text)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Senders:
    """Clients that each send one message after another, with a key each, and retry until it is accepted."""

    def __init__(self, servers: Sequence[Live], path: str) -> None:
        self._servers = servers
        self._path = path
        self._stopping = False
        self.accepted: dict[str, str] = {}
        """Message ids by key."""
        self.on_the_wire: set[str] = set()
        self.cut = 0
        """The number of requests whose connection broke before the response."""
        self.statuses: Counter[int] = Counter()

    @property
    def ids(self) -> set[str]:
        return set(self.accepted.values())

    async def take(self, more: int) -> None:
        """Wait until this many more messages have been accepted."""
        wanted = len(self.accepted) + more
        await eventually(lambda: len(self.accepted) >= wanted)

    def stop(self) -> None:
        """Begin no further message; clients still retry those begun until they are accepted."""
        self._stopping = True

    async def work(self, server: Live) -> None:
        """Run one client."""
        line = _Line(server)
        try:
            while not self._stopping:
                await self._send(line, f"auto_{uuid.uuid4()}")
        finally:
            line.close()

    async def _send(self, line: _Line, key: str) -> None:
        body = json.dumps({"eventType": "fault.test", "payload": {"key": key}}).encode()
        while key not in self.accepted:
            with suppress(OSError):
                await line.connect()
                await self._ask(line, key, body)
            if key not in self.accepted:
                await asyncio.sleep(PAUSE)

    async def _ask(self, line: _Line, key: str, body: bytes) -> None:
        self.on_the_wire.add(key)
        try:
            status, answer = await line.ask(self._path, key, body)
        except (OSError, asyncio.IncompleteReadError):
            self.cut += 1
            return
        finally:
            self.on_the_wire.discard(key)
        self.statuses[status] += 1
        if status == 202:
            self.accepted[key] = answer["id"]
        else:
            assert status == 503, (status, answer)
            assert {"code", "detail"} <= set(answer)


@asynccontextmanager
async def sending(path: str, *servers: Live, clients: int = CLIENTS) -> AsyncIterator[Senders]:
    """Run clients during a block; at its end, each of their messages has been accepted."""
    senders = Senders(servers, path)
    async with asyncio.TaskGroup() as group:
        for _, server in zip(range(clients), cycle(servers), strict=False):
            group.create_task(senders.work(server))
        try:
            yield senders
        finally:
            senders.stop()


async def kill_at_work(server: Live, senders: Senders, receiver: Receiver) -> None:
    """SIGKILL a server that has requests on the wire and accepted messages that are not yet sent."""
    await eventually(lambda: senders.on_the_wire and senders.ids - set(received(receiver)))
    cut = senders.cut
    server.kill()
    await eventually(lambda: senders.cut > cut)


async def all_received(senders: Senders, receiver: Receiver, seconds: float = TIMEOUT) -> None:
    """Wait until the receiver has got every accepted message. Raises `Lost` once no more of them arrive."""
    wanted, before = senders.ids, -1
    while lost := wanted - set(received(receiver)):
        if len(lost) == before:
            raise Lost(f"{before} of {len(wanted)}: {sorted(lost)[:3]}")
        before = len(lost)
        # A backlog may take any time, so the wait ends only when the number of missing messages stops falling.
        with suppress(TimeoutError):
            await eventually(lambda: wanted <= set(received(receiver)), seconds, pause=10 * PAUSE)


async def stored(database_url: str) -> set[str]:
    """Return the ids of all messages; with SQLite only while the server is stopped."""
    db = await opened(database_url, connections=1)
    try:
        async with db.read() as read_:
            return {row["id"] for row in await read_.rows("SELECT id FROM message")}
    finally:
        await db.close()


async def check_received_once(senders: Senders, receiver: Receiver, server: Live) -> None:
    """Check that each key made exactly one message, that it was received, and that there is no other."""
    await all_received(senders, receiver)
    await asyncio.to_thread(server.stop)

    assert len(senders.accepted) == len(senders.ids)
    assert await stored(server.database_url) == senders.ids
    assert set(received(receiver)) == senders.ids


async def started(server: Live, **settings: Any) -> float:
    """Start a server without blocking the loop; return the duration."""
    began = time.monotonic()
    await asyncio.to_thread(server.restart, **settings)
    return time.monotonic() - began


def node(database_url: str, folder: Path, *, entry: Sequence[str] | None = None, **settings: Any) -> Live:
    """Describe a server with short leases, for `started`."""
    server = Live(database_url, folder, settings={**SHORT_LEASES, **settings})
    if entry is not None:
        server.entry = entry
    return server
