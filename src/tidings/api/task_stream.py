# SPDX-License-Identifier: MIT
"""A background task as a stream of server-sent events.

`state` events are the transitions that are written down; their ids are numbers that a reader may come back with, and
nothing is lost or told twice. `progress` events are how far the task is at that moment, at most one a second, and
have no ids. A comment goes out when there has been nothing for a while, so that nobody between us hangs up. Whether
the reader's token still counts is asked as often, and a stream whose reader may no longer read it ends.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack
from typing import Final

from tidings.api.stream import Stream
from tidings.api.tasks import ProgressOut, TaskErrorOut, progress_out
from tidings.api.wire import Moment, Out, encode, moment_out
from tidings.core.idempotency import Answer
from tidings.core.task_events import TaskEvent
from tidings.core.watching import View, Watching
from tidings.model.task import ENDED, Task
from tidings.model.token import Principal

KEEPALIVE_SECONDS: Final = 15.0
PACE_SECONDS: Final = 1.0
_RETRY: Final = b"retry: 3000\n\n"
_KEEPALIVE: Final = b": nothing new\n\n"
_ENOUGH: Final = Answer(204)
"""Tells a browser not to come back."""


class TaskStateOut(Out, kw_only=True):
    """A transition of a task."""

    event: str
    state: str | None
    at: Moment
    error: TaskErrorOut | None


class TaskProgressOut(Out, kw_only=True):
    """How far a task is."""

    state: str
    progress: ProgressOut


MayRead = Callable[[], Awaitable[bool]]


def followed(watching: Watching, who: Principal, task: Task, last: int, *, behind: bool, may: MayRead) -> Answer:
    """Answer with a stream of a task from after an event on.

    `behind` says whether there are events after it, and `may`, from time to time, whether the reader may go on.
    """
    if task.state in ENDED and not behind:
        return _ENOUGH
    watching.refuse_crowd(who)
    stack = ExitStack()
    view = stack.enter_context(watching.view(task.id))
    stack.enter_context(watching.stream(who))
    following = _Following(view, last, may)

    def hang_up() -> None:
        following.leave()
        stack.close()

    return Stream(200, parts=following.parts, hang_up=hang_up)


class _Following:
    """One reader's place in what there is to tell."""

    __slots__ = ("_asked", "_due", "_left", "_may", "_seq", "_shown", "_view")

    def __init__(self, view: View, last: int, may: MayRead) -> None:
        self._view = view
        self._may = may
        self._asked = asyncio.get_running_loop().time()
        self._seq = last
        self._shown: bytes | None = None
        self._due = 0.0
        self._left = asyncio.Event()

    def leave(self) -> None:
        """Come to an end, whatever there is to tell."""
        self._left.set()
        self._view.wake()

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Tell what is new, and wait for more."""
        yield _RETRY
        while True:
            version = self._view.version
            is_over = self._view.is_over
            if not await self._may_go_on():
                return
            for part in self._news(hurry=is_over):
                yield part
            if is_over or self._left.is_set():
                return
            if not await self._view.changed(version, self._pause()) and not self._is_pending():
                yield _KEEPALIVE

    async def _may_go_on(self) -> bool:
        moment = asyncio.get_running_loop().time()
        if moment < self._asked + KEEPALIVE_SECONDS:
            return True
        self._asked = moment
        return await self._may()

    def _news(self, *, hurry: bool) -> list[bytes]:
        """Return how far the task is, if that may be told again already, and its transitions since."""
        found = []
        progress = self._progress()
        moment = asyncio.get_running_loop().time()
        if progress is not None and progress != self._shown and (hurry or moment >= self._due):
            self._shown, self._due = progress, moment + PACE_SECONDS
            found.append(progress)
        new = [event for event in self._view.events if event.seq > self._seq]
        found += map(_state, new)
        self._seq = new[-1].seq if new else self._seq
        return found

    def _progress(self) -> bytes | None:
        task = self._view.task
        return None if task is None else _progress(task)

    def _is_pending(self) -> bool:
        return self._progress() not in (None, self._shown)

    def _pause(self) -> float:
        if not self._is_pending():
            return KEEPALIVE_SECONDS
        return max(0.001, self._due - asyncio.get_running_loop().time())


def _state(event: TaskEvent) -> bytes:
    error = None if event.error is None else TaskErrorOut(code=event.error.code, detail=event.error.detail)
    state = None if event.state is None else event.state.value
    told = TaskStateOut(event=event.type, state=state, at=moment_out(event.at), error=error)
    return b"id: %d\nevent: state\ndata: %b\n\n" % (event.seq, encode(told))


def _progress(task: Task) -> bytes:
    told = TaskProgressOut(state=task.state.value, progress=progress_out(task.progress))
    return b"event: progress\ndata: %b\n\n" % encode(told)
