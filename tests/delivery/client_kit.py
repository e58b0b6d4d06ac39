# SPDX-License-Identifier: MIT
"""Helpers for the tests of the client."""

import asyncio
import contextlib
import functools
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from tidings.delivery.address import AddressPolicy, LookUp
from tidings.delivery.client import Client, PoolLimits
from tidings.delivery.dial import tls_context
from tidings.delivery.pending_request import Reply
from tidings.delivery.proxy import Proxy
from tidings.delivery.target import compile_target

LOOPBACK = AddressPolicy.of(["127.0.0.0/8"])
ENOUGH = 10.0
"""Seconds in which any receiver that responds has responded, even on a busy machine."""
TIMEOUT = 0.3
"""The timeout of tests that wait for it."""
GRACE = 0.3


@functools.cache
def usual_tls() -> ssl.SSLContext:
    """Return the default context of a client, created once: loading the system's authorities is slow."""
    return tls_context(verify=True)


@contextlib.asynccontextmanager
async def a_client(
    *,
    policy: AddressPolicy = LOOPBACK,
    timeout_seconds: float = ENOUGH,
    limits: PoolLimits | None = None,
    proxy: Proxy | None = None,
    tls: ssl.SSLContext | None = None,
    look_up: LookUp | None = None,
) -> AsyncIterator[Client]:
    """Open a client, and check that it leaves no socket open."""
    before = open_sockets()
    client = Client(
        policy,
        timeout_seconds=timeout_seconds,
        limits=limits or PoolLimits(grace_seconds=GRACE),
        proxy=proxy,
        tls=tls or usual_tls(),
        look_up=look_up,
    )
    others = open_sockets() - before
    try:
        yield client
    finally:
        await client.close()
        assert client.connections == 0
        assert others == 0


def names(**answers: list[str]) -> LookUp:
    """Return a name server that resolves only these names."""

    async def look_up(host: str) -> list[str]:
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return answers[host]

    return look_up


def open_sockets() -> int:
    links = Path("/proc/self/fd")
    if not links.exists():
        return 0
    count = 0
    for link in links.iterdir():
        with contextlib.suppress(OSError):
            count += str(link.readlink()).startswith("socket:")
    return count


async def settled_sockets(expected: int) -> int:
    """Count the open sockets, after the loop iterations that pending closes need."""
    for _ in range(100):
        if open_sockets() <= expected:
            break
        gc.collect()
        await asyncio.sleep(0.01)
    return open_sockets()


def send(client: Client, url: str, *, body: bytes = b"{}", headers: dict[str, str] | None = None) -> "Asked":
    """Send a request and return it; its reply can be awaited."""
    return Asked(client, url, body, headers)


async def ask(client: Client, url: str, *, body: bytes = b"{}", headers: dict[str, str] | None = None) -> Reply:
    """Send a request and wait for its reply."""
    return await send(client, url, body=body, headers=headers).reply


class Asked:
    """A request and the future of its reply."""

    def __init__(self, client: Client, url: str, body: bytes, headers: dict[str, str] | None) -> None:
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        target = compile_target(url, version="1.2.3", headers=headers)
        self.sending = client.send(target, "msg_1", 1_614_265_330, b"v1,AAAA", body, self.reply.set_result)


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextlib.contextmanager
def full_accept_queue(full: socket.socket) -> Iterator[None]:
    """Fill a listener's accept queue, so that it completes no further connect."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(full.getsockname())
        yield


async def until(fact: Callable[[], bool]) -> None:
    """Run the loop until a condition holds; the test's own timeout is the limit."""
    while not fact():  # noqa: ASYNC110 - closing a socket offers no event
        await asyncio.sleep(0.01)
