# SPDX-License-Identifier: MIT
"""The interface of a kind of task: a closed range, read in batches, and the effects of each batch.

Rules for implementations. No network and no waiting: effects are rows, and delivery sends them later.
Nothing but the database is awaited while a connection is held (an architecture test holds that); see `ExternalWork`.
`load` runs outside the write, so `apply` checks again what may have changed since. `apply` touches nothing but
its transaction: effects, cursor and progress then commit together, which is what makes each effect happen once. The
cursor is the last key seen, never an offset. An item that cannot be done is told in the tally and does not stop the
others; `Permanent` is for a task that can never go on.
"""

from typing import Protocol

from tidings.model.task import Batch, ChunkResult, Plan, Task
from tidings.storage.database import Read, Write


class ReadsAhead:
    """Marks a kind whose `load` does not depend on the effects of the chunk before: it may run beside its `apply`."""


class ExternalWork:
    """Marks a kind with work outside of the database: between `load` and `apply`, while no connection is held.

    The claim is kept meanwhile. The work is canceled when the claim is lost or the process stops, and has ended when
    the cancellation returns.
    """

    async def work(self, task: Task, batch: Batch) -> Batch:
        """Return the batch with what `apply` writes."""
        raise NotImplementedError


class Handler(Protocol):
    """One kind of background task."""

    kind: str

    async def plan(self, read: Read, task: Task) -> Plan:
        """Close the range, and count it if that is cheap. Called once, when every older transaction has ended."""
        ...

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        """Read on from the task's cursor, looking at no more than `limit` rows."""
        ...

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        """Write the effects of the batch, in the transaction that also holds the checkpoint."""
        ...

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        """Count the outstanding deliveries of this kind, up to `limit`; 0 if it makes none."""
        ...
