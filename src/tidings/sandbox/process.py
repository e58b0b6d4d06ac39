# SPDX-License-Identifier: MIT
"""One child process, as its parent sees it: it runs one script at a time, and is killed when it misbehaves.

Several requests may be in flight, all with the script of one endpoint: the child answers them in order. The time of a
run begins when it is sent, or with the reply to the run before it.

**The time limit** is one of CPU time. A child that has had less of it by then, because other programs had the cores,
gets the rest, within bounds: a busy machine fails no healthy script. The kernel measures it, not the child. On other
systems than Linux the limit is one of wall-clock time.
"""

import asyncio
import contextlib
import os
import socket
import sys
import time
from asyncio.subprocess import DEVNULL
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, NamedTuple, Protocol, cast

import msgspec

from tidings.sandbox.frames import HEAD_MAX, HELLO, PAYLOAD_MAX, REPLY
from tidings.sandbox.requests import Request

START_SECONDS: Final = 20.0
_SECOND_LOOK_SECONDS: Final = 0.002
_WAIT_FACTOR: Final = 9
_WAIT_MAX_SECONDS: Final = 2.0
_NEARLY: Final = 0.9
"""The part of its CPU time that counts as all of it."""
_CPU_CLOCK: Final = 2
"""With the complement of a process id before it, the clock of its CPU time, as clock_getcpuclockid(3) makes it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run."""

    time_seconds: float = 0.1
    """Of CPU time, from the request to its reply."""
    memory_bytes: int = 16 << 20

    @property
    def wait_seconds(self) -> float:
        """The wall-clock time, beyond `time_seconds`, in which a child may get its CPU time."""
        return min(_WAIT_FACTOR * self.time_seconds, _WAIT_MAX_SECONDS)


class ProcessReply(NamedTuple):
    """A reply: a value of `ReplyStatus`, the CPU time that the child names, the head and the payload."""

    status: int
    microseconds: int
    head: bytes
    payload: bytes


class ProcessOwner(Protocol):
    """Receives the events of a process; the pool. All calls are on the event loop."""

    def process_ready(self, process: "SandboxProcess") -> None:
        """Take a process that has started."""
        ...

    def process_replied(self, process: "SandboxProcess", reply: ProcessReply) -> None:
        """Take the reply to the oldest request in flight."""
        ...

    def process_ended(self, process: "SandboxProcess", error: Exception | None) -> None:
        """Take the end of a process, with requests in flight or without. `error` is why it did not start."""
        ...


class SandboxProcess(asyncio.Protocol):
    """A child process and the socket to it."""

    def __init__(self, owner: ProcessOwner, limits: Limits, paths: Sequence[str]) -> None:
        """`paths` is where the child finds this package and the interpreter."""
        self._owner = owner
        self._limits = limits
        self._paths = paths
        self._received = bytearray()
        self._numbers = deque((HELLO,))
        """The frames that the child owes, in order."""
        self._is_open = True
        self._deadline = 0.0
        """When the oldest run in flight is late, on the monotonic clock, if it has had its CPU time."""
        self._cpu_at = 0.0
        """The CPU time of the child when that run began, in seconds."""
        self._looked_at = 0.0
        """The deadline that had passed when the timer last looked."""
        self._transport: asyncio.WriteTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._process: asyncio.subprocess.Process | None = None
        self.way = ""
        """How the child is isolated; see `confinement.confine`."""
        self.is_late = False
        """Whether it was killed because a run took too long."""
        self.is_exhausted = False
        """Whether it was killed because a run, whose result it has sent, used its memory."""

    @property
    def pid(self) -> int | None:
        """The id of the process, once it has started."""
        return None if self._process is None else self._process.pid

    async def live(self) -> None:
        """Start the process and wait for its end, which may come at any time; reap it."""
        error: Exception | None = None
        try:
            await self._start()
            assert self._process is not None  # noqa: S101 - it has started
            await self._process.wait()
        except OSError as refused:
            error = refused
        finally:
            await self._reap()
            if not self.way:
                error = error or ConnectionError("the process ended before it was ready")
            self._owner.process_ended(self, error)

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *command(self._paths, self._limits),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        self._timer = loop.call_later(START_SECONDS, self.kill)
        await loop.create_unix_connection(lambda: self, sock=ours)

    async def _reap(self) -> None:
        self.kill()
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            await self._process.wait()

    def send(self, requests: Iterable[tuple[int, Request]]) -> None:
        """Start runs, behind those in flight; their numbers differ from all earlier ones and from `HELLO`."""
        assert self._transport is not None  # noqa: S101 - ready
        if not self._numbers:
            self._begin_run()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.time_seconds, self._look)
        frames: list[bytes] = []
        for number, request in requests:
            self._numbers.append(number)
            frames += request.frame(number)
        self._transport.write(b"".join(frames))

    def _begin_run(self) -> None:
        self._deadline = monotonic() + self._limits.time_seconds
        self._cpu_at = self._cpu_seconds() or 0.0

    def _cpu_seconds(self) -> float | None:
        """Return the CPU time of the child; None if it has ended, or on another system."""
        if sys.platform != "linux" or self.pid is None:
            return None
        with contextlib.suppress(OSError):
            return time.clock_gettime(~self.pid << 3 | _CPU_CLOCK)
        return None

    def kill(self) -> None:
        """End the process immediately, if it still runs."""
        self._stop_timer()
        self._is_open = False
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def end_exhausted(self) -> None:
        """End the process after a run that used its memory; the runs behind it have not begun."""
        self.is_exhausted = True
        self.kill()

    def _look(self) -> None:
        """End a late process. The timer is not moved by each run: it looks once, and again at the present deadline."""
        self._timer = None
        if not self._numbers:
            return
        left = self._deadline - monotonic()
        if left <= 0:
            if self._looked_at != self._deadline:
                # If the event loop was late, the reply may be there already: the loop reads before the next timer.
                self._looked_at, left = self._deadline, _SECOND_LOOK_SECONDS
            elif (left := self._cpu_left(-left)) <= 0:
                self.is_late = True
                self.kill()
                return
        self._timer = asyncio.get_running_loop().call_later(left, self._look)

    def _cpu_left(self, late: float) -> float:
        """Return how much later a late child is looked at again, because others had the cores; 0 if not at all."""
        used = self._cpu_seconds()
        if used is None or late >= self._limits.wait_seconds:
            return 0.0
        left = self._limits.time_seconds - (used - self._cpu_at)
        return 0.0 if left <= (1 - _NEARLY) * self._limits.time_seconds else left

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # of a socket

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the end of the process follows
        self.kill()

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            return
        self._received += data
        replies = self._complete()
        if replies is None:
            self.kill()
            return
        for reply in replies:
            self._numbers.popleft()
            self._begin_run()
            if self.way:
                self._owner.process_replied(self, reply)
            else:
                self._take_hello(reply.head)
            if not self._is_open:
                return

    def _complete(self) -> list[ProcessReply] | None:
        """Remove and return the complete replies; None if the child broke the framing.

        All are read before the owner sees the first one: it sends new requests then, to which nothing that is here
        already may be a reply.
        """
        received, replies, at = self._received, list[ProcessReply](), 0
        for number in self._numbers:
            if len(received) < at + REPLY.size:
                break
            given, status, microseconds, of_head, of_payload = REPLY.unpack_from(received, at)
            if given != number or of_head > HEAD_MAX or of_payload > PAYLOAD_MAX:
                return None
            head, end = at + REPLY.size, at + REPLY.size + of_head + of_payload
            if len(received) < end:
                break
            parts = bytes(received[head : head + of_head]), bytes(received[head + of_head : end])
            replies.append(ProcessReply(status, microseconds, *parts))
            at = end
        del received[:at]
        return None if received and len(replies) == len(self._numbers) else replies

    def _take_hello(self, head: bytes) -> None:
        self._stop_timer()
        try:
            self.way = msgspec.json.decode(head, type=dict[str, str])["way"]
        except (msgspec.DecodeError, KeyError):
            self.kill()
        else:
            self._owner.process_ready(self)


def command(paths: Sequence[str], limits: Limits) -> list[str]:
    """Return the command of a child. Its module paths are passed as code, because its environment is empty."""
    call = f"main({limits.time_seconds!r}, {limits.memory_bytes}, {os.getpid()})"
    code = f"import sys; sys.path[:0] = {list(paths)!r}; from tidings.sandbox.child import main; {call}"
    return [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", code]
