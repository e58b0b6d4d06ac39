# SPDX-License-Identifier: MIT
"""The shutdown of a process, within a deadline.

The first SIGTERM or SIGINT requests an orderly shutdown and sets its deadline. If the process still runs after the
deadline, a separate thread ends it, so an unresponsive database, a slow client or a busy event loop cannot delay the
end. Deliveries and tasks that were not handed back stay leased, and other nodes take them over after lease expiry. So
correctness does not depend on an orderly shutdown. A second signal ends the process immediately.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable
from typing import Final

from tidings.logs import log
from tidings.observe import failure

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
MARGIN_SECONDS: Final = 0.5
"""The time between the deadline and the forced end."""
_LEAST_SECONDS: Final = 0.05
_SIGNALED: Final = 128
_CUT_OFF: Final = 1
_INIT: Final = 1


class Stop:
    """The shutdown of this process: whether it was requested, and its deadline."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self.requested = asyncio.Event()
        self.reason = ""
        """Why the shutdown was requested: the name of a signal, or a phrase."""

    def listen(self) -> None:
        """Handle SIGTERM and SIGINT from now on."""
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)

    def request(self, reason: str) -> None:
        """Request the shutdown, as the first signal does; ignored if it is in progress."""
        if not self.requested.is_set():
            self.reason = reason
            self._on_signal(signal.SIGTERM)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.requested.is_set():
            os._exit(_SIGNALED + number)
        self.reason = self.reason or signal.Signals(number).name
        self.requested.set()
        asyncio.get_running_loop().call_later(self._grace, _warn, self._grace)
        leave_within(self._grace + MARGIN_SECONDS, code=_CUT_OFF)
        if os.getpid() != _INIT:  # process 1 ignores signals without a handler
            for handled in SIGNALS:
                signal.signal(handled, signal.SIG_DFL)


def leave_within(seconds: float, code: int = 0) -> None:
    """End the process after a delay, whatever still runs. This is safe: each transaction commits as a whole.

    The interpreter would wait for all threads, and a name lookup that hangs blocks its thread indefinitely.
    """
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _warn(grace: float) -> None:
    log.warning(
        "stop.late", "the shutdown took longer than shutdown_grace; unfinished work stays leased", shutdown_grace=grace
    )


class ShutdownBudget:
    """The time budget of a shutdown. A part is reserved to hand back deliveries that were not sent."""

    def __init__(self, grace: float, reserved: float) -> None:
        self._ends_at = asyncio.get_running_loop().time() + grace
        self._reserved = min(reserved, grace / 4)

    def left(self) -> float:
        """Return the seconds until the deadline."""
        return max(_LEAST_SECONDS, self._ends_at - asyncio.get_running_loop().time())

    def free(self) -> float:
        """Return the seconds until the reserved part starts."""
        return max(_LEAST_SECONDS, self.left() - self._reserved)


async def within(seconds: float, **works: Awaitable[object]) -> None:
    """Await named work up to a deadline. Late work is canceled but not awaited, as its end may take longer still."""
    named = {name: asyncio.ensure_future(work) for name, work in works.items()}
    if not named:
        return
    await asyncio.wait(named.values(), timeout=seconds)
    for name, work in named.items():
        if not work.done():
            log.warning("stop.late", "a part did not stop in time", part=name)
            work.cancel()
        elif not work.cancelled() and (error := work.exception()) is not None:
            failure("stopping a part", error, part=name)
