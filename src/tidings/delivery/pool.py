# SPDX-License-Identifier: MIT
"""Connection pools: the connections to each origin, and the requests that wait for one."""

import asyncio
import contextlib
import ssl
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from tidings.delivery.address import OUR_LIMITS, AddressError
from tidings.delivery.connection import ReceiverConnection, ReceiverConnectionLimits, cause_of
from tidings.delivery.dial import AddressesError, Dialer, Failures, Origin, explained, reason_of, release_frames
from tidings.delivery.pending_request import PendingRequest, Reply
from tidings.delivery.wheel import TimerWheel
from tidings.errors import ExternalError
from tidings.logs import log
from tidings.observe import failure

RETRY_WITHIN_SECONDS: Final = 1.0
CLOSING_ITERATIONS: Final = 10
CLOSING_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The limits on connections. The number of requests has no limit: they wait in a queue until their deadline."""

    grace_seconds: float = 5.0
    max_body_bytes: int = 20_000
    connections_per_origin: int = 100
    idle_per_origin: int = 100
    idle_seconds: float = 45.0
    max_age_seconds: float = 300.0
    kept_connections: int = 2_000


class PoolManager:
    """The state that all pools of a client share: connections, dials and limits."""

    __slots__ = (
        "_is_check_scheduled",
        "_is_empty",
        "connection_limits",
        "connections",
        "dialer",
        "dials",
        "is_closing",
        "limits",
        "pools",
        "wheel",
    )

    def __init__(self, dialer: Dialer, limits: PoolLimits, wheel: TimerWheel) -> None:
        self.dialer = dialer
        self.limits = limits
        self.wheel = wheel
        self.connection_limits = ReceiverConnectionLimits(limits.max_body_bytes, limits.max_age_seconds)
        self.pools: dict[str, Pool] = {}
        self.connections: set[ReceiverConnection] = set()
        self.dials: set[asyncio.Task[None]] = set()
        self.is_closing = False
        self._is_check_scheduled = False
        self._is_empty = asyncio.Event()

    def schedule_idle_check(self) -> None:
        """Schedule the check that closes idle connections, unless it is scheduled already."""
        if not self._is_check_scheduled:
            self._is_check_scheduled = True
            self.wheel.add(monotonic() + self.limits.idle_seconds / 4, self)

    def expire(self) -> None:
        """Close connections that have been idle too long; called by the timer wheel."""
        self._is_check_scheduled = False
        idle_before = monotonic() - self.limits.idle_seconds
        have_idle = [pool.close_idle(idle_before) for pool in list(self.pools.values())]
        if any(have_idle):
            self.schedule_idle_check()

    async def free_sockets(self) -> None:
        """Close all idle connections because the process is out of sockets; return when their sockets are free."""
        aborted = {connection for pool in list(self.pools.values()) for connection in pool.abort_idle()}
        for _ in range(CLOSING_ITERATIONS):
            if aborted.isdisjoint(self.connections):
                break
            await asyncio.sleep(0)
        if aborted:
            log.warning("limits.sockets", "out of sockets; idle connections were closed", connections=len(aborted))

    def closed(self, connection: ReceiverConnection) -> None:
        """Unregister a connection whose socket is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._is_empty.set()

    async def close(self) -> None:
        """Cancel all dials and close all sockets; wait for them, at most `CLOSING_SECONDS` each."""
        self.is_closing = True  # first, so that a connection that ends now is not replaced
        dials = list(self.dials)
        for dial in dials:
            dial.cancel()
        if dials:
            await asyncio.wait(dials, timeout=CLOSING_SECONDS)
        self._is_empty.clear()
        for connection in list(self.connections):
            connection.abort()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_empty.wait(), CLOSING_SECONDS)
        if self.connections:
            log.warning(
                "stop.late", "connections to receivers did not close in time", connections=len(self.connections)
            )


class _Dial:
    """The owner of a request while its connection is opened."""

    __slots__ = ("_task", "failures")

    def __init__(self) -> None:
        self.failures: Failures = []
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Dial, in a task."""
        self._task = asyncio.create_task(work)
        return self._task

    def partial_reply(self) -> Reply | None:
        return None

    def drop(self, request: PendingRequest) -> None:  # noqa: ARG002 (there is only one)
        if self._task is not None:
            self._task.cancel()

    def dial_errors(self) -> str:
        return explained(self.failures)

    def end(self) -> None:
        """Release the task, which refers to this dial."""
        self._task = None


class Pool:
    """The connections to one origin, and the queue of requests.

    Idle connections are reused last in, first out, so that surplus ones expire. Requests wait first in, first out. Each
    dial and each open connection takes a slot; one that ends gives its slot to the first waiting request. A request
    that is sent again may exceed the limit by one, because it has already waited.
    """

    __slots__ = ("_dialing", "_idle", "_manager", "_open", "_origin", "_waiting")

    def __init__(self, manager: PoolManager, origin: Origin) -> None:
        self._manager = manager
        self._origin = origin
        self._idle: list[ReceiverConnection] = []
        self._open: set[ReceiverConnection] = set()
        self._dialing = 0
        self._waiting: OrderedDict[PendingRequest, None] = OrderedDict()

    @property
    def slots_taken(self) -> int:
        """The number of connections and dials."""
        return self._dialing + len(self._open)

    def take(self, request: PendingRequest) -> None:
        """Send a request on an idle connection, dial a new one, or queue the request."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                connection.start(request)
                return
            connection.close()  # closing, but the event loop has not reported it yet
            self._open.discard(connection)
        if self.slots_taken < self._manager.limits.connections_per_origin:
            self._dial(request)
            return
        self._waiting[request] = None
        request.owner = self

    def drop_waiting(self) -> None:
        """Drop the requests that wait for a slot."""
        self._waiting.clear()

    def close_idle(self, idle_before: float) -> bool:
        """Close connections that have been idle since a timestamp; return whether idle ones remain."""
        while self._idle and self._idle[0].idle_since <= idle_before:
            connection = self._idle.pop(0)
            self._open.discard(connection)
            connection.close()
        self._check_empty()
        return bool(self._idle)

    def abort_idle(self) -> list[ReceiverConnection]:
        """Abort and return all idle connections."""
        aborted, self._idle = self._idle, []
        for connection in aborted:
            self._open.discard(connection)
            connection.abort()
        self._check_empty()
        return aborted

    # RequestOwner of waiting requests.

    def partial_reply(self) -> Reply | None:
        return None

    def drop(self, request: PendingRequest) -> None:
        self._waiting.pop(request, None)

    def dial_errors(self) -> str:
        return ""

    # ConnectionOwner.

    def release(self, connection: ReceiverConnection) -> None:
        if self._waiting:
            connection.start(self._waiting.popitem(last=False)[0])
            return
        limits = self._manager.limits
        if len(self._idle) >= limits.idle_per_origin or len(self._manager.connections) > limits.kept_connections:
            connection.close()
            self.retire(connection)
            return
        self._idle.append(connection)
        self._manager.schedule_idle_check()

    def retire(self, connection: ReceiverConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        self._open.discard(connection)
        self._fill()

    def resend(self, request: PendingRequest) -> None:
        self._dial(request)

    def opened(self, connection: ReceiverConnection) -> None:
        self._open.add(connection)
        self._manager.connections.add(connection)

    def closed(self, connection: ReceiverConnection) -> None:
        self._manager.closed(connection)

    # Dialing.

    def _dial(self, request: PendingRequest) -> None:
        if self._manager.is_closing:
            return
        self._dialing += 1
        dial = _Dial()
        task = dial.start(self._connect(request, dial))
        self._manager.dials.add(task)
        request.owner = dial
        task.add_done_callback(lambda done: self._dial_done(request, dial, done))

    async def _connect(self, request: PendingRequest, dial: _Dial) -> None:
        def make() -> ReceiverConnection:
            request.owner = dial  # the connection to the previous address may have owned it, and failed
            return ReceiverConnection(self, self._manager.connection_limits, request)

        dialer, failures = self._manager.dialer, dial.failures
        try:
            await dialer.connect(self._origin, make, request.ends_at, failures)
        except OSError as error:
            if error.errno in OUR_LIMITS:
                await self._manager.free_sockets()
            elif _is_final(error) or monotonic() - request.started_at > RETRY_WITHIN_SECONDS:
                raise
            await dialer.connect(self._origin, make, request.ends_at, failures)

    def _dial_done(self, request: PendingRequest, dial: _Dial, task: "asyncio.Task[None]") -> None:
        """Release the dial's slot, and end the request if the dial failed."""
        dial.end()
        self._manager.dials.discard(task)
        self._dialing -= 1
        self._fill()
        error = None if task.cancelled() else task.exception()
        if error is not None and not request.is_ended:
            request.finish(request.failure(_dial_text(error)))
        release_frames(error)

    def _fill(self) -> None:
        """Dial for waiting requests while there are free slots."""
        while self._waiting and self.slots_taken < self._manager.limits.connections_per_origin:
            if self._manager.is_closing:
                return
            self._dial(self._waiting.popitem(last=False)[0])
        self._check_empty()

    def _check_empty(self) -> None:
        pools, key = self._manager.pools, self._origin.key
        if not self.slots_taken and not self._waiting and pools.get(key) is self:
            del pools[key]


def _is_final(error: OSError) -> bool:
    """Return whether a second dial would fail in the same way."""
    return error.is_final if isinstance(error, AddressesError) else isinstance(error, ssl.SSLError)


def _dial_text(error: BaseException) -> str:
    if isinstance(error, AddressError):
        return str(error)
    if not isinstance(error, OSError):
        failure("connecting to a receiver", error)
        return f"error making request: {cause_of(error)}"
    if error.errno in OUR_LIMITS:
        failure("opening a socket", ExternalError(f"{reason_of(error)}; raise the limit of open files"))
    return f"error making request: {reason_of(error)}"
