# SPDX-License-Identifier: MIT
"""The task watcher: requests that wait for or follow the same background task share one poller.

Each watched task has one poller in this process. It queries the database when this process reports a transition of the
task, and also once a second, for progress and for changes by other nodes. It stores the latest row and all transitions,
which are few, for all watchers. So a slow reader costs nothing: it reads the new transitions when it is ready, and
skips the progress in between.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

from tidings import observe
from tidings.core.task_events import TaskEvent, event_of
from tidings.core.tuning import CoreTuning
from tidings.errors import too_many
from tidings.model.task import ENDED, Task
from tidings.model.token import Principal
from tidings.storage.drivers.database import Database, StorageError
from tidings.storage.tables import tasks


class TaskView:
    """The latest known state of a task. It is over when the task ended, was deleted, or has no watchers left."""

    __slots__ = (
        "_changed",
        "access_checks",
        "events",
        "is_closed",
        "is_loaded",
        "poll_requested",
        "task",
        "version",
        "watchers",
    )

    def __init__(self) -> None:
        self.task: Task | None = None
        self.events: list[TaskEvent] = []
        self.is_loaded = False
        self.is_closed = False
        self.version = 0
        self.watchers = 0
        self.access_checks = 0
        """How many times all readers were asked to check their access."""
        self.poll_requested = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether no further change follows."""
        return self.is_closed or (self.is_loaded and (self.task is None or self.task.state in ENDED))

    def update(self, task: Task | None, events: list[TaskEvent]) -> None:
        """Store the result of a query, and wake the waiting watchers if it differs from the last one."""
        if self.is_loaded and task == self.task and not events:
            return
        self.is_loaded, self.task = True, task
        self.events += events
        self.wake()

    def close(self) -> None:
        """End all waits on this view."""
        self.is_closed = True
        self.poll_requested.set()
        self.wake()

    async def changed(self, version: int, seconds: float) -> bool:
        """Wait for a version newer than this one, up to a timeout; return whether there is one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.version == version:
                    await self._changed.wait()
        return self.version != version

    def wake(self) -> None:
        """Increment the version, and wake the waiting watchers."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()


class TaskWatcher:
    """The views and pollers of all watched tasks, and the number of streams of each token."""

    __slots__ = ("_db", "_is_closed", "_pollers", "_streams", "_tuning", "_views")

    def __init__(self, db: Database, tuning: CoreTuning = CoreTuning()) -> None:
        self._db = db
        self._tuning = tuning
        self._views: dict[str, TaskView] = {}
        self._pollers: set[asyncio.Task[None]] = set()
        self._streams: Counter[tuple[str, str]] = Counter()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<TaskWatcher [{len(self._views)} tasks, {self._streams.total()} streams]>"

    @contextlib.contextmanager
    def view(self, task_id: str) -> Iterator[TaskView]:
        """Watch a task for the duration of a block; the caller has already checked access."""
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
    def stream(self, principal: Principal) -> Iterator[None]:
        """Count a stream of a token for the duration of a block."""
        key = _key(principal)
        self._streams[key] += 1
        try:
            yield
        finally:
            self._streams[key] -= 1
            if not self._streams[key]:
                del self._streams[key]

    def require_free_stream(self, principal: Principal) -> None:
        """Raise `too_many` if the token has the maximum number of streams."""
        most = self._tuning.streams_per_token
        if self._streams[_key(principal)] >= most:
            raise too_many(f"This token already has {most} open streams; close one first.")

    def recheck_access(self) -> None:
        """Make all streams check their access: an API key was changed."""
        for view in self._views.values():
            view.access_checks += 1
            view.wake()

    async def wait(self, task_id: str, seconds: float) -> None:
        """Wait until a task ends, the time is up, or this process stops."""
        with self.view(task_id) as view, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not view.is_over:
                    await view.changed(view.version, seconds)

    async def close(self) -> None:
        """End all current waits; later waits end immediately."""
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
        """Query a task repeatedly while it has watchers; errors do not end the polling."""
        while not view.is_closed:
            view.poll_requested.clear()
            try:
                await self._query(task_id, view)
            except StorageError:
                observe.count("tasks.watch_troubles")
            except Exception as error:  # noqa: BLE001 - the next query tries again
                observe.failure("watching a task", error, task=task_id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tuning.watch_seconds):
                    await view.poll_requested.wait()

    async def _query(self, task_id: str, view: TaskView) -> None:
        """Read the row before its transitions, so that no transition up to the state of the row is missing."""
        after = view.events[-1].seq if view.events else 0
        async with self._db.read() as read:
            task = await tasks.get(read, task_id)
            events = [event_of(*row) for row in await tasks.events(read, task_id, after=after)]
        view.update(task, events)


def _key(principal: Principal) -> tuple[str, str]:
    if principal.key is not None:
        return principal.subject, principal.key.id
    return principal.subject, "" if principal.token is None else principal.token.digest
