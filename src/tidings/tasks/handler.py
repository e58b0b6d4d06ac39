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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tidings.clock import Clock
from tidings.core.notifier import Notifier
from tidings.model.task import Batch, ChunkResult, Plan, Task
from tidings.model.task_kind import TaskKind
from tidings.storage.drivers.database import Read, Write
from tidings.tasks.tuning import TaskTuning

SAMPLE: Final = 5
"""The number of examples in a dry run."""


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


@dataclass(frozen=True, slots=True)
class HandlerServices:
    """What handlers receive from their process."""

    clock: Clock
    notifier: Notifier
    tuning: TaskTuning = TaskTuning()


@dataclass(frozen=True, slots=True)
class DryRunPart:
    """A part of a range that a dry run has scanned: its rows, those that the task would process, and its cursor."""

    scanned: int
    matching: int
    cursor: str
    last: bool
    sample: Sequence[str] = ()


class Handler(Protocol):
    """The work of one kind of background task."""

    kind: TaskKind

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

    async def scan_dry(self, read: Read, task: Task, limit: int) -> DryRunPart | None:
        """Scan the rows after the task's cursor for a dry run; None if the task processes every row of its plan."""
        ...

    async def sample(self, read: Read, task: Task, limit: int) -> Sequence[str]:
        """Return the first items of a task that processes every row of its plan, for a dry run."""
        ...


class TaskHandler:
    """The parts of a handler that most kinds share."""

    def __init__(self, kind: TaskKind, services: HandlerServices) -> None:
        self.kind = kind
        self._clock = services.clock
        self._notifier = services.notifier
        self._tuning = services.tuning

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        """Return 0: most kinds resend nothing."""
        del read, task, limit
        return 0

    async def scan_dry(self, read: Read, task: Task, limit: int) -> DryRunPart | None:
        """Return None: most kinds process every row of their plans."""
        del read, task, limit
        return None

    async def sample(self, read: Read, task: Task, limit: int) -> Sequence[str]:
        """Return no examples."""
        del read, task, limit
        return ()
