# SPDX-License-Identifier: MIT
"""What a process tells about itself: log lines for transitions and failures, counters for everything that is many.

There is no log line for a message or a chunk: at ten thousand messages a second the log would be the work.
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
"""Totals since the start of the process, by name."""
Listener = Callable[[str, str, str], None]
"""Who hears of transitions: of what, which one, and what happened."""
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
    """Send this process's log to standard error, for people (`default`) or for machines (`json`)."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_Json() if style == "json" else plain)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def count(name: str, by: int = 1) -> None:
    """Add to a counter."""
    counters[name] += by


def transition(subject: str, identifier: str, event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Tell that something changed its state, at the one place where it does; `fields` say more about it."""
    counters[f"{subject}.{event}"] += 1
    more = "".join(f" {name}={value}" for name, value in fields.items() if value is not None)
    log.log(level, "%s %s: %s%s", subject, identifier, event, more, extra={"fields": fields})
    for listener in tuple(_listeners):
        try:
            listener(subject, identifier, event)
        except Exception as error:  # noqa: BLE001 - what changed has changed, whoever stumbles over it
            failure("telling of a transition", error)


def listen(listener: Listener) -> None:
    """Tell somebody of every transition of this process, on the thread that tells it."""
    _listeners.add(listener)


def ignore(listener: Listener) -> None:
    """Tell somebody no more."""
    _listeners.discard(listener)


class OutageLog:
    """An outage of the database as this process meets it: one line at its start, one at its end, counters between."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = 0.0
        self._failures = 0
        self._passed = 0
        self.is_on = False
        self.listeners: set[Callable[[], object]] = set()
        """Called when an outage begins."""

    def failed(self, doing: str, error: BaseException) -> None:
        """Record a failure; the first one begins the outage."""
        self._failures += 1
        self._passed = 0
        if self.is_on:
            return
        self.is_on, self._began, self._failures = True, self._clock.monotonic(), 1
        log.error("the database is unavailable, first met in %s: %s: %s", doing, type(error).__name__, error)
        for listener in tuple(self.listeners):
            listener()

    def passed(self) -> None:
        """Record a good heartbeat; two in a row with no failure in between end the outage."""
        self._passed += 1
        if self.is_on and self._passed >= _PASSES:
            self.is_on = False
            seconds = self._clock.monotonic() - self._began
            log.warning("the database is available again after %.1f s; %d operations failed", seconds, self._failures)


outage: Final = OutageLog(SystemClock())


def failure(doing: str, error: BaseException) -> None:
    """Log an error in work that continues; an error from outside takes one line, without a traceback."""
    counters["failures"] += 1
    if isinstance(error, Outage):
        outage.failed(doing, error)
        return
    found_at = None if isinstance(error, ExternalError) else error
    log.error("%s: %s: %s", doing, type(error).__name__, error, exc_info=found_at)
