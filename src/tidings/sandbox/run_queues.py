# SPDX-License-Identifier: MIT
"""The order in which scripts run: endpoints take turns, each has one script at a time, and costly runs cost a wait.

A run is costly if it used all its time or memory, or ended its process.

A turn is one run, or a few of an endpoint whose runs are quick: they are sent to the process together, which saves most
of the wake-ups. How long a run took is the word of its process. One that lies takes at most the time of a few runs.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from tidings.model.transformation import ScriptError
from tidings.sandbox.requests import Request, Returned

Result = Returned | ScriptError | None
"""The result of a run; None if no process was free in time, so the script did not run."""

COSTLY_FREE: Final = 3
"""After this many costly runs in a row, a key waits before its next one."""
_WAIT_MAX_SECONDS: Final = 60.0
_TOGETHER: Final = 8
"""The runs of one key in a turn, at most, if they are quick."""
_TOGETHER_BYTES: Final = 256 << 10
_QUICK_MICROSECONDS: Final = 5_000
_QUICK_RUNS: Final = 8
"""After this many quick runs in a row, the runs of a key are quick."""
_REMEMBERED_MAX: Final = 4_096
"""Keys without a run whose costly ones are remembered."""


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
    __slots__ = ("costly", "is_lined_up", "is_running", "quick_runs", "runs", "until")

    def __init__(self) -> None:
        self.runs: deque[ScriptRun] = deque()
        self.is_running = False
        self.is_lined_up = False
        """Whether the key is among the ready or the blocked ones."""
        self.quick_runs = 0
        """Consecutive quick runs."""
        self.costly = 0
        self.until = 0.0
        """The time before which no run of this key starts."""

    def take(self, most: int) -> list[ScriptRun]:
        """Remove and return the runs to send together: one, or up to `most` if they are quick."""
        taken = [self.runs.popleft()]
        if self.quick_runs < _QUICK_RUNS:
            return taken
        size = taken[0].request.size
        while self.runs and len(taken) < most and (size := size + self.runs[0].request.size) <= _TOGETHER_BYTES:
            taken.append(self.runs.popleft())
        return taken


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
    def total(self) -> int:
        """The number of waiting runs."""
        return sum(len(key.runs) for key in self._keys.values())

    @property
    def unblocked_at(self) -> float | None:
        """When the next key may run again that waits because of its costly runs."""
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

    def next(self, now: float) -> list[ScriptRun]:
        """Remove and return the runs of one key to start next; none if none may start."""
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
                return key.take(_TOGETHER)
            self._leave(name, key)
        return []

    def more(self, name: str, running: int) -> list[ScriptRun]:
        """Remove and return more runs of a running key, to follow its last ones; none while other keys wait."""
        key = self._keys[name]
        if 2 * running > _TOGETHER or not key.runs or self._ready or key.quick_runs < _QUICK_RUNS:
            return []
        return key.take(_TOGETHER - running)

    def repeat(self, runs: Sequence[ScriptRun], name: str) -> None:
        """Put runs of a running key back, before its waiting ones: they ended through no fault of their own."""
        self._keys[name].runs.extendleft(reversed(runs))

    def record(self, name: str, now: float, *, is_costly: bool, microseconds: int) -> None:
        """Record the result of a key's run."""
        key = self._keys[name]
        is_quick = not is_costly and microseconds <= _QUICK_MICROSECONDS
        key.quick_runs = key.quick_runs + 1 if is_quick else 0
        key.costly = key.costly + 1 if is_costly else 0
        if key.costly >= COSTLY_FREE:
            key.until = now + min(_WAIT_MAX_SECONDS, 2.0 ** min(key.costly - COSTLY_FREE, 10))

    def finished(self, name: str, now: float) -> None:
        """End the turn of a key, after its last result was recorded or its runs were put back."""
        key = self._keys[name]
        key.is_running = False
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
        """Forget a key without runs, except for its costly runs."""
        if not (key.costly or key.is_lined_up):
            del self._keys[name]

    def _make_room(self) -> None:
        if len(self._keys) >= _REMEMBERED_MAX:
            for name in [name for name, key in self._keys.items() if not key.runs and not key.is_running]:
                del self._keys[name]
