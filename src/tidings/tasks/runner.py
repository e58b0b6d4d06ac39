# SPDX-License-Identifier: MIT
"""The task runner of one process: it claims tasks while it has a free slot, and works on each task in slices.

Claims. Each process that works on tasks has a runner. Runners do not know each other: no leader, no heartbeat and no
list of workers is involved. The claim lock serializes claims in the whole cluster. One transaction requeues the tasks
with expired leases, then claims the task that is first in the fair-share round. So each limit (running tasks of a
tenant, one task per endpoint) is exact, and fairness is one ORDER BY. A claim lasts for a slice of several seconds, so
claims are rare and the lock is not contended.

Crashes. A slice (see `slice.py`) is a series of chunks. A chunk is one transaction: it proves the claim, writes the
effects, and updates the cursor, the counters and the lease. If the process dies at any point, the chunk is either
committed or rolled back as a whole. Once the lease expires, the next claim requeues the task, and work continues after
the last committed chunk. On SQLite one process owns the file. So a runner that starts there requeues every running
task without waiting for its lease: the process that ran it has ended.

Fencing. A process that was stopped, swapped out or disconnected may still work on a task that another worker has
claimed meanwhile. Its next write carries an outdated epoch, matches no row, and the transaction rolls back.

Wake-ups. A use case that starts, resumes or retries a task in this process calls `wake` after the commit. A timer is
set for the next known due time: the end of a backoff, or a lease expiry. On PostgreSQL the heartbeat query finds tasks
that other nodes started, and the server calls `wake`. An idle runner sends no queries.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass

from tidings import observe
from tidings.clock import SECOND, Clock
from tidings.core import outcomes
from tidings.failpoint import point
from tidings.model.task import State, Task, TaskPolicy
from tidings.model.task_kind import TaskKinds
from tidings.storage.drivers.database import Database, StorageError, Write
from tidings.storage.tables import claims, tasks
from tidings.tasks.context import WorkerContext
from tidings.tasks.handler import Handler
from tidings.tasks.pace import pace_of
from tidings.tasks.slice import Slice
from tidings.tasks.slice_spans import run_recorded
from tidings.tasks.tuning import TaskTuning


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerLimits:
    """The limits of task work in one process. Each field is a setting."""

    slots: int = 4
    """Tasks in progress at a time. With 0 the runner works on no task, and still requeues the tasks of lost workers."""
    per_tenant: int = 2
    lease_seconds: float = 30.0
    slice_seconds: float = 5.0
    chunk_rows: int = 0
    """The most rows of a chunk; with 0 only the pace limits it."""
    backlog: int = 50_000
    """Outstanding resent deliveries of one endpoint at which its task pauses; 0 is no limit."""
    backoff_ms: int = SECOND
    """The backoff after the first failed attempt. It doubles with each further one."""


class Runner:
    """Works on background tasks until it is stopped."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        limits: RunnerLimits,
        handlers: Mapping[str, Handler],
        worker: str | None = None,
        tuning: TaskTuning = TaskTuning(),
    ) -> None:
        """`worker` is the name of this process in the rows of its tasks: by default its host and process id."""
        lease_ms = int(limits.lease_seconds * SECOND)
        self._handlers = handlers
        self._slots = limits.slots
        self._worker = worker or f"{os.uname().nodename}:{os.getpid()}"
        self._woken = asyncio.Event()
        self._slices: set[asyncio.Task[None]] = set()
        self._dispatcher: asyncio.Task[None] | None = None
        self._context = WorkerContext(
            db=db,
            clock=clock,
            policy=TaskPolicy(lease_ms=lease_ms, backoff_ms=limits.backoff_ms, per_tenant=limits.per_tenant),
            pace=pace_of(
                has_one_writer=db.has_one_writer,
                lease_ms=lease_ms,
                rows=limits.chunk_rows,
                write_ms=tuning.chunk_write_ms,
            ),
            slice_seconds=limits.slice_seconds,
            backlog=limits.backlog,
            kinds=TaskKinds(handler.kind for handler in handlers.values()),
            stopping=asyncio.Event(),
            tuning=tuning,
        )

    def __repr__(self) -> str:
        return f"<Runner [{len(self._slices)} of {self._slots} slots busy]>"

    @property
    def is_idle(self) -> bool:
        """Whether no task is in progress."""
        return not self._slices

    async def start(self) -> None:
        """Start claiming tasks. A second call does nothing."""
        if self._dispatcher is None:
            self._context.stopping.clear()
            self._dispatcher = asyncio.create_task(self._dispatch(), name="tasks")

    def wake(self) -> None:
        """Look for a task to claim. Calls are cheap, and any code on the event loop may make them."""
        self._woken.set()

    async def stop(self, *, grace: float | None = None) -> None:
        """Finish the current chunks within `grace` seconds, and release the tasks without a failed attempt."""
        if self._dispatcher is None:
            return
        self._context.stopping.set()
        self._woken.set()
        dispatcher, self._dispatcher = self._dispatcher, None
        tuning = self._context.tuning
        ends_at = asyncio.get_running_loop().time() + (tuning.stop_seconds if grace is None else grace)
        await _end_by(ends_at, {dispatcher}, tuning.cancel_seconds)
        await _end_by(ends_at, self._slices, tuning.cancel_seconds)

    # --- claiming

    async def _dispatch(self) -> None:
        """Claim tasks while a slot is free. Any error is followed by a backoff and never ends the loop."""
        errors = 0
        is_ready = not self._context.db.has_one_writer
        while not self._context.stopping.is_set():
            try:
                # One step for each look at `stopping`: `_fill` clears the wake-up of a stop during the other step.
                if is_ready:
                    await self._fill()
                else:
                    await self._requeue_all()
                    is_ready = True
                errors = 0
            except StorageError:
                errors += 1
                observe.count("tasks.database_troubles")
                await self._context.back_off(errors)
            except Exception as error:  # noqa: BLE001 - an error must not end the loop
                observe.failure("claiming tasks", error)
                await self._context.rest(self._context.tuning.backoff_max_seconds)

    async def _fill(self) -> None:
        """Claim one task, or wait until one may be ready and a slot is free."""
        self._woken.clear()  # before the query: a task that is started during the query sets it again
        if len(self._slices) < self._slots:
            task, delay = await self._claim()
            if task is not None:
                self._spawn(task)
                return
        else:
            delay = await self._expire()
        await self._wait(delay)

    async def _expire(self) -> int | None:
        """Requeue the tasks whose leases have expired, which needs no slot; return the delay until the next expiry."""
        context = self._context
        async with context.db.read() as read:
            delay = await claims.next_expiry(read, context.now)
        if delay is None or delay >= 0:
            return delay
        async with context.db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
            expired = await claims.requeue_expired(tx, context.policy, context.now)
            await self._notify_failed(tx, expired)
        self._log(expired)
        return 0 if expired else context.policy.lease_ms

    async def _claim(self) -> tuple[Task | None, int | None]:
        """Claim the next task, or return the milliseconds until one may be ready."""
        context = self._context
        delay = None
        async with context.db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
            now = await claims.timestamp(tx, context.now)
            expired = await claims.requeue_expired(tx, context.policy, now)
            await self._notify_failed(tx, expired)
            task = await claims.claim(tx, context.policy, context.kinds.names, self._worker, now)
            if task is None:
                delay = await claims.delay_until_ready(tx, now)
        self._log(expired)
        if task is not None:
            observe.count("tasks.claims")
            point("task.after_claim")
        return task, delay

    async def _requeue_all(self) -> None:
        """Requeue the tasks of the previous process on a SQLite file."""
        async with self._context.db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
            expired = await claims.requeue_expired(tx, self._context.policy, self._context.now, ignore_leases=True)
            await self._notify_failed(tx, expired)
        self._log(expired)

    async def take_over(self, worker: str) -> None:
        """Requeue the tasks of a lost worker."""
        async with self._context.db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
            now = await claims.timestamp(tx, self._context.now)
            expired = await claims.requeue_worker(tx, self._context.policy, now, worker)
            await self._notify_failed(tx, expired)
        self._log(expired)
        self.wake()

    async def _notify_failed(self, tx: Write, expired: list[Task]) -> None:
        for task in expired:
            await outcomes.notify(tx, task, self._context.clock.now(), self._context.kinds)

    def _log(self, expired: list[Task]) -> None:
        for task in expired:
            outcomes.log(task, "failed" if task.state is State.FAILED else "lapsed")

    async def _wait(self, delay: int | None) -> None:
        """Wait for a wake-up, or for `delay` milliseconds if a delay is given."""
        timer = None
        if delay is not None:
            timer = asyncio.get_running_loop().call_later(delay / SECOND + 0.001, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            if timer is not None:
                timer.cancel()

    # --- working

    def _spawn(self, task: Task) -> None:
        working = Slice(self._context, self._handlers[task.kind], task)
        work = asyncio.create_task(run_recorded(working, self._context.clock), name=task.id)
        self._slices.add(work)
        work.add_done_callback(self._on_end)

    def _on_end(self, work: asyncio.Task[None]) -> None:
        self._slices.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            observe.failure("working on a task", error, task=work.get_name())
        self._woken.set()


async def _end_by(ends_at: float, running: set[asyncio.Task[None]], cancel_seconds: float) -> None:
    """Wait for tasks of the loop, and cancel those that the database blocks. Their leases expire."""
    if not running:
        return
    _, stuck = await asyncio.wait(running, timeout=max(0.0, ends_at - asyncio.get_running_loop().time()))
    for work in stuck:
        work.cancel()
    if stuck:
        await asyncio.wait(stuck, timeout=cancel_seconds)
