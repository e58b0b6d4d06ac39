# SPDX-License-Identifier: MIT
"""The work under one claim: chunk after chunk, until the task ends, yields, or loses its claim.

Errors:
- Another release wrote arguments that this release cannot read: release the task without a failed attempt.
- The claim is lost: end silently, because another worker has the task and the current chunk was rolled back.
- The database is unavailable or busy: back off and continue, because the task did not cause the error.
- The kind raises `PermanentFailure`: the task fails.
- Any other error is a failed attempt.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import msgspec

from tidings import observe
from tidings.clock import SECOND
from tidings.core import outcomes
from tidings.failpoint import point
from tidings.model.task import (
    Batch,
    Checkpoint,
    ChunkResult,
    Failure,
    LeaseLost,
    MustWait,
    PermanentFailure,
    Task,
)
from tidings.storage.drivers.database import Busy, Duplicate, Read, StorageError, Unavailable, Write
from tidings.storage.tables import claims, tasks
from tidings.tasks.context import WorkerContext
from tidings.tasks.external_work import run_while_claimed
from tidings.tasks.handler import ExternalWork, Handler, ReadsAhead
from tidings.tasks.pace import REST, RateMeter, next_rate

_BACKOFF_FIRST: Final = 0.05
_BACKOFF_MAX: Final = 5.0
_BUSY_MAX: Final = 5
_LOOK_SECONDS: Final = 0.25
_WAIT_MS: Final = 2_000
_RENEW_WITHIN: Final = 0.75
"""The part of a lease after which external work stops, unless the lease was renewed."""
_UNREADABLE_MS: Final = 60_000
_UNREADABLE: Final = Failure(
    "unreadable", "This release cannot read the arguments or the cursor of the task. A newer release continues it."
)


class Slice:
    """One claim of a task, and the chunks committed under it."""

    __slots__ = (
        "_capacity",
        "_context",
        "_ends_at",
        "_error_count",
        "_failure",
        "_handler",
        "_has_worked",
        "_is_over",
        "_is_stale",
        "_meter",
        "_must_wait",
        "_read_ahead",
        "_renewed",
        "_size",
        "_task",
        "_unreadable",
    )

    def __init__(self, context: WorkerContext, handler: Handler, task: Task) -> None:
        self._context = context
        self._handler = handler
        self._task = task
        self._size = min(task.size or context.pace.first, context.pace.cap)
        self._ends_at = context.clock.monotonic() + context.slice_seconds
        self._renewed = context.clock.monotonic()
        self._capacity = 0
        self._error_count = 0
        self._has_worked = False
        self._is_stale = False
        self._is_over = False
        self._failure: Exception | None = None
        self._must_wait = False
        self._unreadable: msgspec.DecodeError | None = None
        self._read_ahead: tuple[Batch, int] | None = None
        self._meter = None if task.rate_limit is None else RateMeter(task.rate_limit, context.clock.monotonic())

    async def run(self) -> None:
        """Work until the task ends, yields, waits or loses its claim."""
        while not self._is_over:
            try:
                await self._step()
            except LeaseLost:
                observe.count("tasks.fenced")
                return
            except (Duplicate, PermanentFailure) as error:
                self._record_failure(error)
            except MustWait:
                self._must_wait = True
            except msgspec.DecodeError as error:
                self._must_wait, self._unreadable = True, error
            except StorageError as error:
                await self._back_off(error)
            except Exception as error:  # noqa: BLE001 - any error of a kind is a failed attempt, and is logged as one
                self._record_failure(error)

    async def _step(self) -> None:
        """Take the next step: reload, record a failure, wait, begin, yield, or commit one chunk."""
        if self._is_stale:
            await self._reload()
        if self._failure is not None:
            await self._store_failure(self._failure)
        elif self._must_wait:
            await self._wait()
        elif self._task.cursor is None:
            await self._begin()
        elif self._context.stopping.is_set() or (self._has_worked and await self._must_yield()):
            await self._yield()
        elif await self._has_capacity() and await self._wait_for_rate():
            began = self._context.clock.monotonic()
            await self._chunk()
            if self._context.db.has_foreground_writes:
                await self._rest(self._context.clock.monotonic() - began)
        else:
            await self._wait()

    async def _rest(self, took: float) -> None:
        """Rest after a chunk, to let foreground writes proceed. A rest takes at most a quarter of the lease."""
        await self._context.rest(min(REST * took, self._context.policy.lease_ms / SECOND / 4))

    # --- progress

    async def _begin(self) -> None:
        """Wait until every older transaction has ended, then let the kind fix the range of the task."""
        if not await self._wait_holding_claim(self._older_transactions_ended):
            await self._wait()
            return
        async with self._context.db.read() as read:
            plan = await self._handler.plan(read, self._task)
        timestamp = self._context.clock.monotonic()
        async with self._context.db.write(background=True) as tx:
            self._task = await claims.store_plan(tx, self._task.claim, plan, self._context.policy, self._context.now)
        self._note_renewal(timestamp)

    async def _chunk(self) -> None:
        """Read a batch; then prove the claim, write the effects and store the checkpoint, in one transaction."""
        timestamp = self._context.clock.monotonic()
        batch, limit = self._read_ahead or await self._load(self._task, self._limit())
        self._read_ahead = None
        if isinstance(self._handler, ExternalWork):
            worked = await run_while_claimed(self._handler.work(self._task, batch), self._still_holds_claim)
            if worked is None:
                return
            batch = worked
        point("task.after_load")
        following, next_limit = replace(self._task, cursor=batch.cursor), self._limit(taken=len(batch.items))
        if not isinstance(self._handler, ReadsAhead) or batch.last or self._meter is not None or next_limit < 1:
            await self._write(batch, limit, timestamp)
            return
        # `gather` awaits both: a lost claim rolls back the write and discards the batch that was read ahead.
        written, ahead = await asyncio.gather(
            self._write(batch, limit, timestamp), self._load(following, next_limit), return_exceptions=True
        )
        if isinstance(written, BaseException):
            raise written
        if self._task.cursor == following.cursor and not isinstance(ahead, BaseException):
            self._read_ahead = ahead

    async def _write(self, batch: Batch, limit: int, timestamp: float) -> None:
        async with self._context.db.write(background=True) as tx:
            point("task.after_begin")
            begun = self._context.clock.monotonic()
            held = await claims.fence(tx, self._task.claim)
            if held.cursor != self._task.cursor:  # a commit of unknown outcome had succeeded
                self._task = held
                return
            point("task.after_fence")
            result = await self._handler.apply(tx, held, batch) if batch.scanned else ChunkResult(0)
            point("task.after_effects")
            checkpoint = self._measure(batch, limit, timestamp, begun)
            after = await self._checkpoint(tx, held, result, checkpoint, last=batch.last)
            point("task.before_commit")
        point("task.after_commit")
        self._task = after
        self._has_worked = True  # a slice commits at least one chunk, or no task would ever progress
        self._size = checkpoint.size
        self._capacity -= result.made
        if self._meter is not None:
            self._meter.spend(result.made, self._context.clock.monotonic())
        self._note_renewal(begun)
        self._count_progress(batch, after)

    async def _checkpoint(
        self, tx: Write, held: Task, result: ChunkResult, checkpoint: Checkpoint, *, last: bool
    ) -> Task:
        after = await claims.checkpoint(tx, held, result, checkpoint, self._context.policy, self._context.now)
        if not last:
            return after
        ended = await claims.finish(tx, after.claim, self._context.now)
        await outcomes.notify(tx, ended, self._context.clock.now(), self._context.kinds)
        return ended

    async def _load(self, task: Task, limit: int) -> tuple[Batch, int]:
        """Return a batch and the row limit it was read with: lower if the rate limit allows fewer messages now."""
        async with self._context.db.read() as read:
            batch = await self._handler.load(read, task, limit)
            if self._meter is not None:
                allowed = self._meter.allowance(self._context.clock.monotonic())
                if len(batch.items) > allowed:
                    limit = allowed
                    batch = await self._handler.load(read, task, limit)
        return batch, limit

    def _limit(self, *, taken: int = 0) -> int:
        """Return the row limit of the next batch, if the current one takes `taken` rows of the capacity."""
        size = min(self._size, self._context.pace.crowded) if self._context.db.has_foreground_writes else self._size
        return min(size, self._capacity - taken) if self._context.backlog else size

    def _measure(self, batch: Batch, limit: int, timestamp: float, begun: float) -> Checkpoint:
        """Return the checkpoint, with the size of the next chunk. The commit is excluded: its cost is fixed."""
        now = self._context.clock.monotonic()
        whole_ms = (now - timestamp) * SECOND
        size = self._context.pace.next_size(limit, write_ms=(now - begun) * SECOND, whole_ms=whole_ms)
        if limit < self._size:  # a short chunk (backlog, foreground writes) says nothing about longer ones
            size = max(size, self._size)
        rate = next_rate(self._task.rate, batch.scanned, whole_ms)
        return Checkpoint(batch.cursor, size, rate, round(whole_ms))

    def _note_renewal(self, timestamp: float) -> None:
        self._renewed = timestamp
        self._error_count = 0

    def _count_progress(self, batch: Batch, after: Task) -> None:
        observe.count("tasks.chunks")
        observe.count("tasks.rows", batch.scanned)
        self._is_over = batch.last
        if batch.last:
            observe.transition("task", after.id, "succeeded")

    # --- the claim

    async def _wait_holding_claim(self, ready: Callable[[Read], Awaitable[bool]]) -> bool:
        """Keep the claim until a condition holds. Return False if the slice must yield first."""
        while True:
            async with self._context.db.read() as read:
                if await ready(read):
                    return True
            if await self._must_yield():
                return False
            await self._context.rest(_LOOK_SECONDS)
            await self._keep_claim()

    async def _keep_claim(self) -> None:
        """Check the claim, and renew its lease in time: without chunks, no checkpoint renews it."""
        async with self._context.db.read() as read:
            await claims.owned(read, self._task.claim)
        timestamp = self._context.clock.monotonic()
        if (timestamp - self._renewed) * SECOND * 3 >= self._context.policy.lease_ms:
            async with self._context.db.write(background=True) as tx:
                await claims.renew(tx, self._task.claim, self._context.policy, self._context.now)
            self._note_renewal(timestamp)

    async def _still_holds_claim(self) -> bool:
        """Keep the claim during external work, and return whether the work may continue.

        If the lease cannot be renewed, the work ends before lease expiry, when another process may start the same work.
        """
        if self._context.stopping.is_set():
            return False
        until = self._renewed + _RENEW_WITHIN * self._context.policy.lease_ms / SECOND
        left = until - self._context.clock.monotonic()
        try:
            async with asyncio.timeout(max(0.001, left)):
                await self._keep_claim()
        except (StorageError, TimeoutError) as error:
            if self._context.clock.monotonic() >= until:
                raise Unavailable("the lease could not be renewed") from error
        return True

    async def _older_transactions_ended(self, read: Read) -> bool:
        return await claims.older_transactions_ended(read, self._task.created_xid)

    async def _has_capacity(self) -> bool:
        """Return whether the backlog of this task has capacity. Count it only once the known capacity is used.

        Capacity for less than a chunk does not suffice, or the backlog would be counted again after a few rows.
        """
        limit = self._context.backlog
        if not limit or self._capacity > 0:
            return True
        self._read_ahead = None  # the wait may be long, and the batch would be outdated
        async with self._context.db.read() as read:
            self._capacity = limit - await self._handler.backlog(read, self._task, limit)
        needed = min(self._size, limit // 2) if self._has_worked else 1
        return self._capacity >= max(1, needed) or await self._wait_holding_claim(self._has_drained)

    async def _has_drained(self, read: Read) -> bool:
        limit = self._context.backlog
        half = limit // 2  # the count stops there: an exact number is not needed
        left = await self._handler.backlog(read, self._task, half + 1)
        self._capacity = limit - left if left <= half else 0
        return self._capacity > 0

    async def _wait_for_rate(self) -> bool:
        """Wait until the rate limit of the task allows a send. Return False if the process stops."""
        while self._meter is not None and (wait := self._meter.wait(self._context.clock.monotonic())) > 0:
            await self._context.rest(min(wait, _LOOK_SECONDS))
            if self._context.stopping.is_set():
                return False
            await self._keep_claim()
        return True

    async def _must_yield(self) -> bool:
        """Return whether the process stops, or the time of the slice is up and another task is ready."""
        if self._context.stopping.is_set():
            return True
        timestamp = self._context.clock.monotonic()
        if timestamp < self._ends_at:
            return False
        self._ends_at = timestamp + self._context.slice_seconds
        async with self._context.db.read() as read:
            return await claims.has_waiting(read, self._context.kinds.names, self._context.now)

    # --- release

    async def _yield(self) -> None:
        context = self._context
        point("task.before_yield")
        async with context.db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
            await claims.yield_task(tx, self._task, context.kinds.names, context.now)
        self._is_over = True
        observe.count("tasks.yields")

    async def _wait(self) -> None:
        if self._unreadable is not None:
            await self._release_unreadable(self._unreadable)
            return
        async with self._context.db.write(background=True) as tx:
            await claims.wait(tx, self._task.claim, _WAIT_MS, self._context.now)
        self._is_over = True
        observe.count("tasks.waits")

    async def _release_unreadable(self, error: msgspec.DecodeError) -> None:
        """Release a task with unreadable arguments or an unreadable cursor, for a worker of another release."""
        async with self._context.db.write(background=True) as tx:
            await claims.release_unreadable(tx, self._task.claim, _UNREADABLE, _UNREADABLE_MS, self._context.now)
        self._is_over = True
        observe.log.warning(
            "task %s (%s): released for a worker of another release: %s", self._task.id, self._task.kind, error
        )

    async def _store_failure(self, error: Exception) -> None:
        policy = self._context.policy
        if isinstance(error, PermanentFailure):
            policy, why = replace(policy, attempt_limit=0), Failure(error.code, error.detail)
        else:
            why = Failure("internal", f"A chunk of the task failed with {type(error).__name__}.")
        async with self._context.db.write(background=True) as tx:
            task = await claims.fail_attempt(tx, self._task.claim, why, policy, self._context.now)
            await outcomes.notify(tx, task, self._context.clock.now(), self._context.kinds)
        self._is_over = True
        outcomes.log(task, f"{task.state} ({why.code})")

    # --- errors

    def _record_failure(self, error: Exception) -> None:
        """Record a failure, which the next step stores. An error while it is stored ends the slice."""
        if not isinstance(error, PermanentFailure):
            observe.failure(f"task {self._task.id} ({self._task.kind})", error)
        self._is_over = self._failure is not None
        self._failure = error

    async def _back_off(self, error: StorageError) -> None:
        """Back off after a database error, longer each time, and reload the task before the next step."""
        self._error_count += 1
        self._is_stale = True
        observe.count("tasks.database_troubles")
        if isinstance(error, Busy):
            # A chunk that times out is retried with half of its rows. If one row keeps timing out, the attempt failed.
            if self._size == 1 and self._error_count > _BUSY_MAX:
                self._record_failure(error)
            self._size = max(1, self._size // 2)
        await self._context.rest(min(_BACKOFF_MAX, _BACKOFF_FIRST * 2 ** min(self._error_count, 10)))
        self._is_over = self._is_over or self._context.stopping.is_set()

    async def _reload(self) -> None:
        """Reload the task: after a commit of unknown outcome, the copy in memory may be stale."""
        async with self._context.db.read() as read:
            self._task = await claims.owned(read, self._task.claim)
        self._is_stale = False
