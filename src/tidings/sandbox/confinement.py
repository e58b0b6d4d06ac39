# SPDX-License-Identifier: MIT
"""Take every right from a child process before it runs the first script; used in the child alone.

Linux: no_new_privs and a seccomp filter, which permits the system calls of an interpreter that computes, and of a
conversation over two open descriptors. All others fail: no sockets, files, processes, signals or shared memory. Where
the kernel has no filter, a network namespace of its own takes the network away. Elsewhere only the limits remain.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
from pathlib import Path
from typing import Final

_NO_NEW_PRIVS: Final = 38
_SET_DEATH_SIGNAL: Final = 1
_SET_SECCOMP: Final = 22
_FILTER_MODE: Final = 2
_NEW_USER_AND_NETWORK: Final = 0x10000000 | 0x40000000
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050001  # the call fails with EPERM
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_AT_NUMBER, _AT_ARCHITECTURE = 0, 4

# Reads and writes of open descriptors, memory, signals of its own, clocks, locks, random bytes, and the end: in this
# order, from `read` and `write` to `exit_group` and `getrandom`.
_CALLS: Final = {
    "x86_64": (
        *(0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24),
        *(25, 28, 38, 60, 96, 98, 100, 131, 202, 219, 228, 231, 318),
    ),
    "aarch64": (
        *(63, 64, 57, 80, 62, 222, 226, 215, 214, 134, 135, 139, 124),
        *(216, 233, 103, 93, 169, 165, 153, 132, 98, 128, 113, 94, 278),
    ),
}
_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_OVERHEAD_BYTES: Final = 64 << 20
"""Address space beside the scripts: copies of a payload, and what the allocators reserve."""
_UNKNOWN_SIZE: Final = 256 << 20
_DESCRIPTORS_MAX: Final = 1 << 20


def end_with_parent(parent: int) -> bool:
    """Let the kernel kill this process when its parent, a process id, ends; return whether it will. Linux alone can.

    Exits if the parent has ended already.
    """
    if platform.system() != "Linux":
        return False
    is_set = ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0) == 0
    if os.getppid() != parent:
        os._exit(1)
    return bool(is_set)


def confine(memory_bytes: int) -> str:
    """Take the rights of this process away; return how: "seccomp", "network namespace" or "limits".

    `memory_bytes` is the memory of one script.
    """
    os.closerange(3, _DESCRIPTORS_MAX)  # whatever this process's parent had inherited itself
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for each in (signal.SIGINT, signal.SIGTERM):  # the parent ends this process, also if a signal reaches the group
        signal.signal(each, signal.SIG_IGN)
    _limit(memory_bytes)
    return _isolate() if platform.system() == "Linux" else "limits"


def _limit(memory_bytes: int) -> None:
    limits = {
        resource.RLIMIT_AS: _address_space() + 2 * memory_bytes + _OVERHEAD_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    for which, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # a system without this limit
            resource.setrlimit(which, (most, most))


def _address_space() -> int:
    """Return the bytes of address space in use."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    except OSError:
        return _UNKNOWN_SIZE
    return pages * resource.getpagesize()


def _isolate() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    # A filter needs no_new_privs: without it, a program with more rights could be misled by failing calls.
    is_sealed = libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    has_namespace = libc.unshare(_NEW_USER_AND_NETWORK) == 0
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # no new descriptor; the open ones stay
    if is_sealed and _filter(libc):
        return "seccomp"
    return "network namespace" if has_namespace else "limits"


def _filter(libc: ctypes.CDLL) -> bool:
    """Install the seccomp filter; return whether the kernel took it."""
    machine = platform.machine()
    if machine not in _CALLS:
        return False
    program = _program(_ARCHITECTURES[machine], _CALLS[machine])
    code = ctypes.create_string_buffer(program)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    filter_ = Program(len(program) // 8, ctypes.addressof(code))
    return bool(libc.prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(filter_), 0, 0) == 0)


def _program(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """Return the filter as BPF: the architecture must be this one, and the number of the call in the list."""
    steps = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _AT_NUMBER),
        *((_JUMP_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
