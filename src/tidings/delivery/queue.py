# SPDX-License-Identifier: MIT
"""What this process has in memory to send: a line for each endpoint, bounded, and the sends under way.

A line starts sends while it has room for them and hands back what has waited too long, so that a lease never ends
with its delivery unsent. When a line is full, or live rows of its endpoint wait in the database, it is *behind*: then
new deliveries are left in the database too, where they are claimed in the order in which they became due.

What tasks send again never stands before live work: it waits apart, one send in ten is its own while live ones wait,
and rows of it in the database put no line behind. Where nothing live waits it is begun grain by grain, one send in a
turn of the loop, and while live messages come at all only in the time that they leave.

Sends begin a few at a time: what does not begin in this turn of the loop waits for the next, one send of each line
after another, so that a thousand lines that fill at once hold up nobody. The sends in flight of all lines are bounded
too; once half of that is used, each line has a few. `places` says which line is next.

A line where nothing answers any more is *narrow*: after so many sends in a row that got no answer at all it has a few
sends under way and few waiting, and is filled from the database by the clock and not by each send that ends, so that
a dead endpoint with a hundred thousand due retries takes little from the others. One answer makes it wide again.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tidings.clock import Clock
from tidings.delivery.budget import Bounds, Budget
from tidings.delivery.line import Cancellable, Line
from tidings.delivery.places import Places
from tidings.delivery.spare import SpareTime
from tidings.model.routing import Receiver, Send

_SWEEP_SECONDS: Final = 0.25
_LINES_KEPT: Final = 4_096
_NEVER: Final = float("-inf")
_TURNED_SECONDS: Final = 60.0
"""How long it is remembered that an endpoint has changed: longer than a delivery waits in memory."""
_UNANSWERED: Final = 10
"""Sends in a row without an answer that make a line narrow."""
_NARROW: Final = 4
"""Sends under way from a narrow line."""
_NARROW_WAITING: Final = 24
"""Deliveries that wait in a narrow line."""
_NO_TIME_SECONDS: Final = 0.002
"""After how long it is looked again whether there is time for what tasks send again."""


class Queue:
    """All lines of one process.

    `start` begins a send and never raises, and `finished` must be called when it has ended. `hand_back` takes
    deliveries that are not sent after all; `wanting` is told when there is room for what waits in the database.
    """

    def __init__(
        self,
        bounds: Bounds,
        clock: Clock,
        *,
        start: Callable[[Send], Cancellable],
        hand_back: Callable[[list[Send]], None],
        wanting: Callable[[], None],
    ) -> None:
        self._bounds = bounds
        self._clock = clock
        self._start = start
        self._hand_back = hand_back
        self._wanting = wanting
        self._lines: dict[str, Line] = {}
        self._turned: dict[str, float] = {}
        self.budget = Budget(bounds.memory, bounds.memory_bytes)
        self._places = Places(bounds.in_flight, bounds.memory)
        self._turn: asyncio.Handle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._starved = False
        self._closed = False
        self._spare = SpareTime()
        self._replaying: dict[Line, None] = {}
        """Lines with replays to begin, the next one first."""
        self._replayer: asyncio.Handle | None = None

    @property
    def held(self) -> int:
        """How many deliveries are in memory."""
        return self.budget.held

    def reserve(self, endpoint_id: str) -> bool:
        """Reserve a place for a new delivery of an endpoint, if it may come to memory at once."""
        if not self.fits(endpoint_id):
            return False
        self.budget.reserved += 1
        return True

    def oldest_start(self) -> float | None:
        """Return when the oldest send under way was started, on the monotonic clock."""
        found = (getattr(each, "started_at", None) for line in self._lines.values() for each in line.under_way.values())
        return min((moment for moment in found if moment is not None), default=None)

    def fits(self, endpoint_id: str) -> bool:
        """Tell whether a new delivery of an endpoint may come to memory at once."""
        if self._closed or self.budget.left <= 0:
            return False
        line = self._lines.get(endpoint_id)
        if line is None:
            return self.left_for_unanswered > 0
        if not line.answers and self.left_for_unanswered <= 0:
            return False
        most = _NARROW_WAITING if line.is_narrow else self._bounds.line
        return not line.behind and len(line.waiting) < most

    @property
    def left_for_unanswered(self) -> int:
        """Return how many more deliveries may be in memory of endpoints that have not answered."""
        return self._places.left_for_unanswered - self.budget.reserved

    def room(self, endpoint_id: str) -> int:
        """Return how many rows of an endpoint a claim may take, as far as memory has room for them."""
        if self._closed:
            return 0
        line = self._lines.get(endpoint_id)
        held = 0 if line is None else line.held
        most = _NARROW_WAITING if line is not None and line.is_narrow else 3 * self._bounds.concurrency
        return max(0, most - held)

    def starve(self) -> None:
        """Note that memory has no room for rows that are due: they are asked for once it is half empty."""
        self._starved = True

    def answers(self, endpoint_id: str) -> bool:
        """Tell whether the last send to an endpoint got an answer."""
        line = self._lines.get(endpoint_id)
        return line is not None and line.answers

    def is_narrow(self, endpoint_id: str) -> bool:
        """Tell whether nothing answers at an endpoint."""
        line = self._lines.get(endpoint_id)
        return line is not None and line.is_narrow

    def spare(self, endpoint_id: str) -> int:
        """Return how many deliveries that came to memory now would be sent at once."""
        if self._closed:
            return 0
        line = self._lines.get(endpoint_id)
        if line is None:
            return self._bounds.concurrency
        return max(0, line.concurrency - line.held)

    def is_crowded(self, endpoint_id: str) -> bool:
        """Tell whether half or more of an endpoint's places are taken, or nothing answers there."""
        line = self._lines.get(endpoint_id)
        return line is not None and (line.is_narrow or 2 * len(line.under_way) >= line.concurrency)

    def take(self, sends: Iterable[Send]) -> None:
        """Take committed deliveries into memory and start what can be started; when closed, hand them back."""
        if self._closed:
            self._hand_back(list(sends))
            return
        touched: dict[str, Line] = {}
        for send in self._current(sends) if self._turned else sends:
            line = self._line(send.receiver)
            line.receiver = send.receiver
            line.add(send)
            touched[send.receiver.id] = line
            self.budget.keep(send)
            self._places.keep(line)
        if any(line.waiting for line in touched.values()):
            self._spare.urgent()
        for line in touched.values():
            self._advance(line)
        if self._sweeper is None and self.budget.held:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def fall_behind(self, endpoint_ids: Iterable[str]) -> None:
        """Note that due live rows of these endpoints wait in the database."""
        for endpoint_id in endpoint_ids:
            line = self._lines.get(endpoint_id)
            if line is not None:
                line.behind = True

    def asks(self, endpoint_id: str) -> bool:
        """Note that rows wait in the database for which nothing live need wait; tell whether their line asks for them.

        It does once it is half empty, unless it is now, or is filled by the clock.
        """
        line = self._lines.get(endpoint_id)
        if line is None:
            return False
        line.has_more = True
        return not line.is_half_empty and not line.is_narrow and not line.receiver.limits

    def catch_up(self, endpoint_id: str, *, live_only: bool = False) -> None:
        """Note that no due rows of an endpoint wait in the database, or no live ones."""
        line = self._lines.get(endpoint_id)
        if line is not None:
            line.behind = False
            line.has_more = live_only

    def finished(self, send: Send, *, unanswered: bool = False) -> bool:
        """Note that a send has ended, and start the next; tell whether its line has just become narrow."""
        line = self._lines[send.receiver.id]
        if line.under_way.pop(send, None) is not None:
            self._places.free(line)
            self._end(line, send)
        narrowed = False
        if line.answers is unanswered:
            self._places.judge(line, answers=not unanswered)
        if unanswered:
            narrowed = self._narrowed(line)
        elif line.unanswered:
            self._widen(line)
        self._advance(line)
        self._advance_others()
        if self._emptied is not None and not self.budget.held:
            self._emptied.set()
        if self._starved and self.budget.is_half_empty:
            self._starved = False
            self._wanting()
        return narrowed

    def _end(self, line: Line, send: Send) -> None:
        self.budget.end(send)
        self._places.drop(line)

    def _narrowed(self, line: Line) -> bool:
        line.unanswered += 1
        if line.unanswered < _UNANSWERED or line.is_narrow:
            return False
        self._narrow(line)
        self._give_back(line, line.emptied(_NARROW_WAITING))
        self._wanting()
        return True

    def _narrow(self, line: Line) -> None:
        line.is_narrow = True
        line.unanswered = max(line.unanswered, 1)
        line.concurrency = min(_NARROW, self._bounds.concurrency)

    def _widen(self, line: Line) -> None:
        line.unanswered = 0
        line.is_narrow = False
        line.concurrency = self._bounds.concurrency

    def turn_away(self, endpoint_id: str) -> None:
        """Hand back what waits for an endpoint that receives no more, or is sent to otherwise."""
        self._turned[endpoint_id] = self._clock.monotonic()
        line = self._lines.get(endpoint_id)
        if line is not None:
            self._give_back(line, line.emptied())

    def _current(self, sends: Iterable[Send]) -> list[Send]:
        """Hand back deliveries that were leased before their endpoint changed, and return the others.

        Whoever leased them may have read the endpoint as it was before, and comes here when it has committed.
        """
        latest = self._clock.monotonic() - _TURNED_SECONDS
        self._turned = {endpoint_id: moment for endpoint_id, moment in self._turned.items() if moment > latest}
        current: list[Send] = []
        stale: list[Send] = []
        for send in sends:
            is_stale = send.leased_at <= self._turned.get(send.receiver.id, _NEVER)
            (stale if is_stale else current).append(send)
        if stale:
            self.fall_behind({send.receiver.id for send in stale})
            self._hand_back(stale)
            self._wanting()
        return current

    def close(self) -> list[Send]:
        """Start nothing more; return what waits, which the caller hands back."""
        self._closed = True
        for timer in (self._sweeper, self._replayer, self._turn):
            if timer is not None:
                timer.cancel()
        left = []
        for line in self._lines.values():
            for send in line.emptied():
                self._end(line, send)
                left.append(send)
        return left

    async def emptied(self, seconds: float) -> None:
        """Wait until nothing is in memory, but not longer than so many seconds."""
        self._emptied = asyncio.Event()
        if self.budget.held:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)

    def cut(self) -> list[Send]:
        """Stop every send under way; return them: they store no attempt and are sent again."""
        cut = []
        for line in self._lines.values():
            for send, sending in line.under_way.items():
                sending.cancel()
                self._end(line, send)
                cut.append(send)
            line.under_way.clear()
        self._places.clear()
        return cut

    def lines(self) -> Iterator[Line]:
        """Go through the lines."""
        return iter(self._lines.values())

    def _line(self, receiver: Receiver) -> Line:
        line = self._lines.get(receiver.id)
        if line is None:
            if len(self._lines) >= _LINES_KEPT:
                self._forget_idle()
            line = self._lines[receiver.id] = Line(receiver, self._bounds.concurrency)
            if receiver.is_marked:  # it did not work when it was last heard of: one answer makes the line wide
                self._narrow(line)
        return line

    def forget(self, endpoint_id: str) -> None:
        """Let go of the line of an endpoint that receives no more, unless something is in it."""
        line = self._lines.get(endpoint_id)
        if line is not None and not line.held:
            del self._lines[endpoint_id]

    def _forget_idle(self) -> None:
        for endpoint_id in [key for key, line in self._lines.items() if not line.held]:
            if not (self._lines[endpoint_id].behind or self._lines[endpoint_id].has_more):
                del self._lines[endpoint_id]

    def _advance(self, line: Line) -> None:
        if self._closed:
            return
        while line.waiting and len(line.under_way) < self._places.concurrency(line):
            if not self._places.may_begin(line):
                self._places.wait(line)
                break
            self._begin(line)
        self._go_on(line)

    def _go_on(self, line: Line) -> None:
        """See to what a line has besides live deliveries, once those have begun that may."""
        if line.replays and len(line.under_way) < self._places.concurrency(line):
            self._replaying[line] = None
            if self._replayer is None:
                self._replayer = asyncio.get_running_loop().call_soon(self._replay)
        self._ask(line)

    def _advance_others(self) -> None:
        """Have lines go on that wait for a turn of the loop or for another line's send to end."""
        if self._closed:
            return
        if self._places.has_next and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._next_turn)
        if self._replaying and self._replayer is None and self._next_replaying() is not None:
            self._replayer = asyncio.get_running_loop().call_soon(self._replay)

    def _next_turn(self) -> None:
        """Begin the next sends, one of each line after another."""
        self._turn = None
        self._places.begun = 0
        while not self._closed and (line := self._places.next()) is not None:
            if line.waiting and len(line.under_way) < self._places.concurrency(line):
                self._begin(line)
            if line.waiting and len(line.under_way) < self._places.concurrency(line):
                self._places.wait(line)
            self._go_on(line)
        self._advance_others()

    def _replay(self) -> None:
        """Begin one send that a task has asked for, if there is time, and come again while there are more."""
        self._replayer = None
        if self._closed or (line := self._next_replaying()) is None:
            return  # a send that ends has it go on
        has_time = self._spare.is_left()
        if has_time:
            del self._replaying[line]
            if line.replays and len(line.under_way) < self._places.concurrency(line):
                self._begin(line)
                self._advance(line)
        if self._replaying and self._replayer is None:
            loop = asyncio.get_running_loop()
            self._replayer = (
                loop.call_soon(self._replay) if has_time else loop.call_later(_NO_TIME_SECONDS, self._replay)
            )

    def _next_replaying(self) -> Line | None:
        return next((each for each in self._replaying if self._places.has_place(answers=each.answers)), None)

    def _ask(self, line: Line) -> None:
        """Ask for more of what waits in the database once a line is half empty."""
        if (line.behind or line.has_more) and line.is_half_empty:
            self._want(line)

    def _want(self, line: Line) -> None:
        """Ask for more of what waits in the database, unless that comes by the clock."""
        if not line.is_narrow and not line.receiver.limits:
            self._wanting()

    def _begin(self, line: Line) -> None:
        send = line.next()
        send.receiver = line.receiver
        if self._places.take(line) and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._next_turn)
        line.under_way[send] = self._start(send)

    def _sweep(self) -> None:
        """Hand back what has waited too long; only armed while something is in memory."""
        self._sweeper = None
        latest = self._clock.monotonic() - self._bounds.patience
        for line in self._lines.values():
            late = []
            for deliveries in (line.waiting, line.replays):
                while deliveries and deliveries[0].leased_at < latest:
                    late.append(deliveries.popleft())
            self._give_back(line, late)
        if self.budget.held and not self._closed:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _give_back(self, line: Line, sends: list[Send]) -> None:
        if sends:
            line.behind = True
            for send in sends:
                self._end(line, send)
            self._hand_back(sends)
