# SPDX-License-Identifier: MIT
"""The HTTP/1.1 client that delivers: one POST to a stranger, bounded in time and in bytes.

It exists because general clients cost ten times the CPU per request, and because they look names up themselves: here
the address that was vetted is the address that is dialled.

`Client.send` makes a `PendingRequest`, which has the deadlines, and gives it to the `Pool`
of its origin. The pool puts it on an idle `Connection` if there is one: that is the warm path, and it is synchronous,
without a task or a future. Else it dials (a task, the only kind there is here), or lets it wait for a place.
The connection writes head and body in one go, reads the answer within bounds, gives itself back to the pool and then
hands the `Reply` to the caller's `done`.

`done` is called exactly once per request, on the loop, never before `send` has returned; unless the request is
cancelled or the client closed, then never. It must be quick, it may call `send`, and if it raises, that is logged.

Time. The head of the answer is due `timeout_seconds` after `send`; waiting for a place, resolving, connecting and TLS
count. The body is due within `grace_seconds` more, else the reply has what came of it. All deadlines hang on one wheel,
which is late by up to its tick; the last one is set a tick early, so that a request never outlives timeout and grace.

Second chances, each given once and silently. A connection that was used before and closes before the first byte of an
answer had most likely been closed by a peer tired of waiting: the request goes out again on a fresh one. And a connect
that fails within a second is tried again at once, or, if no descriptor was left, after all idle connections have been
closed. Everything else is a result, and whether to try again is decided
elsewhere.

What a peer sends is never trusted: the head of the answer ends at 64 KiB, the body is read up to a limit, interim
answers are skipped, redirects are results, and a connection that says anything unasked is closed.
"""

import asyncio
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Final

from tidings.delivery.address import AddressPolicy, LookUp, Resolver
from tidings.delivery.dial import Dialer, DirectDialer, Origin, tls_context
from tidings.delivery.lookup import SystemResolver
from tidings.delivery.pending_request import PendingRequest, Reply
from tidings.delivery.pool import Pool, PoolLimits, PoolManager
from tidings.delivery.proxy import Proxy, ProxyDialer
from tidings.delivery.target import RequestTarget, compile_target
from tidings.delivery.wheel import TICK_SECONDS, TimerWheel

__all__ = ["Client", "PendingRequest", "PoolLimits", "Reply", "RequestTarget", "compile_target"]


_JOINED: Final = 4_096
"""Bytes of a body that are copied behind the head; a longer one is written by itself, and shared between requests."""


class Client:
    """Sends requests, many at a time. Made on a running loop, and bound to it."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        timeout_seconds: float,
        limits: PoolLimits | None = None,
        proxy: Proxy | None = None,
        tls: ssl.SSLContext | None = None,
        look_up: LookUp | None = None,
    ) -> None:
        """`tls` replaces the usual context: for a private authority, or to verify nothing.

        `look_up` finds the addresses of a name in place of the system; what it finds is judged by the policy.
        """
        limits = limits or PoolLimits()
        self._timeout_seconds = timeout_seconds
        self._most_seconds = timeout_seconds + max(limits.grace_seconds - TICK_SECONDS, 0.0)
        self._wheel = TimerWheel(asyncio.get_running_loop().call_later, monotonic)
        self._system_resolver = SystemResolver()
        look_up = look_up or self._system_resolver.look_up
        resolver = Resolver(policy, look_up=look_up)
        tls = tls or tls_context(verify=True)
        self._dialer: Dialer = (
            DirectDialer(resolver, tls) if proxy is None else ProxyDialer(proxy, resolver, look_up, tls)
        )
        self._manager = PoolManager(self._dialer, limits, self._wheel)
        self._pools = self._manager.pools
        self._is_closed = False

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._manager.connections)

    @property
    def origins(self) -> int:
        """How many origins have a connection, a dial or a request that waits."""
        return len(self._pools)

    @property
    def is_armed(self) -> bool:
        """Whether a timer is set; one that has nothing in flight and nothing open sets none."""
        return self._wheel.is_armed

    def send(
        self,
        target: RequestTarget,
        msg_id: str,
        timestamp: int,
        signature: bytes,
        body: bytes,
        done: Callable[[Reply], None],
    ) -> PendingRequest:
        """Send a message; `done` gets what came of it. ValueError for an id or a signature that breaks the head."""
        if self._is_closed:
            raise RuntimeError("the client is closed")
        is_whole = len(body) <= _JOINED
        data = target.request(msg_id, timestamp, signature, body, is_whole=is_whole)
        now = monotonic()
        request = PendingRequest(data, done, self._wheel, now, now + self._timeout_seconds, now + self._most_seconds)
        if not is_whole:
            request.body = body
        pool = self._pools.get(target.origin) or self._open_pool(target)
        pool.take(request)
        return request

    async def close(self) -> None:
        """Drop the requests in flight, whose `done` is never called, and close all sockets."""
        self._is_closed = True
        for pool in list(self._pools.values()):
            pool.drop_waiting()
        self._wheel.close()
        await self._manager.close()
        await self._dialer.close()
        self._system_resolver.close()

    def _open_pool(self, target: RequestTarget) -> Pool:
        origin = Origin(target.origin, target.scheme, target.host, target.port)
        pool = self._pools[target.origin] = Pool(self._manager, origin)
        return pool
