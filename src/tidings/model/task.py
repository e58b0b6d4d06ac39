# SPDX-License-Identifier: MIT
"""Background tasks: their states, the commands that move them, and what one says about itself.

Theory. A task is one row, and the row is the truth at any time: there is no queue beside it, no memory of a worker
that would have to be asked, and no state that means "somebody is about to do something".

A task is in one of six states. `queued` waits for a worker, `running` has an owner, `paused` waits for a person;
`succeeded` and `cancelled` are the end, and `failed` is the end unless somebody retries it. Commands move a task from
state to state, and `TRANSITIONS` is the whole list of what they may do: the statements in storage, the documentation's
diagram and the tests are made from that one table, so that none of them can know a transition the others do not.

Ownership is a number, the epoch. Whatever changes who may work on a task raises it, and whoever works says with every
write which epoch it was given: no other guard is needed. A worker that was stopped for an hour, or believes an old
clock, or was declared dead and is not, still writes nothing, because its number is old. That is also why a pause or a
cancel takes effect at once: it raises the epoch, and a chunk in progress has either committed before or will find that
the task is no longer its own. There is nothing in between, hence no `pausing` and no `cancelling` to get stuck in.

A worker proves that it is alive by getting on. Each chunk of work ends in a checkpoint, in the same transaction as
the chunk's effects, and the checkpoint renews the lease. A lease that ran out is put back in the queue by whoever
claims next. Clocks decide only how soon that happens; a wrong clock costs time, never an effect.

An error in a chunk, or an expired lease (the owner died, or seemed to), is a failed attempt. Failed attempts are
counted at one place of the work: any progress resets the count, so a task of ten million items outlives a thousand
restarts, while an item that kills its worker fails the task after `ATTEMPT_LIMIT` attempts.

Fair-share rounds keep tenants equal. Each queued task has a round; the tasks of a tenant have successive rounds; a new
tenant enters at the round that is being served. After a slice of work a task gets a later round.

On the wire there are three words only, because the clients' enumerations are closed: `running`, `finished`, `failed`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tidings.ids import AppId, OrgId, TaskId
from tidings.model.stored import json_object

ATTEMPT_LIMIT: Final = 5
"""Failed attempts at one place of the work after which a task has failed."""

ACTIVE_LIMIT: Final = 1_000
"""Most tasks of one tenant that may be queued, running or paused at once."""

ITEMS_KEPT: Final = 100
"""Items that could not be done and are reported one by one; the rest are only counted."""

SYSTEM: Final = "system."
"""Kinds with this prefix are the service's own affair and never reach the wire."""

RECOVER: Final = "endpoint.recover"
REPLAY: Final = "endpoint.replay"
BULK_REPLAY: Final = "endpoint.bulk-replay"
APP_STATS: Final = "application.stats"
EVENT_TYPE_STATS: Final = "event-type.aggregate"
PURGE_CONTENT: Final = "application.purge_content"
BROADCAST: Final = "message.broadcast"
EXPORT: Final = "sdk.generate"
JANITOR: Final = "system.janitor"
KINDS: Final = (RECOVER, REPLAY, BULK_REPLAY, APP_STATS, EVENT_TYPE_STATS, PURGE_CONTENT, BROADCAST, EXPORT)
"""What there is to start, by the names that the contract has for it."""
RESENDING: Final = frozenset({RECOVER, REPLAY, BULK_REPLAY})
KNOWN: Final = (*KINDS, JANITOR)
"""Every kind of this release; rows of other kinds come from another release and stay untouched."""
ARGS_VERSION: Final = 1
"""The newest format of arguments that this release reads; workers leave tasks with a newer one to newer workers."""

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
        why="something else must happen first",
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
        "queued running", State.PAUSED, epoch=1, count=CountChange.KEPT, why="requested; takes effect at once"
    ),
    Command.RESUME: _transition(
        "paused",
        State.QUEUED,
        epoch=0,
        count=CountChange.CLEARED,
        why="requested; a paused task has no owner",
    ),
    Command.CANCEL: _transition(
        "queued running paused", State.CANCELLED, epoch=1, count=CountChange.KEPT, why="requested; takes effect at once"
    ),
    Command.RETRY: _transition(
        "failed", State.QUEUED, epoch=1, count=CountChange.CLEARED, why="requested; continues from the cursor"
    ),
}

ACTIVE: Final = frozenset({State.QUEUED, State.RUNNING, State.PAUSED})
ENDED: Final = frozenset(State) - ACTIVE


def allows(command: Command, state: State) -> bool:
    """Tell whether a command may be given to a task in this state."""
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
    """Return the state after a command, or None where the table refuses it."""
    rule = TRANSITIONS[command]
    if transition_state.state not in rule.sources:
        return None
    failed_attempts = {
        CountChange.KEPT: transition_state.failed_attempts,
        CountChange.ADDED: transition_state.failed_attempts + 1,
        CountChange.CLEARED: 0,
    }[rule.failed_attempts]
    spent = rule.at_limit is not None and failed_attempts >= limit
    target = rule.at_limit if spent and rule.at_limit is not None else rule.target
    return TransitionState(target, transition_state.epoch + int(rule.raises_epoch), failed_attempts)


class WireStatus(StrEnum):
    """The three words that every client knows."""

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
    """The last error of a task: a code for programs, a sentence for people."""

    code: str
    detail: str

    @classmethod
    def of(cls, text: str | None) -> "Failure | None":
        """Return a stored failure; the members that another release adds are left out."""
        if text is None:
            return None
        found = json_object(text)
        return cls(str(found.get("code", "unknown")), str(found.get("detail", "")))


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a task: worth nothing once the row has another epoch."""

    id: TaskId
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a task; None where it is not known."""

    done: int
    skipped: int
    total: int | None
    total_exact: bool
    percent: float | None
    rate_per_second: float | None
    eta_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One background task, as its row says."""

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
        """The claim under which this row was read, if it was read as the owner."""
        return Claim(self.id, self.epoch)

    @property
    def transition_state(self) -> TransitionState:
        return TransitionState(self.state, self.epoch, self.failed_attempts)

    @property
    def wire_status(self) -> WireStatus:
        return WIRE_STATUS[self.state]

    @property
    def progress(self) -> Progress:
        """What to show: no percentage of an unknown or exceeded total, no estimate from too little or while paused."""
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
    """A task to start."""

    kind: str
    org_id: OrgId
    app_id: AppId | None
    args: str
    lock_key: str | None = None
    created_by: str | None = None
    priority: int = 0
    rate_limit: int | None = None
    """Most messages a second that it may have sent again."""

    @property
    def tenant(self) -> str:
        """Whose round it is in: the application's where it has one, else the organisation's."""
        return self.app_id or self.org_id


@dataclass(frozen=True, slots=True)
class Plan:
    """A closed range to visit: its first cursor, and its number of items as far as that is cheap to count."""

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
    """The result of a chunk: rows done, items skipped (key and reason), and the kind's own counters."""

    done: int
    skipped: Sequence[tuple[str, str]] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    made: int = 0
    """Deliveries that the chunk made due; back-pressure counts them."""


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
    """A task can never succeed: what it works on is gone, or its arguments are no longer valid."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class MustWait(Exception):
    """Something else must happen before a task can go on; it is tried again after a while, without a failed attempt."""


class LeaseLost(Exception):
    """A write was refused because the task is not, or no longer, this claim's."""
