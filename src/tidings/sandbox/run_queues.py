# SPDX-License-Identifier: MIT
"""The order in which scripts run: endpoints take turns, each has one script at a time, and timeouts cost a wait."""

import heapq
from collections import deque
from collections.abc import Callable
from typing import Final

from tidings.model.transformation import ScriptError
from tidings.sandbox.requests import Request, Returned

Result = Returned | ScriptError | None
"""The result of a run; None if no process was free in time, so the script did not run."""

TIMEOUTS_FREE: Final = 3
"""After this many timeouts in a row, a key waits before its next run."""
_WAIT_MAX_SECONDS: Final = 60.0
_REMEMBERED_MAX: Final = 4_096
"""Keys without a run whose timeouts are remembered."""


class ScriptRun:
    """One run of a script, from its request to its result."""

    __slots__ = ("_done", "_leave", "_stop_timer", "has_begun", "is_ended", "is_repeated", "key", "latest", "request")

    def __init__(
        self,
        key: str,
        request: Request,
        latest: float,
        done: Callable[[Result], None],
        leave: Callable[["ScriptRun"], None] = lambda _: None,
    ) -> None:
        """`latest` is when the run must start. `leave` takes it out of the waiting ones."""
        self.key = key
        self.request = request
        self.latest = latest
        self.is_repeated = False
        """Whether a process ended during the first try."""
        self.is_ended = False
        """Whether the result is reported, or not wanted any more."""
        self.has_begun = False
        """Whether a process has taken the run."""
        self._done = done
        self._leave = leave
        self._stop_timer: Callable[[], object] | None = None

    def wait(self, timer: Callable[[], object]) -> None:
        """Note that the run waits for a process; `timer` stops the timer of its wait."""
        self._stop_timer = timer

    def begin(self) -> None:
        """Note that a process has taken the run."""
        self.has_begun = True
        if self._stop_timer is not None:
            self._stop_timer()
            self._stop_timer = None

    def cancel(self) -> None:
        """Forgo the result: `done` is not called any more."""
        self.is_ended = True
        if self._stop_timer is not None:
            self.begin()
            self._leave(self)

    def finish(self, result: Result) -> None:
        """Report the result, unless the run has ended."""
        if not self.is_ended:
            self.cancel()
            self._done(result)


class _Key:
    __slots__ = ("is_lined_up", "is_running", "runs", "timeouts", "until")

    def __init__(self) -> None:
        self.runs: deque[ScriptRun] = deque()
        self.is_running = False
        self.is_lined_up = False
        """Whether the key is among the ready or the blocked ones."""
        self.timeouts = 0
        self.until = 0.0
        """The time before which no run of this key starts."""


class RunQueues:
    """The waiting runs by key. Times are in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}
        self._ready: deque[str] = deque()
        self._blocked: list[tuple[float, str]] = []

    @property
    def ready(self) -> int:
        """The number of keys with a run that may start."""
        return len(self._ready)

    @property
    def unblocked_at(self) -> float | None:
        """When the next key may run again that waits for its timeouts."""
        return self._blocked[0][0] if self._blocked else None

    def waiting(self, key: str) -> int:
        """Return the number of waiting runs of a key."""
        return len(self._keys[key].runs) if key in self._keys else 0

    def add(self, run: ScriptRun, now: float) -> None:
        """Append a run to those of its key."""
        key = self._keys.get(run.key)
        if key is None:
            self._make_room()
            key = self._keys[run.key] = _Key()
        key.runs.append(run)
        if not key.is_running:
            self._line_up(run.key, key, now)

    def remove(self, run: ScriptRun) -> None:
        """Remove a waiting run, if it is there."""
        key = self._keys.get(run.key)
        if key is not None and run in key.runs:
            key.runs.remove(run)

    def next(self, now: float) -> ScriptRun | None:
        """Remove and return the run to start next, or None."""
        while self._blocked and self._blocked[0][0] <= now:
            self._ready.append(heapq.heappop(self._blocked)[1])
        while self._ready:
            name = self._ready.popleft()
            key = self._keys.get(name)
            if key is None:
                continue
            key.is_lined_up = False
            if key.runs:
                key.is_running = True
                return key.runs.popleft()
            self._leave(name, key)
        return None

    def repeat(self, run: ScriptRun, now: float) -> None:
        """Put a run back that ended through no fault of its own."""
        key = self._keys[run.key]
        key.is_running = False
        key.runs.appendleft(run)
        self._line_up(run.key, key, now)

    def finished(self, name: str, now: float, *, timed_out: bool) -> None:
        """Record the end of a key's run."""
        key = self._keys[name]
        key.is_running = False
        key.timeouts = key.timeouts + 1 if timed_out else 0
        if key.timeouts >= TIMEOUTS_FREE:
            key.until = now + min(_WAIT_MAX_SECONDS, 2.0 ** min(key.timeouts - TIMEOUTS_FREE, 10))
        if key.runs:
            self._line_up(name, key, now)
        else:
            self._leave(name, key)

    def take_all(self) -> list[ScriptRun]:
        """Remove and return all waiting runs."""
        found = [run for key in self._keys.values() for run in key.runs]
        for key in self._keys.values():
            key.runs.clear()
        return found

    def _line_up(self, name: str, key: _Key, now: float) -> None:
        if key.is_lined_up:
            return
        key.is_lined_up = True
        if key.until > now:
            heapq.heappush(self._blocked, (key.until, name))
        else:
            self._ready.append(name)

    def _leave(self, name: str, key: _Key) -> None:
        """Forget a key without runs, except for its timeouts."""
        if not (key.timeouts or key.is_lined_up):
            del self._keys[name]

    def _make_room(self) -> None:
        if len(self._keys) >= _REMEMBERED_MAX:
            for name in [name for name, key in self._keys.items() if not key.runs and not key.is_running]:
                del self._keys[name]
