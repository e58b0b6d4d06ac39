# SPDX-License-Identifier: MIT
"""The stop of a process, bounded in time.

The first SIGTERM or SIGINT asks for an orderly stop and sets its end. A process that still runs then is ended from a
thread of its own: no database that stopped answering, no reader and no busy loop can hold it. What was not handed back
stays leased and is taken over, so nothing depends on an orderly end. A second signal ends the process at once.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable
from typing import Final

from tidings.observe import failure, log

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
MARGIN_SECONDS: Final = 0.5
"""How long after its end a stop is cut off."""
_LEAST_SECONDS: Final = 0.05
_SIGNALED: Final = 128
_CUT_OFF: Final = 1
_INIT: Final = 1


class Stop:
    """The stop of this process: whether it was requested, and its deadline."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self.asked = asyncio.Event()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from here on."""
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._hear, number)

    def _hear(self, number: signal.Signals) -> None:
        if self.asked.is_set():
            os._exit(_SIGNALED + number)
        self.asked.set()
        asyncio.get_running_loop().call_later(self._grace, _warn, self._grace)
        leave_within(self._grace + MARGIN_SECONDS, code=_CUT_OFF)
        if os.getpid() != _INIT:  # a process 1 ignores a signal without a handler
            for each in SIGNALS:
                signal.signal(each, signal.SIG_DFL)


def leave_within(seconds: float, code: int = 0) -> None:
    """End the process soon, whatever still runs; what is stored is whole at any time.

    A name look-up that hangs holds its thread, and the interpreter would wait for that for as long as it takes.
    """
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _warn(grace: float) -> None:
    log.warning("the stop took longer than shutdown_grace (%g s); what was not handed back stays leased", grace)


class ShutdownBudget:
    """The time budget of a shutdown. A part is reserved for handing back deliveries that were not sent."""

    def __init__(self, grace: float, reserved: float) -> None:
        self._ends_at = asyncio.get_running_loop().time() + grace
        self._reserved = min(reserved, grace / 4)

    def left(self) -> float:
        """Return the seconds until the end."""
        return max(_LEAST_SECONDS, self._ends_at - asyncio.get_running_loop().time())

    def free(self) -> float:
        """Return the seconds until the reserved part begins."""
        return max(_LEAST_SECONDS, self.left() - self._reserved)


async def within(seconds: float, **works: Awaitable[object]) -> None:
    """Await works up to a deadline. A late one is canceled and not awaited, since its end may take as long again."""
    named = {name: asyncio.ensure_future(work) for name, work in works.items()}
    if not named:
        return
    await asyncio.wait(named.values(), timeout=seconds)
    for name, work in named.items():
        if not work.done():
            log.warning("stopping: %s did not end in time", name)
            work.cancel()
        elif not work.cancelled() and (error := work.exception()) is not None:
            failure(f"stopping {name}", error)
