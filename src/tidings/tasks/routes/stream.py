# SPDX-License-Identifier: MIT
"""A background task as a stream of server-sent events.

`state` events are the recorded transitions; their ids are numbers that a reader resumes from, so no
event is lost or repeated. `progress` events give the current progress, at most once a second, and have no ids. A
comment is sent after a while without events, so that no proxy closes the connection. The reader's token is checked
as often; the stream ends when the reader may no longer read it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack
from typing import Final

from tidings.api.tuning import ApiTuning
from tidings.api.wire import Out, Timestamp, encode, format_timestamp
from tidings.asgi.stream import Stream
from tidings.core.idempotency import Response
from tidings.core.task_events import TaskEvent
from tidings.core.task_watcher import TaskView, TaskWatcher
from tidings.model.task import ENDED, Task
from tidings.model.token import Principal
from tidings.tasks.routes.listing import ProgressOut, TaskErrorOut, progress_out

_RETRY: Final = b"retry: 3000\n\n"
_KEEPALIVE: Final = b": nothing new\n\n"
_NO_MORE: Final = Response(204)
"""Makes a browser stop reconnecting."""


class TaskStateOut(Out, kw_only=True):
    """A transition of a task."""

    event: str
    state: str | None
    at: Timestamp
    error: TaskErrorOut | None


class TaskProgressOut(Out, kw_only=True):
    """The progress of a task."""

    state: str
    progress: ProgressOut


MayRead = Callable[[], Awaitable[bool]]
ValidFor = Callable[[], float]


def stream_task(  # noqa: PLR0913
    task_watcher: TaskWatcher,
    caller: Principal,
    task: Task,
    last: int,
    *,
    has_more: bool,
    may_read: MayRead,
    valid_for: ValidFor,
    tuning: ApiTuning = ApiTuning(),
) -> Response:
    """Respond with the events of a task after a given one.

    `has_more` says whether there are later events. `may_read` checks every 15 seconds whether the reader still has
    access, and at once after a change of an API key. `valid_for` is for how many seconds its token or key is valid.
    """
    if task.state in ENDED and not has_more:
        return _NO_MORE
    task_watcher.require_free_stream(caller)
    stack = ExitStack()
    view = stack.enter_context(task_watcher.view(task.id))
    stack.enter_context(task_watcher.stream(caller))
    following = _Following(view, last, may_read, valid_for, tuning)

    def hang_up() -> None:
        following.stop()
        stack.close()

    return Stream(200, parts=following.parts, hang_up=hang_up, stall_seconds=tuning.stall_seconds)


class _Following:
    """One reader's position in the events of a task."""

    __slots__ = (
        "_checked_at",
        "_checks",
        "_due",
        "_may_read",
        "_sent",
        "_seq",
        "_stopped",
        "_tuning",
        "_valid_for",
        "_view",
    )

    def __init__(self, view: TaskView, last: int, may_read: MayRead, valid_for: ValidFor, tuning: ApiTuning) -> None:
        self._view = view
        self._may_read = may_read
        self._valid_for = valid_for
        self._checks = view.access_checks
        self._tuning = tuning
        self._checked_at = asyncio.get_running_loop().time()
        self._seq = last
        self._sent: bytes | None = None
        self._due = 0.0
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End the stream, even if there are more events."""
        self._stopped.set()
        self._view.wake()

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield new events, and wait for more."""
        yield _RETRY
        while True:
            version = self._view.version
            is_over = self._view.is_over
            if not await self._check_access():
                return
            for part in self._new_parts(hurry=is_over):
                yield part
            if is_over or self._stopped.is_set():
                return
            if not await self._view.changed(version, self._pause()) and not self._is_pending():
                yield _KEEPALIVE

    async def _check_access(self) -> bool:
        now = asyncio.get_running_loop().time()
        is_requested = self._checks != self._view.access_checks or self._valid_for() <= 0
        if not is_requested and now < self._checked_at + self._tuning.keepalive_seconds:
            return True
        self._checked_at, self._checks = now, self._view.access_checks
        return await self._may_read()

    def _new_parts(self, *, hurry: bool) -> list[bytes]:
        """Return the progress if it is due, and the transitions since the last event sent."""
        found = []
        progress = self._progress()
        now = asyncio.get_running_loop().time()
        if progress is not None and progress != self._sent and (hurry or now >= self._due):
            self._sent, self._due = progress, now + self._tuning.progress_seconds
            found.append(progress)
        new = [event for event in self._view.events if event.seq > self._seq]
        found += map(_state, new)
        self._seq = new[-1].seq if new else self._seq
        return found

    def _progress(self) -> bytes | None:
        task = self._view.task
        return None if task is None else _progress(task)

    def _is_pending(self) -> bool:
        return self._progress() not in (None, self._sent)

    def _pause(self) -> float:
        longest = min(self._tuning.keepalive_seconds, max(0.001, self._valid_for()))
        if not self._is_pending():
            return longest
        return min(longest, max(0.001, self._due - asyncio.get_running_loop().time()))


def _state(event: TaskEvent) -> bytes:
    error = None if event.error is None else TaskErrorOut(code=event.error.code, detail=event.error.detail)
    state = None if event.state is None else event.state.value
    body = TaskStateOut(event=event.type, state=state, at=format_timestamp(event.at), error=error)
    return b"id: %d\nevent: state\ndata: %b\n\n" % (event.seq, encode(body))


def _progress(task: Task) -> bytes:
    body = TaskProgressOut(state=task.state.value, progress=progress_out(task.progress))
    return b"event: progress\ndata: %b\n\n" % encode(body)
