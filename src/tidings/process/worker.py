# SPDX-License-Identifier: MIT
"""A worker process as its supervisor starts it: the descriptors that it inherits, and its reports."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tidings.logs import log
from tidings.settings import ConfigError

READY: Final = b"r"
"""What a worker writes to its supervisor once it accepts connections."""
UNAVAILABLE: Final = b"u"
"""What a worker writes instead if it ends because the database is unavailable."""
STOP: Final = b"s"
"""What the supervisor writes to a worker that is to stop in order."""
NO_LISTENER: Final = -1
_NOT_OURS: Final = "--worker is set by `serve --workers` itself; leave it out"


@dataclass(frozen=True, slots=True)
class Worker:
    """The place of a process among the workers of one `serve`, and the descriptors that it inherits.

    `channel` is a socket to the supervisor; its other end closes when the supervisor ends, for whatever reason.
    `listener` is a listening socket, or `NO_LISTENER` without the API.
    """

    index: int
    count: int
    channel: int
    listener: int

    def argument(self) -> str:
        """Return the worker as an argument of the command line."""
        return f"{self.index}:{self.count}:{self.channel}:{self.listener}"

    @classmethod
    def of(cls, argument: str) -> "Worker":
        """Read an argument. Raises `ConfigError` if it does not come from a supervisor."""
        try:
            index, count, channel, listener = (int(part) for part in argument.split(":"))
            os.fstat(channel)
        except (ValueError, OSError) as error:
            raise ConfigError(_NOT_OURS) from error
        if not 0 <= index < count:
            raise ConfigError(_NOT_OURS)
        return cls(index, count, channel, listener)

    def socket(self) -> socket.socket | None:
        """Return the inherited listening socket."""
        return None if self.listener == NO_LISTENER else socket.socket(fileno=self.listener)


class Channel:
    """The connection of a worker to its supervisor. `stop` is called when the supervisor asks for it or has ended."""

    def __init__(self, worker: Worker, stop: Callable[[str], None]) -> None:
        self._stop = stop
        self._socket = socket.socket(fileno=worker.channel)
        self._socket.setblocking(False)  # noqa: FBT003 - the name of the socket module
        self._sending: asyncio.Task[None] | None = None
        self._is_ready = False
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._on_readable)

    def ready(self) -> None:
        """Report that this worker accepts connections."""
        self._report(READY)
        self._is_ready = True

    def unavailable(self) -> None:
        """Report that this worker ends because the database is unavailable."""
        self._report(UNAVAILABLE)

    def hand_over(self, line: bytes) -> None:
        """Send a line. It is dropped before this worker is ready, and while the last one is still being sent."""
        if self._is_ready and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send(line + b"\n"))

    async def handed_over(self) -> None:
        """Wait until the last line is sent."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the supervisor has ended
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    def _report(self, what: bytes) -> None:
        with contextlib.suppress(OSError):  # the supervisor has ended: the reader stops this process
            self._socket.send(what)

    def _on_readable(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        if self._received() == STOP:
            self._stop("the supervisor")
        else:
            log.warning(
                "supervisor.lost", "the supervisor has ended; stopping, because nothing would restart this process"
            )
            self._stop("the supervisor has ended")

    def _received(self) -> bytes:
        try:
            return self._socket.recv(len(STOP))
        except OSError:
            return b""
