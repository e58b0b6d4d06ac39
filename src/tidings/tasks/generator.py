# SPDX-License-Identifier: MIT
"""Starts the child processes that generate models, and ends them with the work or its cancellation.

A child is started by exec, with an empty environment. It limits its own CPU time and memory before it reads a schema
(`modeling.py`); the wall-clock limit is held here. A child that misbehaves is killed, and one more is started for the
event types that are left.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from tidings.model.export import BYTES_MAX, UnfitType
from tidings.tasks import modeling
from tidings.tasks.archive import GeneratorMissing, ModelRequest

START_SECONDS: Final = 60.0
REQUEST_SECONDS: Final = 120.0
"""Wall-clock time of one request, far above its CPU time: on a busy machine a child waits for its turn."""
AT_ONCE: Final = 2
"""Children of one process."""
_ANSWER_MAX: Final = 2 * BYTES_MAX
_LOST: Final = (asyncio.IncompleteReadError, ConnectionError, TimeoutError)


class ChildLost(Exception):
    """The child ended, or was ended, before it answered."""


@dataclass(slots=True)
class GenerationResult:
    """Encoded models by event type, and the skipped event types with the reasons."""

    pieces: list[tuple[str, bytes]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    lost: int = 0
    """Children that ended at an event type."""


class Generator:
    """Makes models in child processes."""

    __slots__ = ("_cpu_seconds", "_paths", "_room", "_seconds", "processes")

    def __init__(
        self,
        *,
        seconds: float = REQUEST_SECONDS,
        cpu_seconds: int = modeling.CPU_SECONDS,
        paths: Sequence[str] | None = None,
    ) -> None:
        """`paths` is where a child finds its modules: by default where this process finds its own."""
        self._seconds = seconds
        self._cpu_seconds = cpu_seconds
        self._paths = [str(Path(path).absolute()) for path in (sys.path if paths is None else paths)]
        self._room = asyncio.Semaphore(AT_ONCE)
        self.processes: set[int] = set()
        """The ids of the children that have not been waited for."""

    async def generate(self, requests: Sequence[ModelRequest]) -> GenerationResult:
        """Make what can be made; raises `GeneratorMissing` without the extra."""
        made, left = GenerationResult(), deque(requests)
        while left:
            async with self._child() as child:
                while left:
                    try:
                        answer = await self._request(child, modeling.MAKE, msgspec.json.encode(left[0]))
                    except ChildLost:
                        made.lost += 1
                        made.skipped.append((left.popleft().name, str(_TOO_COSTLY)))
                        break
                    _add_answer(made, left.popleft().name, answer)
        return made

    async def pack(self, parts: Sequence[bytes]) -> bytes:
        """Return the archive of all pieces."""
        async with self._child() as child:
            return (await self._request(child, modeling.PACK, b"[" + b",".join(parts) + b"]"))[1:]

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[Process]:
        """Have a child for the length of a block; at its end, however it ends, the child is dead and waited for."""
        async with self._room:
            child = await asyncio.create_subprocess_exec(
                *_command(self._paths, self._cpu_seconds),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
            self.processes.add(child.pid)
            try:
                async with asyncio.timeout(START_SECONDS):
                    await _read(child)
                yield child
            finally:
                if child.returncode is None:
                    child.kill()
                await child.wait()
                self.processes.discard(child.pid)

    async def _request(self, child: Process, kind: bytes, body: bytes) -> bytes:
        """Return a child's answer to one request, or raise `ChildLost`."""
        assert child.stdin is not None  # noqa: S101 - it was asked for
        try:
            async with asyncio.timeout(self._seconds):
                child.stdin.write(modeling.frame_of(kind, body))
                await child.stdin.drain()
                return await _read(child)
        except _LOST as error:
            raise ChildLost from error


_TOO_COSTLY: Final = UnfitType(
    "too_costly",
    f"making its models takes more than {modeling.CPU_SECONDS} s or {modeling.MEMORY_BYTES // 2**20} MiB of memory",
)


def _command(paths: Sequence[str], cpu_seconds: int) -> list[str]:
    """Return the command of a child; it gets its module paths as code, because its environment is empty."""
    call = f"main({os.getpid()}, {cpu_seconds})"
    code = f"import sys; sys.path[:] = {paths!r}; from tidings.tasks.modeling import main; {call}"
    return [sys.executable, "-I", "-B", "-X", "utf8", "-c", code]


async def _read(child: Process) -> bytes:
    assert child.stdout is not None  # noqa: S101 - it was asked for
    length = int.from_bytes(await child.stdout.readexactly(modeling.LENGTH))
    if length > _ANSWER_MAX:
        raise ConnectionError
    return await child.stdout.readexactly(length)


def _add_answer(made: GenerationResult, name: str, answer: bytes) -> None:
    kind, body = answer[:1], answer[1:]
    if kind == modeling.MISSING:
        raise GeneratorMissing
    if kind == modeling.MADE:
        made.pieces.append((name, body))
    else:
        made.skipped.append((name, body.decode()))
