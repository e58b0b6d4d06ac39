# SPDX-License-Identifier: MIT
"""Observability of a process: log lines for transitions and failures, counters for frequent events.

No message and no chunk has a log line: at ten thousand messages a second, logging would dominate the work.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from tidings.clock import Clock, SystemClock
from tidings.errors import ExternalError, Outage
from tidings.logs import log

counters: Final[Counter[str]] = Counter()
"""The totals since the start of the process, by name."""
Listener = Callable[[str, str, str], None]
"""A callback for transitions, with the subject, its id and the event."""
_PASSES: Final = 2
_REPEATS_MAX: Final = 10
_REPEATS_SECONDS: Final = 60.0
_REPEATS_KEPT: Final = 256
_listeners: Final[set[Listener]] = set()


def count(name: str, by: int = 1) -> None:
    """Add to the counter with the given name."""
    counters[name] += by


def transition(subject: str, identifier: str, event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log and count a change of state, and notify the listeners. `fields` are added to the log line."""
    counters[f"{subject}.{event}"] += 1
    name = f"{subject}.{event}".replace(" ", "_")
    log.write(level, name, f"{subject} {event}".replace("_", " "), {subject: identifier, **fields})
    for listener in tuple(_listeners):
        try:
            listener(subject, identifier, event)
        except Exception as error:  # noqa: BLE001 - the transition has happened, whatever a listener raises
            failure("notifying of a transition", error)


def listen(listener: Listener) -> None:
    """Add a listener for every transition of this process. It is called on the thread of the transition."""
    _listeners.add(listener)


def ignore(listener: Listener) -> None:
    """Remove a listener for transitions."""
    _listeners.discard(listener)


class OutageLog:
    """The log of database outages: one line at the start of an outage, one at its end, and a count of failures."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = 0.0
        self._failures = 0
        self._passed = 0
        self.is_on = False
        self.listeners: set[Callable[[], object]] = set()
        """Callbacks for the start of an outage."""

    def failed(self, doing: str, error: BaseException) -> None:
        """Record a failure. The first one starts the outage."""
        self._failures += 1
        self._passed = 0
        if self.is_on:
            return
        self.is_on, self._began, self._failures = True, self._clock.monotonic(), 1
        log.error("database.unavailable", "the database is unavailable", error=error, work=doing)
        for listener in tuple(self.listeners):
            listener()

    def passed(self) -> None:
        """Record a successful heartbeat query. Two of them without a failure in between end the outage."""
        self._passed += 1
        if self.is_on and self._passed >= _PASSES:
            self.is_on = False
            seconds = self._clock.monotonic() - self._began
            log.warning(
                "database.available",
                "the database is available again",
                seconds=round(seconds, 1),
                failures=self._failures,
            )


outage: Final = OutageLog(SystemClock())


class RepeatLimit:
    """Limits the lines of one kind of failure: ten a minute, and the next one says how many were left out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def clear(self) -> None:
        """Admit ten lines of each kind again."""
        self._seen.clear()

    def admit(self, doing: str, error: BaseException) -> int | None:
        """Return None to leave out a line, otherwise the number of lines left out before it."""
        key, now = (doing, type(error).__name__), self._clock.monotonic()
        since, number = self._seen.get(key, (now, 0))
        if now - since >= _REPEATS_SECONDS:
            since, left_out, number = now, max(0, number - _REPEATS_MAX), 0
        else:
            left_out = 0
        if len(self._seen) >= _REPEATS_KEPT and key not in self._seen:
            self._seen.clear()
        self._seen[key] = since, number + 1
        return left_out if number < _REPEATS_MAX else None


repeats: Final = RepeatLimit(SystemClock())


class EventBudget:
    """Admits a number of events per second, and a burst: lines of a log, or spans of traces."""

    __slots__ = ("_at", "_burst", "_clock", "_left", "_per_second")

    def __init__(self, clock: Clock, per_second: float, burst: int) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._left = float(burst)
        self._at = clock.monotonic()

    def admit(self) -> bool:
        """Count an event if there is budget for it; return whether there was."""
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def failure(doing: str, error: BaseException, **fields: object) -> bool:
    """Log an error in work that continues; return whether there is a line of it.

    An external error takes one line, without a traceback. `doing` is a constant; ids go into `fields`, such as `task`.
    """
    counters["failures"] += 1
    if isinstance(error, Outage):
        outage.failed(doing, error)
        return False
    left_out = repeats.admit(doing, error)
    if left_out is None:
        return False
    cause = None if isinstance(error, ExternalError) else error
    known = {"error": error, **fields, "left_out": left_out or None}
    log.write(logging.ERROR, "failure", f"{doing} failed", known, cause)
    return True


class RepeatedWork:
    """The log of work that a loop repeats: one line when it starts to fail, and one when it works again.

    An internal error is logged each time. The unavailability of the database has a log of its own, for all loops.
    """

    __slots__ = ("_doing", "_failures", "_is_logged")

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._failures = 0
        self._is_logged = False

    def failed(self, error: BaseException) -> None:
        """Record a failure."""
        if isinstance(error, Outage) or not isinstance(error, ExternalError):
            failure(self._doing, error)
            return
        self._failures += 1
        if self._failures == 1:
            self._is_logged = failure(self._doing, error)
        else:
            counters["failures"] += 1

    def passed(self) -> None:
        """Record a success."""
        if self._failures:
            if self._is_logged:
                log.warning("recovered", f"{self._doing} works again", failures=self._failures)
            self._failures = 0
