# SPDX-License-Identifier: MIT
"""Generation of models in child processes, which end with the work or its cancellation.

A child is started by exec with an empty environment. It limits its own CPU time and memory before it reads a schema
(`modeling.py`); this module enforces the wall-clock limit. A child that exceeds a limit is killed, and a new child
continues with the remaining event types.
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
"""The wall-clock limit of one request, far above its CPU limit, because a child on a busy machine waits for CPU."""
MAX_CHILDREN: Final = 2
"""The most children that one process runs at a time."""
_RESPONSE_MAX: Final = 2 * BYTES_MAX
_LOST: Final = (asyncio.IncompleteReadError, ConnectionError, TimeoutError)


class ChildLost(Exception):
    """The child ended, or was killed, before it responded."""


@dataclass(slots=True)
class GenerationResult:
    """The encoded models of each event type, and the skipped event types with their reasons."""

    pieces: list[tuple[str, bytes]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    lost: int = 0
    """The number of event types at which a child ended."""


class Generator:
    """Generates models in child processes."""

    __slots__ = ("_cpu_seconds", "_paths", "_seconds", "_slots", "processes")

    def __init__(
        self,
        *,
        seconds: float = REQUEST_SECONDS,
        cpu_seconds: int = modeling.CPU_SECONDS,
        paths: Sequence[str] | None = None,
    ) -> None:
        """`paths` is the module search path of the children: by default that of this process."""
        self._seconds = seconds
        self._cpu_seconds = cpu_seconds
        self._paths = [str(Path(path).absolute()) for path in (sys.path if paths is None else paths)]
        self._slots = asyncio.Semaphore(MAX_CHILDREN)
        self.processes: set[int] = set()
        """The process ids of the children that have not been reaped."""

    async def generate(self, requests: Sequence[ModelRequest]) -> GenerationResult:
        """Generate the models of each event type, or the reason why it has none. Raises `GeneratorMissing`."""
        result, remaining = GenerationResult(), deque(requests)
        while remaining:
            async with self._child() as child:
                while remaining:
                    try:
                        response = await self._request(child, modeling.MAKE, msgspec.json.encode(remaining[0]))
                    except ChildLost:
                        result.lost += 1
                        result.skipped.append((remaining.popleft().name, str(_TOO_COSTLY)))
                        break
                    _add_response(result, remaining.popleft().name, response)
        return result

    async def pack(self, parts: Sequence[bytes]) -> bytes:
        """Return the archive of all models."""
        async with self._child() as child:
            return (await self._request(child, modeling.PACK, b"[" + b",".join(parts) + b"]"))[1:]

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[Process]:
        """Run a child for the length of a block. However the block ends, the child is killed and reaped."""
        async with self._slots:
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
        """Return a child's response to one request. Raises `ChildLost`."""
        assert child.stdin is not None  # noqa: S101 - the child has a pipe
        try:
            async with asyncio.timeout(self._seconds):
                child.stdin.write(modeling.frame_of(kind, body))
                await child.stdin.drain()
                return await _read(child)
        except _LOST as error:
            raise ChildLost from error


_TOO_COSTLY: Final = UnfitType(
    "too_costly",
    f"generating its models takes more than {modeling.CPU_SECONDS} s or {modeling.MEMORY_BYTES // 2**20} MiB of memory",
)


def _command(paths: Sequence[str], cpu_seconds: int) -> list[str]:
    """Return the command of a child. Its module paths are passed as code, because its environment is empty."""
    call = f"main({os.getpid()}, {cpu_seconds})"
    code = f"import sys; sys.path[:] = {paths!r}; from tidings.tasks.modeling import main; {call}"
    return [sys.executable, "-I", "-B", "-X", "utf8", "-c", code]


async def _read(child: Process) -> bytes:
    assert child.stdout is not None  # noqa: S101 - the child has a pipe
    length = int.from_bytes(await child.stdout.readexactly(modeling.LENGTH))
    if length > _RESPONSE_MAX:
        raise ConnectionError
    return await child.stdout.readexactly(length)


def _add_response(result: GenerationResult, name: str, response: bytes) -> None:
    kind, body = response[:1], response[1:]
    if kind == modeling.MISSING:
        raise GeneratorMissing
    if kind == modeling.MADE:
        result.pieces.append((name, body))
    else:
        result.skipped.append((name, body.decode()))
