# SPDX-License-Identifier: MIT
"""The frames between a process and its children: fixed heads, then parts of known lengths; used on both sides.

The parent trusts no frame of a child: a script that broke out of the interpreter may have written it. A frame that is
too long, answers another run, or comes unrequested ends the child.
"""

import struct
from enum import IntEnum
from typing import Final

REQUEST: Final = struct.Struct("!QBIII")
"""Number of the run, a value of `Action`, and the bytes of script, webhook and payload, which follow."""
REPLY: Final = struct.Struct("!QBIII")
"""Number of the run, a value of `ReplyStatus`, its CPU time, and the bytes of head and payload, which follow.

The CPU time, in microseconds, is a hint, which a child may lie about: see `run_queues`.
"""
PAYLOAD_MAX: Final = 1 << 20
HEAD_MAX: Final = 256 << 10
HELLO: Final = 0
"""The number of the frame in which a child reports that it is ready."""


class Action(IntEnum):
    """What a child is to do with a script."""

    COMPILE = 1
    RUN = 2


class ReplyStatus(IntEnum):
    """How a run ended."""

    DONE = 0
    """The head is what the script returned, as JSON."""
    UNCHANGED = 1
    """As `DONE`, with the payload as it was."""
    FAILED = 2
    """The head is the error, as JSON."""
    EXPIRED = 3
    """As `FAILED`: the script has used its time."""
    EXHAUSTED = 4
    """As `FAILED`: the script has used its memory, and the child is to be replaced."""
