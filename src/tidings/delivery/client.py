# SPDX-License-Identifier: MIT
"""The HTTP/1.1 client for deliveries: one POST to an untrusted receiver, bounded in time and bytes.

General-purpose clients use ten times the CPU per request, and they resolve names themselves. This client connects to
the very address that the policy checked.

**Flow.** `Client.send` creates a `PendingRequest`, which has the deadlines, and passes it to the `Pool` of its origin.
The pool writes it to an idle connection if it has one; this warm path is synchronous, without a task or a future.
Otherwise the pool dials in a task, or queues the request until a slot is free. The connection writes head and body,
reads the response within bounds, returns itself to the pool, and then passes the `Reply` to the caller's `done`.

**Callback.** `done` is called exactly once per request, on the event loop, after `send` has returned. It is never
called if the request is canceled or the client is closed. It must be quick and may call `send`; an exception that it
raises is logged.

**Deadlines.** The head of the response is due `timeout_seconds` after `send`, which includes queueing, resolving,
connecting and TLS. The body is due within `grace_seconds` after that, else the reply has the part that was received.
All deadlines are on one timer wheel, which is late by up to one tick. The last deadline is set a tick early, so a
request never outlives timeout plus grace.

**Retries.** The client retries silently in two cases, once in each. If a reused connection closes before the first
byte of a response, the receiver has most likely closed it as idle: the request is sent again on a new connection. A
connect that fails within a second is repeated: immediately, or, if the process has no file descriptor left, after all
idle connections are closed. Every other failure is a result, and the caller decides whether to retry.

**Bounds.** The head of a response is limited to 64 KiB, and the body is read up to a limit. Interim responses are
skipped, redirects are results, and a connection with unrequested data is closed.
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


_JOINED_BYTES: Final = 4_096
"""Largest body that is copied into one buffer with the head; a longer one is shared between requests, not copied."""


class Client:
    """Sends many requests concurrently. Create it on a running event loop; it is bound to that loop."""

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
        """`tls` replaces the default context, for example to trust a private CA or to skip verification.

        `look_up` replaces the system's resolver; the policy also checks the addresses that it returns.
        """
        limits = limits or PoolLimits()
        self._timeout_seconds = timeout_seconds
        self._total_seconds = timeout_seconds + max(limits.grace_seconds - TICK_SECONDS, 0.0)
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
        """The number of open sockets."""
        return len(self._manager.connections)

    @property
    def origins(self) -> int:
        """The number of origins with a connection, a dial or a queued request."""
        return len(self._pools)

    @property
    def is_armed(self) -> bool:
        """Whether a timer is set; a client without requests and connections sets none."""
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
        """Send a message; `done` receives the reply. Raises ValueError for a control character in id or signature."""
        if self._is_closed:
            raise RuntimeError("the client is closed")
        is_whole = len(body) <= _JOINED_BYTES
        data = target.request(msg_id, timestamp, signature, body, is_whole=is_whole)
        now = monotonic()
        request = PendingRequest(data, done, self._wheel, now, now + self._timeout_seconds, now + self._total_seconds)
        if not is_whole:
            request.body = body
        pool = self._pools.get(target.origin) or self._open_pool(target)
        pool.take(request)
        return request

    async def close(self) -> None:
        """Cancel the requests in flight, whose `done` is never called, and close all sockets."""
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
