# SPDX-License-Identifier: MIT
"""Whose turn it is with SQLite's one writer: one owner at a time, and those go first for whom somebody waits."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

_LATELY_SECONDS: Final = 1.0
_LONG_SECONDS: Final = 0.02
"""How long a patient one lets all others go first. Longer than a commit whose wait for the disk is a long one."""
_Waiting = deque[tuple[float, asyncio.Future[None]]]


class Demand:
    """Whether anybody for whom somebody waits has written lately."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at = float("-inf")

    def note(self) -> None:
        """Note that somebody writes now."""
        self._at = time.monotonic()

    @property
    def is_there(self) -> bool:
        """Whether somebody has, a moment ago."""
        return time.monotonic() - self._at < _LATELY_SECONDS


class Turns:
    """A lock with two queues.

    Who is *patient* (settling, claiming, a chunk of a task: nobody waits for them) lets the others go first. Once one
    has waited for long they take turns, so that neither starves the other: who is not patient waits for one patient
    owner at most, however many of them there are. Who comes from one turn straight to the next has not gone away in
    between. `urgent_only` holds back the patient ones altogether.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock = clock
        self._urgent: Final = _Waiting()
        self._patient: Final = _Waiting()
        self._is_taken = False
        self._was_urgent = False
        self._held_back = 0

    @asynccontextmanager
    async def turn(self, *, patient: bool = False) -> AsyncIterator[None]:
        """Own the writer for the length of a block."""
        await self._take(patient=patient)
        try:
            yield
        finally:
            self._release()

    @asynccontextmanager
    async def urgent_only(self) -> AsyncIterator[None]:
        """Give no turn to patient ones that have yet to begin, for the length of a block."""
        self._held_back += 1
        try:
            yield
        finally:
            self._held_back -= 1
            if not self._is_taken:
                self._pass_on()

    async def _take(self, *, patient: bool) -> None:
        if not self._is_taken and self._may_begin(patient=patient):
            self._begin(urgent=not patient)
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._patient if patient else self._urgent).append((self._clock(), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # the turn had come, and is nobody's now
                self._pass_on()
            raise

    def _release(self) -> None:
        """Give the turn back. An owner who is not patient may come again at once, before a patient one has the turn."""
        if self._was_urgent and not self._urgent and self._patient:
            self._is_taken = False
            asyncio.get_running_loop().call_soon(self._offer)
        else:
            self._pass_on()

    def _offer(self) -> None:
        if not self._is_taken:
            self._pass_on()

    def _may_begin(self, *, patient: bool) -> bool:
        """Tell whether somebody may take the turn that nobody has: there may be patient ones to whom it is offered."""
        if patient:
            return not self._held_back and not self._patient
        return not self._has_long_waited()

    def _has_long_waited(self) -> bool:
        """Tell whether it is a patient one's turn for once."""
        if not self._was_urgent or self._held_back or not self._patient:
            return False
        return self._clock() - self._patient[0][0] > _LONG_SECONDS

    def _pass_on(self) -> None:
        """Hand the turn to the next, without a moment in which somebody else could take it."""
        waiting = self._next()
        self._is_taken = waiting is not None
        if waiting is not None:
            self._begin(urgent=waiting is self._urgent)
            waiting.popleft()[1].set_result(None)

    def _begin(self, *, urgent: bool) -> None:
        self._is_taken, self._was_urgent = True, urgent

    def _next(self) -> _Waiting | None:
        """Return the queue whose turn it is, without those who were cancelled while they waited."""
        for waiting in (self._urgent, self._patient):
            while waiting and waiting[0][1].done():
                waiting.popleft()
        if self._urgent and not self._has_long_waited():
            return self._urgent
        return None if self._held_back or not self._patient else self._patient
