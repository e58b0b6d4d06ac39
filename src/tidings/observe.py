# SPDX-License-Identifier: MIT
"""Observability of a process: log lines for transitions and failures, counters for frequent events.

No message and no chunk has a log line: at ten thousand messages a second, logging would dominate the work.
"""

import json
import logging
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from tidings.clock import Clock, SystemClock
from tidings.errors import ExternalError, Outage

log: Final = logging.getLogger("tidings")
counters: Final[Counter[str]] = Counter()
"""The totals since the start of the process, by name."""
Listener = Callable[[str, str, str], None]
"""A callback for transitions, with the subject, its id and the event."""
_PASSES: Final = 2
_listeners: Final[set[Listener]] = set()


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def start_logging(level: str, style: str) -> None:
    """Write the log of this process to standard error, as text (`default`) or as JSON lines (`json`)."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_Json() if style == "json" else plain)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def count(name: str, by: int = 1) -> None:
    """Add to the counter with the given name."""
    counters[name] += by


def transition(subject: str, identifier: str, event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log and count a change of state, and notify the listeners. `fields` are added to the log line."""
    counters[f"{subject}.{event}"] += 1
    more = "".join(f" {name}={value}" for name, value in fields.items() if value is not None)
    log.log(level, "%s %s: %s%s", subject, identifier, event, more, extra={"fields": fields})
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
        log.error("the database is unavailable, first seen in %s: %s: %s", doing, type(error).__name__, error)
        for listener in tuple(self.listeners):
            listener()

    def passed(self) -> None:
        """Record a successful heartbeat query. Two of them without a failure in between end the outage."""
        self._passed += 1
        if self.is_on and self._passed >= _PASSES:
            self.is_on = False
            seconds = self._clock.monotonic() - self._began
            log.warning("the database is available again after %.1f s; %d operations failed", seconds, self._failures)


outage: Final = OutageLog(SystemClock())


def failure(doing: str, error: BaseException) -> None:
    """Log an error in work that continues. An external error takes one line, without a traceback."""
    counters["failures"] += 1
    if isinstance(error, Outage):
        outage.failed(doing, error)
        return
    found_at = None if isinstance(error, ExternalError) else error
    log.error("%s: %s: %s", doing, type(error).__name__, error, exc_info=found_at)


class RepeatedWork:
    """The log of work that a loop repeats: one line when it starts to fail, and one when it works again.

    An internal error is logged each time. The unavailability of the database has a log of its own, for all loops.
    """

    __slots__ = ("_doing", "_failures")

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._failures = 0

    def failed(self, error: BaseException) -> None:
        """Record a failure."""
        if isinstance(error, Outage) or not isinstance(error, ExternalError):
            failure(self._doing, error)
            return
        self._failures += 1
        if self._failures == 1:
            failure(self._doing, error)
        else:
            counters["failures"] += 1

    def passed(self) -> None:
        """Record a success."""
        if self._failures:
            log.warning("%s: works again after %d failures", self._doing, self._failures)
            self._failures = 0
