# SPDX-License-Identifier: MIT
"""The child process that generates models. It reads requests from standard input and responds on standard output.

A schema is untrusted input, and the generators are not hardened against it. So this process runs without an
environment, without descriptors other than its pipes, without a way to gain privileges, and with limits on CPU time and
memory. It ends with its parent. A frame is a length of four bytes, a letter and a body.
"""

import ctypes
import math
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from tidings.model.export import PIECE_BYTES_MAX, UnfitType
from tidings.tasks import archive
from tidings.tasks.archive import GeneratorMissing, ModelRequest

READY: Final = b"R"
MAKE: Final = b"M"
PACK: Final = b"K"
MADE: Final = b"P"
PACKED: Final = b"Z"
UNFIT: Final = b"U"
MISSING: Final = b"N"
LENGTH: Final = 4
MEMORY_BYTES: Final = 512 * 1024 * 1024
CPU_SECONDS: Final = 10
"""The limit for one request."""
_NICE: Final = 5
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_request: Final = msgspec.json.Decoder(ModelRequest)


def frame_of(kind: bytes, body: bytes) -> bytes:
    """Return a frame of one letter and a body, preceded by their length."""
    return (1 + len(body)).to_bytes(LENGTH) + kind + body


def main(parent: int, cpu_seconds: int = CPU_SECONDS) -> None:
    """Serve requests until the parent closes the pipe."""
    _confine(parent)
    responses, requests = _pipes()
    archive.warm_up()
    _respond(responses, frame_of(READY, b""))
    for kind, body in _frames(requests):
        _limit_cpu(cpu_seconds)
        _respond(responses, _pack(body) if kind == PACK else _generate(body))


def _confine(parent: int) -> None:
    """Drop the rights that this process does not need, before it reads any input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.nice(_NICE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def _limit_cpu(seconds: int) -> None:
    """Let the kernel kill this process once it uses more CPU time for the next request than allowed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    ends_at = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (ends_at, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes for responses and requests. Output that a generator prints is discarded."""
    responses = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    return responses, sys.stdin.buffer


def _frames(requests: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    while len(head := requests.read(LENGTH)) == LENGTH:
        frame = requests.read(int.from_bytes(head))
        yield frame[:1], frame[1:]


def _respond(responses: BinaryIO, frame: bytes) -> None:
    responses.write(frame)
    responses.flush()


def _generate(body: bytes) -> bytes:
    """Return a frame with the models of one event type, or with the reason why it has none."""
    try:
        piece = msgspec.json.encode(archive.generate(_request.decode(body)))
    except GeneratorMissing:
        return frame_of(MISSING, b"")
    except UnfitType as error:
        return frame_of(UNFIT, str(error).encode())
    if len(piece) > PIECE_BYTES_MAX:
        return frame_of(UNFIT, f"too_large: the models have more than {PIECE_BYTES_MAX // 2**20} MiB".encode())
    return frame_of(MADE, piece)


def _pack(body: bytes) -> bytes:
    return frame_of(PACKED, archive.pack(body))
