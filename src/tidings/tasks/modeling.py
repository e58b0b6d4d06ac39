# SPDX-License-Identifier: MIT
"""The child process that makes models: it reads requests from its standard input and answers on its standard output.

A schema is a customer's input, and generators were not written for hostile ones. So this process has nothing to lose:
no environment, no descriptors but its pipes, no right to gain privileges, and limits on CPU time and memory that end
it. It ends with its parent. A frame is a length of four bytes, a letter and a body.
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
"""Of one request."""
_NICE: Final = 5
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_request: Final = msgspec.json.Decoder(ModelRequest)


def frame_of(kind: bytes, body: bytes) -> bytes:
    """Return a frame."""
    return (1 + len(body)).to_bytes(LENGTH) + kind + body


def main(parent: int, cpu_seconds: int = CPU_SECONDS) -> None:
    """Answer requests until the parent closes the pipe."""
    _confine(parent)
    answers, requests = _pipes()
    archive.warm_up()
    _answer(answers, frame_of(READY, b""))
    for kind, body in _frames(requests):
        _limit_cpu(cpu_seconds)
        _answer(answers, _pack(body) if kind == PACK else _generate(body))


def _confine(parent: int) -> None:
    """Give up what this process does not need, before it reads anything."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.nice(_NICE)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)  # the parent decides when this process ends
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def _limit_cpu(seconds: int) -> None:
    """Have the kernel end this process once it has used more than a request may take."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    ends_at = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (ends_at, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipe for answers, and let what a generator prints go nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers, sys.stdin.buffer


def _frames(requests: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    while len(head := requests.read(LENGTH)) == LENGTH:
        frame = requests.read(int.from_bytes(head))
        yield frame[:1], frame[1:]


def _answer(answers: BinaryIO, frame: bytes) -> None:
    answers.write(frame)
    answers.flush()


def _generate(body: bytes) -> bytes:
    """Return the models of one event type, or why there are none."""
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
