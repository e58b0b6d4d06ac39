# SPDX-License-Identifier: MIT
"""How many rows the next chunk of a task may have: by its pace, and by the capacity of its backlog."""

from tidings.clock import SECOND
from tidings.model.task import Batch, Checkpoint, Task
from tidings.storage.drivers.database import Read
from tidings.tasks.context import WorkerContext
from tidings.tasks.handler import Handler
from tidings.tasks.pace import next_rate


class ChunkLimit:
    """The size of the next chunk, and the deliveries that the task may still create."""

    __slots__ = ("_capacity", "_context", "_handler", "size")

    def __init__(self, context: WorkerContext, handler: Handler, task: Task) -> None:
        self._context = context
        self._handler = handler
        self._capacity = 0
        self.size = min(task.size or context.pace.first, context.pace.cap)

    @property
    def has_capacity(self) -> bool:
        """Whether the known capacity suffices, so that the backlog need not be counted."""
        return not self._context.backlog or self._capacity > 0

    def rows(self, *, taken: int = 0) -> int:
        """Return the row limit of the next batch, if the current one takes `taken` rows of the capacity."""
        context = self._context
        size = min(self.size, context.pace.crowded) if context.db.has_foreground_writes else self.size
        return min(size, self._capacity - taken) if context.backlog else size

    async def count_backlog(self, read: Read, task: Task, *, is_first: bool) -> bool:
        """Count the backlog, and return whether it has capacity.

        Capacity for less than a chunk does not suffice, or the backlog would be counted again after a few rows.
        """
        limit = self._context.backlog
        self._capacity = limit - await self._handler.backlog(read, task, limit)
        return self._capacity >= max(1, 1 if is_first else min(self.size, limit // 2))

    async def has_drained(self, read: Read, task: Task) -> bool:
        """Return whether half of the backlog is done."""
        limit = self._context.backlog
        half = limit // 2  # the count stops there: an exact number is not needed
        left = await self._handler.backlog(read, task, half + 1)
        self._capacity = limit - left if left <= half else 0
        return self._capacity > 0

    def measured(self, task: Task, batch: Batch, limit: int, timestamp: float, begun: float) -> Checkpoint:
        """Return the checkpoint, with the size of the next chunk. The commit is excluded: its cost is fixed."""
        now = self._context.clock.monotonic()
        whole_ms = (now - timestamp) * SECOND
        size = self._context.pace.next_size(limit, write_ms=(now - begun) * SECOND, whole_ms=whole_ms)
        if limit < self.size:  # a short chunk (backlog, foreground writes) says nothing about longer ones
            size = max(size, self.size)
        return Checkpoint(batch.cursor, size, next_rate(task.rate, batch.scanned, whole_ms), round(whole_ms))

    def note_chunk(self, size: int, made: int) -> None:
        """Record that a chunk has created deliveries, and the size of the next one."""
        self.size = size
        self._capacity -= made

    def halve(self) -> None:
        """Halve the next chunk, after one has timed out."""
        self.size = max(1, self.size // 2)
