# SPDX-License-Identifier: MIT
"""One child process, as its parent sees it: it runs one script at a time, and is killed when it misbehaves."""

import asyncio
import contextlib
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

import msgspec

from tidings.sandbox.frames import HEAD_MAX, HELLO, PAYLOAD_MAX, REPLY
from tidings.sandbox.requests import Request

START_SECONDS: Final = 20.0
_SECOND_LOOK_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run."""

    time_seconds: float = 0.1
    """Of wall-clock time, from the request to its reply."""
    memory_bytes: int = 16 << 20


class ProcessOwner(Protocol):
    """Receives the events of a process; the pool. All calls are on the event loop."""

    def process_ready(self, process: "SandboxProcess") -> None:
        """Take a process that has started."""
        ...

    def process_replied(self, process: "SandboxProcess", status: int, head: bytes, payload: bytes) -> None:
        """Take the reply to the request in flight."""
        ...

    def process_ended(self, process: "SandboxProcess", error: Exception | None) -> None:
        """Take the end of a process, with a request in flight or without. `error` is why it did not start."""
        ...


class SandboxProcess(asyncio.Protocol):
    """A child process and the socket to it."""

    def __init__(self, owner: ProcessOwner, limits: Limits, paths: Sequence[str]) -> None:
        """`paths` is where the child finds this package and the interpreter."""
        self._owner = owner
        self._limits = limits
        self._paths = paths
        self._received = bytearray()
        self._number = HELLO
        self._is_open = True
        self._transport: asyncio.WriteTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._process: asyncio.subprocess.Process | None = None
        self.way = ""
        """How the child is isolated; see `confinement.confine`."""
        self.is_late = False
        """Whether it was killed because a run took too long."""

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

    def send(self, number: int, request: Request) -> None:
        """Start a run; `number` differs from all earlier ones and from `HELLO`."""
        assert self._transport is not None  # noqa: S101 - ready
        self._number = number
        self._timer = asyncio.get_running_loop().call_later(self._limits.time_seconds, self._look_again)
        self._transport.write(request.frame(number))

    def kill(self) -> None:
        """End the process immediately, if it still runs."""
        self._stop_timer()
        self._is_open = False
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _look_again(self) -> None:
        # If the event loop was late, the reply may be there already: the loop reads before the next timer.
        self._timer = asyncio.get_running_loop().call_later(_SECOND_LOOK_SECONDS, self._end_late)

    def _end_late(self) -> None:
        self.is_late = True
        self.kill()

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
        if len(self._received) < REPLY.size:
            return
        number, status, of_head, of_payload = REPLY.unpack_from(self._received)
        size = REPLY.size + of_head + of_payload
        is_valid = self._timer is not None and number == self._number and of_head <= HEAD_MAX
        if not is_valid or of_payload > PAYLOAD_MAX or len(self._received) > size:
            self.kill()
        elif len(self._received) == size:
            reply = bytes(self._received)
            self._received.clear()
            self._stop_timer()
            head = reply[REPLY.size : REPLY.size + of_head]
            self._take(status, head, reply[REPLY.size + of_head :])

    def _take(self, status: int, head: bytes, payload: bytes) -> None:
        if self._number != HELLO:
            self._owner.process_replied(self, status, head, payload)
            return
        try:
            self.way = msgspec.json.decode(head, type=dict[str, str])["way"]
        except (msgspec.DecodeError, KeyError):
            self.kill()
        else:
            self._owner.process_ready(self)


def command(paths: Sequence[str], limits: Limits) -> list[str]:
    """Return the command of a child. Its module paths are passed as code, because its environment is empty."""
    call = f"main({limits.time_seconds!r}, {limits.memory_bytes})"
    code = f"import sys; sys.path[:0] = {list(paths)!r}; from tidings.sandbox.child import main; {call}"
    return [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", code]
