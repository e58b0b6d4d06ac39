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

import msgspec

from tidings import observe
from tidings.core import outcomes
from tidings.failpoint import point
from tidings.model.task import (
    Batch,
    Checkpoint,
    ChunkResult,
    LeaseLost,
    MustWait,
    PermanentFailure,
    Task,
)
from tidings.storage.drivers.database import Busy, Duplicate, Read, StorageError, Write
from tidings.storage.tables import claims
from tidings.tasks import release
from tidings.tasks.chunk_limit import ChunkLimit
from tidings.tasks.context import WorkerContext
from tidings.tasks.external_work import run_while_claimed
from tidings.tasks.handler import ExternalWork, Handler, ReadsAhead
from tidings.tasks.held_claim import HeldClaim
from tidings.tasks.pace import RateMeter


class Slice:
    """One claim of a task, and the chunks committed under it."""

    __slots__ = (
        "_chunks",
        "_context",
        "_ends_at",
        "_handler",
        "_has_worked",
        "_held",
        "_is_over",
        "_is_stale",
        "_meter",
        "_must_wait",
        "_read_ahead",
        "_unreadable",
        "failure",
        "task",
    )

    def __init__(self, context: WorkerContext, handler: Handler, task: Task) -> None:
        self._context = context
        self._handler = handler
        self.task = task
        self._chunks = ChunkLimit(context, handler, task)
        self._ends_at = context.clock.monotonic() + context.slice_seconds
        self._held = HeldClaim(context)
        self._has_worked = False
        self._is_stale = False
        self._is_over = False
        self.failure: Exception | None = None
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
        if self.failure is not None:
            await self._release(release.record_failure(self._context, self.task, self.failure))
        elif self._must_wait:
            await self._wait()
        elif self.task.cursor is None:
            await self._begin()
        elif self._context.stopping.is_set() or (self._has_worked and await self._must_yield()):
            await self._release(release.yield_task(self._context, self.task))
        elif await self._has_capacity() and await self._wait_for_rate():
            began = self._context.clock.monotonic()
            await self._chunk()
            if self._context.db.has_foreground_writes:
                await self._context.rest_after(self._context.clock.monotonic() - began)
        else:
            await self._wait()

    async def _release(self, released: Awaitable[None]) -> None:
        """End the slice with a release of the task."""
        await released
        self._is_over = True

    async def _wait(self) -> None:
        if self._unreadable is None:
            await self._release(release.wait(self._context, self.task))
        else:
            await self._release(release.release_unreadable(self._context, self.task, self._unreadable))

    # --- progress

    async def _begin(self) -> None:
        """Wait until every older transaction has ended, then let the kind fix the range of the task."""
        if not await self._wait_holding_claim(self._older_transactions_ended):
            await self._wait()
            return
        async with self._context.db.read() as read:
            plan = await self._handler.plan(read, self.task)
        timestamp = self._context.clock.monotonic()
        async with self._context.db.write(background=True) as tx:
            self.task = await claims.store_plan(tx, self.task.claim, plan, self._context.policy, self._context.now)
        self._held.note_renewal(timestamp)

    async def _chunk(self) -> None:
        """Read a batch; then prove the claim, write the effects and store the checkpoint, in one transaction."""
        timestamp = self._context.clock.monotonic()
        batch, limit = self._read_ahead or await self._load(self.task, self._chunks.rows())
        self._read_ahead = None
        if isinstance(self._handler, ExternalWork):
            worked = await self._work(self._handler, batch)
            if worked is None:
                return
            batch = worked
        point("task.after_load")
        following, next_limit = replace(self.task, cursor=batch.cursor), self._chunks.rows(taken=len(batch.items))
        if not isinstance(self._handler, ReadsAhead) or batch.last or self._meter is not None or next_limit < 1:
            await self._write(batch, limit, timestamp)
            return
        # `gather` awaits both: a lost claim rolls back the write and discards the batch that was read ahead.
        written, ahead = await asyncio.gather(
            self._write(batch, limit, timestamp), self._load(following, next_limit), return_exceptions=True
        )
        if isinstance(written, BaseException):
            raise written
        if self.task.cursor == following.cursor and not isinstance(ahead, BaseException):
            self._read_ahead = ahead

    async def _work(self, handler: ExternalWork, batch: Batch) -> Batch | None:
        return await run_while_claimed(
            handler.work(self.task, batch),
            lambda: self._held.keep_while_working(self.task.claim),
            look_seconds=self._context.look_seconds,
        )

    async def _write(self, batch: Batch, limit: int, timestamp: float) -> None:
        async with self._context.db.write(background=True) as tx:
            point("task.after_begin")
            begun = self._context.clock.monotonic()
            held = await claims.fence(tx, self.task.claim)
            if held.cursor != self.task.cursor:  # a commit of unknown outcome had succeeded
                self.task = held
                return
            point("task.after_fence")
            result = await self._handler.apply(tx, held, batch) if batch.scanned else ChunkResult(0)
            point("task.after_effects")
            checkpoint = self._chunks.measured(self.task, batch, limit, timestamp, begun)
            after = await self._checkpoint(tx, held, result, checkpoint, last=batch.last)
            point("task.before_commit")
        point("task.after_commit")
        self.task = after
        self._has_worked = True  # a slice commits at least one chunk, or no task would ever progress
        self._chunks.note_chunk(checkpoint.size, result.made)
        if self._meter is not None:
            self._meter.spend(result.made, self._context.clock.monotonic())
        self._held.note_renewal(begun)
        self._is_over = batch.last
        _count_progress(batch, after)

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

    # --- the claim

    async def _wait_holding_claim(self, ready: Callable[[Read], Awaitable[bool]]) -> bool:
        """Keep the claim until a condition holds. Return False if the slice must yield first."""
        while True:
            async with self._context.db.read() as read:
                if await ready(read):
                    return True
            if await self._must_yield():
                return False
            await self._context.rest(self._context.look_seconds)
            await self._held.keep(self.task.claim)

    async def _older_transactions_ended(self, read: Read) -> bool:
        return await claims.older_transactions_ended(read, self.task.created_xid)

    async def _has_capacity(self) -> bool:
        """Return whether the backlog of this task has capacity; wait for it as long as the slice need not yield."""
        if self._chunks.has_capacity:
            return True
        self._read_ahead = None  # the wait may be long, and the batch would be outdated
        async with self._context.db.read() as read:
            if await self._chunks.count_backlog(read, self.task, is_first=not self._has_worked):
                return True
        return await self._wait_holding_claim(lambda read: self._chunks.has_drained(read, self.task))

    async def _wait_for_rate(self) -> bool:
        """Wait until the rate limit of the task allows a send. Return False if the process stops."""
        while self._meter is not None and (wait := self._meter.wait(self._context.clock.monotonic())) > 0:
            await self._context.rest(min(wait, self._context.look_seconds))
            if self._context.stopping.is_set():
                return False
            await self._held.keep(self.task.claim)
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

    # --- errors

    def _record_failure(self, error: Exception) -> None:
        """Record a failure, which the next step stores. An error while it is stored ends the slice."""
        if not isinstance(error, PermanentFailure):
            observe.failure("a chunk of a task", error, task=self.task.id, org=self.task.org_id, kind=self.task.kind)
        self._is_over = self.failure is not None
        self.failure = error

    async def _back_off(self, error: StorageError) -> None:
        """Back off after a database error, longer each time, and reload the task before the next step."""
        self._held.error_count += 1
        self._is_stale = True
        observe.count("tasks.database_troubles")
        if isinstance(error, Busy):
            # A chunk that times out is retried with half of its rows. If one row keeps timing out, the attempt failed.
            if self._chunks.size == 1 and self._held.error_count > self._context.tuning.busy_max:
                self._record_failure(error)
            self._chunks.halve()
        await self._context.back_off(self._held.error_count)
        self._is_over = self._is_over or self._context.stopping.is_set()

    async def _reload(self) -> None:
        """Reload the task: after a commit of unknown outcome, the copy in memory may be stale."""
        async with self._context.db.read() as read:
            self.task = await claims.owned(read, self.task.claim)
        self._is_stale = False


def _count_progress(batch: Batch, after: Task) -> None:
    observe.count("tasks.chunks")
    observe.count("tasks.rows", batch.scanned)
    if batch.last:
        observe.transition("task", after.id, "succeeded")
        observe.count(f"tasks.ended {after.kind} succeeded")
