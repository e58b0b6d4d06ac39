# SPDX-License-Identifier: MIT
"""Background tasks: their states, the transitions between them, and the fields of a task.

A task is one row, and the row holds the complete state of the task. There is no separate queue, no state in the memory
of a worker, and no state for a transition in progress.

A task is in one of six states. A `queued` task waits for a worker, a `running` one has an owner, a `paused` one waits
for a person. `succeeded` and `cancelled` are final; `failed` is final unless the task is retried. Commands change the
state, and `TRANSITIONS` lists every permitted change. The statements in storage, the diagram in the documentation and
the tests are generated from that table, so they cannot disagree.

The epoch is a fencing token. Every change of ownership raises it, and every write of a worker is conditional on the
epoch of its claim; no other guard is needed. A worker with an old epoch writes nothing, whether it was suspended for an
hour, has a wrong clock, or was declared dead by mistake. For the same reason a pause or a cancel takes effect
immediately: it raises the epoch, and a chunk in progress has either committed before or fails to commit. So there are
no intermediate states `pausing` and `cancelling`, in which a task could hang.

Progress renews the lease. Each chunk of work ends with a checkpoint, in the transaction that stores the effects of the
chunk, and the checkpoint renews the lease. The next worker that claims a task first requeues tasks with an expired
lease. Clocks determine only when that happens; a wrong clock delays work but never repeats or loses an effect.

An error in a chunk is a failed attempt, and so is an expired lease (the owner died, or appeared to). The count of
failed attempts applies to one position of the cursor: any progress resets it. So a task of ten million items survives a
thousand restarts, while an item that kills its worker fails the task after `ATTEMPT_LIMIT` attempts.

Fair-share rounds give tenants equal shares. Each queued task has a round; the tasks of a tenant have successive rounds;
a new tenant starts at the current round. After a slice of work a task gets a later round.

The API shows three statuses only, because the enums of the SDKs are closed: `running`, `finished`, `failed`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tidings.ids import AppId, OrgId, TaskId
from tidings.model.stored import json_object

ATTEMPT_LIMIT: Final = 5
"""The number of failed attempts at one cursor position after which a task fails."""

ACTIVE_LIMIT: Final = 1_000
"""The most tasks of one tenant that are queued, running or paused."""

ITEMS_KEPT: Final = 100
"""The most skipped items that are stored individually; the others are only counted."""

ARGS_VERSION: Final = 1
"""The newest format of arguments that this release reads. Its workers do not claim tasks with a newer format."""

_ETA_CHUNKS: Final = 3
_ETA_MS: Final = 2_000


class State(StrEnum):
    """The state of a task."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Command(StrEnum):
    """An event that changes a task."""

    CLAIM = "claim"
    ADVANCE = "advance"
    FINISH = "finish"
    WAIT = "wait"
    YIELD = "yield"
    FAIL = "fail"
    EXPIRE = "expire"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"


class CountChange(StrEnum):
    """Effect of a command on the count of failed attempts."""

    KEPT = "kept"
    ADDED = "added"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Transition:
    """Effect of one command: source states, target state, epoch, and count of failed attempts."""

    sources: frozenset[State]
    target: State
    raises_epoch: bool
    failed_attempts: CountChange
    why: str
    at_limit: State | None = None


def _transition(sources: str, target: State, *, epoch: int, count: CountChange, why: str) -> Transition:
    states = frozenset(State(source) for source in sources.split())
    at_limit = State.FAILED if count is CountChange.ADDED else None
    return Transition(states, target, bool(epoch), count, why, at_limit)


TRANSITIONS: Final[Mapping[Command, Transition]] = {
    Command.CLAIM: _transition(
        "queued", State.RUNNING, epoch=1, count=CountChange.KEPT, why="a worker claims it with a new epoch"
    ),
    Command.ADVANCE: _transition(
        "running", State.RUNNING, epoch=0, count=CountChange.CLEARED, why="a chunk and its checkpoint commit"
    ),
    Command.FINISH: _transition(
        "running", State.SUCCEEDED, epoch=0, count=CountChange.CLEARED, why="the range has been visited to its end"
    ),
    Command.WAIT: _transition(
        "running",
        State.QUEUED,
        epoch=1,
        count=CountChange.KEPT,
        why="the task waits for another event",
    ),
    Command.YIELD: _transition(
        "running", State.QUEUED, epoch=1, count=CountChange.KEPT, why="its slice is over and other tasks wait"
    ),
    Command.FAIL: _transition(
        "running", State.QUEUED, epoch=1, count=CountChange.ADDED, why="a chunk failed; retried after a backoff"
    ),
    Command.EXPIRE: _transition(
        "running", State.QUEUED, epoch=1, count=CountChange.ADDED, why="no checkpoint before lease expiry"
    ),
    Command.PAUSE: _transition(
        "queued running", State.PAUSED, epoch=1, count=CountChange.KEPT, why="requested; takes effect immediately"
    ),
    Command.RESUME: _transition(
        "paused",
        State.QUEUED,
        epoch=0,
        count=CountChange.CLEARED,
        why="requested; a paused task has no owner",
    ),
    Command.CANCEL: _transition(
        "queued running paused",
        State.CANCELLED,
        epoch=1,
        count=CountChange.KEPT,
        why="requested; takes effect immediately",
    ),
    Command.RETRY: _transition(
        "failed", State.QUEUED, epoch=1, count=CountChange.CLEARED, why="requested; continues from the cursor"
    ),
}

ACTIVE: Final = frozenset({State.QUEUED, State.RUNNING, State.PAUSED})
ENDED: Final = frozenset(State) - ACTIVE


def allows(command: Command, state: State) -> bool:
    """Return whether a command is permitted in a state."""
    return state in TRANSITIONS[command].sources


@dataclass(frozen=True, slots=True)
class TransitionState:
    """The fields of a task that a transition changes."""

    state: State
    epoch: int
    failed_attempts: int


def transitioned(
    transition_state: TransitionState, command: Command, *, limit: int = ATTEMPT_LIMIT
) -> TransitionState | None:
    """Return the state after a command, or None if `TRANSITIONS` does not permit it."""
    rule = TRANSITIONS[command]
    if transition_state.state not in rule.sources:
        return None
    failed_attempts = {
        CountChange.KEPT: transition_state.failed_attempts,
        CountChange.ADDED: transition_state.failed_attempts + 1,
        CountChange.CLEARED: 0,
    }[rule.failed_attempts]
    target = rule.target if rule.at_limit is None or failed_attempts < limit else rule.at_limit
    return TransitionState(target, transition_state.epoch + int(rule.raises_epoch), failed_attempts)


class WireStatus(StrEnum):
    """The status of a task in the API."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


WIRE_STATUS: Final[Mapping[State, WireStatus]] = {
    State.QUEUED: WireStatus.RUNNING,
    State.RUNNING: WireStatus.RUNNING,
    State.PAUSED: WireStatus.RUNNING,
    State.SUCCEEDED: WireStatus.FINISHED,
    State.FAILED: WireStatus.FAILED,
    State.CANCELLED: WireStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The last error of a task: a code for programs and a sentence for people."""

    code: str
    detail: str

    @classmethod
    def of(cls, text: str | None) -> "Failure | None":
        """Return the failure that a text stores, without members that another release added."""
        if text is None:
            return None
        found = json_object(text)
        return cls(str(found.get("code", "unknown")), str(found.get("detail", "")))


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a task; it ends when the epoch of the row changes."""

    id: TaskId
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a task; unknown values are None."""

    done: int
    skipped: int
    total: int | None
    total_exact: bool
    percent: float | None
    rate_per_second: float | None
    eta_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The row of a background task."""

    id: TaskId
    org_id: OrgId
    app_id: AppId | None
    tenant: str
    kind: str
    args: str
    state: State
    priority: int
    fair_round: int
    ready_at: int
    epoch: int
    lease_until: int | None
    cursor: str | None
    done: int
    skipped: int
    total: int | None
    total_exact: bool
    size: int
    rate: float
    busy_ms: int
    chunks: int
    failed_attempts: int
    error: Failure | None
    counters: Mapping[str, int]
    lock_key: str | None
    created_by: str | None
    created_xid: int | None
    rate_limit: int | None = None
    created_at: int
    started_at: int | None
    updated_at: int
    finished_at: int | None

    @property
    def claim(self) -> Claim:
        """The claim with the epoch of this row; valid only if its owner has read the row."""
        return Claim(self.id, self.epoch)

    @property
    def transition_state(self) -> TransitionState:
        return TransitionState(self.state, self.epoch, self.failed_attempts)

    @property
    def wire_status(self) -> WireStatus:
        return WIRE_STATUS[self.state]

    @property
    def progress(self) -> Progress:
        """The progress to show: a percentage only within a known total, an ETA only if running with enough data."""
        visited = self.done + self.skipped
        within = self.total is not None and visited <= self.total
        percent = None
        if self.total is not None and within:
            percent = 100.0 if self.total == 0 else round(100 * visited / self.total, 1)
        moving = self.state is State.RUNNING and self.chunks >= _ETA_CHUNKS and self.busy_ms >= _ETA_MS
        eta = None
        if self.total is not None and within and moving and self.rate > 0:
            eta = round((self.total - visited) / self.rate)
        return Progress(
            done=self.done,
            skipped=self.skipped,
            total=self.total,
            total_exact=self.total_exact,
            percent=percent,
            rate_per_second=round(self.rate, 1) if self.rate > 0 else None,
            eta_seconds=eta,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to create."""

    kind: str
    org_id: OrgId
    app_id: AppId | None
    args: str
    lock_key: str | None = None
    created_by: str | None = None
    priority: int = 0
    rate_limit: int | None = None
    """The most messages per second that the task may resend."""
    payload: bytes | None = None
    """An input that is too large for the task's row."""

    @property
    def tenant(self) -> str:
        """The owner of the fair share: the application if there is one, else the organization."""
        return self.app_id or self.org_id


@dataclass(frozen=True, slots=True)
class Plan:
    """The closed range of a task: its first cursor, and its number of items if they are cheap to count."""

    cursor: str
    total: int | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """The input of one chunk: its items, the number of rows scanned, and the cursor after them."""

    items: Sequence[Any]
    scanned: int
    cursor: str
    last: bool


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The result of a chunk: rows done, items skipped (key and reason), and the counters of the kind."""

    done: int
    skipped: Sequence[tuple[str, str]] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    made: int = 0
    """The number of deliveries that the chunk made due, for back pressure."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The progress that a chunk stores: its cursor, and the size of the next chunk."""

    cursor: str
    size: int
    rate: float
    took_ms: int


@dataclass(frozen=True, slots=True)
class TaskPolicy:
    """Lease, attempt limit, backoff and concurrency of tasks."""

    lease_ms: int = 30_000
    attempt_limit: int = ATTEMPT_LIMIT
    backoff_ms: int = 1_000
    per_tenant: int = 2


class PermanentFailure(Exception):
    """A task that cannot succeed: its target was deleted, or its arguments are no longer valid."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class MustWait(Exception):
    """A task that must wait for another event; it is retried later, without a failed attempt."""


class LeaseLost(Exception):
    """A write that was refused because the claim is no longer valid."""
