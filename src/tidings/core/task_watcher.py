# SPDX-License-Identifier: MIT
"""Watching background tasks: whoever waits for one or follows it shares one look at its row with all others.

For each task that is watched in this process there is one poller. It looks when this process tells of a transition
of the task, and once a second besides, for progress and for what other nodes do. What it sees it keeps for all who
watch: the row as it is now, and the transitions since the beginning, which are few. So a slow reader costs nothing:
it finds what is new when it comes, and progress that nobody read is gone.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from tidings import observe
from tidings.core.task_events import TaskEvent, event_of
from tidings.errors import too_many
from tidings.model.task import ENDED, Task
from tidings.model.token import Principal
from tidings.storage import tasks
from tidings.storage.database import Database, StorageError

LOOK_SECONDS: Final = 1.0
STREAMS_AT_ONCE: Final = 32
"""Most streams of one token."""


class TaskView:
    """One task as it was last seen. It is over when the task has ended, is gone, or nobody looks any more."""

    __slots__ = ("_changed", "events", "is_closed", "is_loaded", "poll_requested", "task", "version", "watchers")

    def __init__(self) -> None:
        self.task: Task | None = None
        self.events: list[TaskEvent] = []
        self.is_loaded = False
        self.is_closed = False
        self.version = 0
        self.watchers = 0
        self.poll_requested = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more is to come."""
        return self.is_closed or (self.is_loaded and (self.task is None or self.task.state in ENDED))

    def update(self, task: Task | None, events: list[TaskEvent]) -> None:
        """Take what has been seen, and wake those who wait if it is something new."""
        if self.is_loaded and task == self.task and not events:
            return
        self.is_loaded, self.task = True, task
        self.events += events
        self.wake()

    def close(self) -> None:
        """Let everybody go."""
        self.is_closed = True
        self.poll_requested.set()
        self.wake()

    async def changed(self, version: int, seconds: float) -> bool:
        """Wait until there is something newer than a version; tell whether there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.version == version:
                    await self._changed.wait()
        return self.version != version

    def wake(self) -> None:
        """Let everybody look who waits."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()


class TaskWatcher:
    """Everything that is watched in this process."""

    __slots__ = ("_db", "_is_closed", "_pollers", "_streams", "_views")

    def __init__(self, db: Database) -> None:
        self._db = db
        self._views: dict[str, TaskView] = {}
        self._pollers: set[asyncio.Task[None]] = set()
        self._streams: Counter[tuple[str, str]] = Counter()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<TaskWatcher [{len(self._views)} tasks, {self._streams.total()} streams]>"

    @contextlib.contextmanager
    def view(self, task_id: str) -> Iterator[TaskView]:
        """Watch a task for the length of a block; whether the caller may see it has been asked before."""
        view = self._views.get(task_id)
        if view is None:
            view = self._begin(task_id)
        view.watchers += 1
        try:
            yield view
        finally:
            view.watchers -= 1
            if not view.watchers:
                self._end(task_id, view)

    @contextlib.contextmanager
    def stream(self, who: Principal) -> Iterator[None]:
        """Count a stream of a token for the length of a block."""
        key = _key(who)
        self._streams[key] += 1
        try:
            yield
        finally:
            self._streams[key] -= 1
            if not self._streams[key]:
                del self._streams[key]

    def require_free_stream(self, who: Principal) -> None:
        """Refuse a stream to a token that has as many as it may."""
        if self._streams[_key(who)] >= STREAMS_AT_ONCE:
            raise too_many(f"There are {STREAMS_AT_ONCE} streams of this token already; end one first.")

    async def wait(self, task_id: str, seconds: float) -> None:
        """Wait until a task has ended, as long as is said, or until this process stops."""
        with self.view(task_id) as view, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not view.is_over:
                    await view.changed(view.version, seconds)

    async def close(self) -> None:
        """Let everybody go at once, and nobody begin."""
        self._is_closed = True
        for view in self._views.values():
            view.close()
        await asyncio.gather(*self._pollers, return_exceptions=True)

    def _begin(self, task_id: str) -> TaskView:
        if not self._views:
            observe.listen(self._on_transition)
        view = self._views[task_id] = TaskView()
        view.is_closed = self._is_closed
        poller = asyncio.create_task(self._poll(task_id, view), name=f"watching {task_id}")
        self._pollers.add(poller)
        poller.add_done_callback(self._pollers.discard)
        return view

    def _end(self, task_id: str, view: TaskView) -> None:
        del self._views[task_id]
        view.close()
        if not self._views:
            observe.ignore(self._on_transition)

    def _on_transition(self, subject: str, identifier: str, _event: str) -> None:
        view = self._views.get(identifier) if subject == "task" else None
        if view is not None:
            view.poll_requested.set()

    async def _poll(self, task_id: str, view: TaskView) -> None:
        """Look at a task again and again while somebody watches; trouble of any sort is sat out."""
        while not view.is_closed:
            view.poll_requested.clear()
            try:
                await self._look(task_id, view)
            except StorageError:
                observe.count("tasks.watch_troubles")
            except Exception as error:  # noqa: BLE001 - the next look comes all the same
                observe.failure(f"watching task {task_id}", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await view.poll_requested.wait()

    async def _look(self, task_id: str, view: TaskView) -> None:
        """See the row first and its transitions after it: then none is missing of what the row says."""
        after = view.events[-1].seq if view.events else 0
        async with self._db.read() as read:
            task = await tasks.get(read, task_id)
            events = [event_of(*row) for row in await tasks.events(read, task_id, after=after)]
        view.update(task, events)


def _key(who: Principal) -> tuple[str, str]:
    return who.subject, "" if who.token is None else who.token.digest
