# SPDX-License-Identifier: MIT
"""Ctrl-C while modules load ends the process immediately and without a word.

`KeyboardInterrupt` would print the stack of the import, or be lost: Python ignores it in the callbacks of the import
locks. Nothing needs an orderly end yet.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_INTERRUPTED: Final = 130
"""The exit code of commands that Ctrl-C has ended: 128 and the number of the signal."""


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End with 130 on SIGINT for the length of a block, unless SIGINT is ignored or has a handler."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(_INTERRUPTED)
