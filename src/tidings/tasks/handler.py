# SPDX-License-Identifier: MIT
"""The interface of a kind of task: a fixed range, read in batches, and the effects of each batch.

Rules for implementations:

- No network access and no waiting. Effects are rows; delivery sends them later.
- While a connection is held, only the database is awaited (an architecture test checks this). For other work see
  `ExternalWork`.
- `load` runs outside the write transaction, so `apply` rechecks everything that may have changed since.
- `apply` changes only its transaction. Effects, cursor and progress then commit together, so each effect happens once.
- The cursor is the last key seen, never an offset.
- An item that cannot be processed is recorded as skipped, and the task continues with the next one.
  `PermanentFailure` is for a task that can never continue.
"""

from typing import Protocol

from tidings.model.task import Batch, ChunkResult, Plan, Task
from tidings.storage.drivers.database import Read, Write


class ReadsAhead:
    """Marks a kind whose `load` does not depend on the previous chunk: it may run during the previous `apply`."""


class ExternalWork:
    """Marks a kind that works outside the database, between `load` and `apply`, while no connection is held.

    The slice keeps the claim meanwhile. It cancels the work when the claim is lost or the process stops. The work must
    have ended when its cancellation returns.
    """

    async def work(self, task: Task, batch: Batch) -> Batch:
        """Return the batch with the results that `apply` writes."""
        raise NotImplementedError


class Handler(Protocol):
    """One kind of background task."""

    kind: str

    async def plan(self, read: Read, task: Task) -> Plan:
        """Fix the range, and count its rows if that is cheap. Called once, after every older transaction has ended."""
        ...

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        """Read the batch after the task's cursor, scanning at most `limit` rows."""
        ...

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        """Write the effects of the batch, in the transaction that also writes the checkpoint."""
        ...

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        """Return the number of outstanding deliveries of this kind, at most `limit`; 0 if the kind creates none."""
        ...
