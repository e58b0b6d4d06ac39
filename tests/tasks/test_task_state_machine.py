# SPDX-License-Identifier: MIT
"""The store against a model of a page, over random lives of tasks in which most claims are those of zombies.

The invariants by their numbers in the design: I1 exactly once, I2 a chain of chunks, I3 the fence, I4 limits, I5 only
transitions of the table, I6 nothing falls, I7 lease and end, I8 a pause or cancel answered has no later effect; and
I13, all of that whatever the clocks say.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tasks.kit import KIND, KINDS, Counting, database, new_task, wrongs_of
from tidings import ids
from tidings.ids import TaskId
from tidings.model.task import (
    Checkpoint,
    Claim,
    Command,
    Failure,
    LeaseLost,
    Plan,
    State,
    Task,
    TaskPolicy,
    TransitionState,
    allows,
    transitioned,
)
from tidings.storage.drivers.database import Database, Dialect, Write
from tidings.storage.tables import claims, tasks

Drawn = TypeVar("Drawn")

APPS = ["app_1", "app_2"]
LOCKS = [None, "endpoint:1", "endpoint:2"]
ITEMS = 3
MOST = 4
POLICY = TaskPolicy(lease_ms=10_000, attempt_limit=3, backoff_ms=1_000, per_tenant=2)
PERSONAL = (Command.PAUSE, Command.RESUME, Command.RETRY, Command.CANCEL)
WHY = Failure("test", "It was meant to fail.")
EVERY_RULE = {
    *(command.value for command in Command if command is not Command.EXPIRE),
    "enqueue",
    "expired",
    "zombie",
}


@dataclass
class Model:
    """The expected row of one task."""

    transition_state: TransitionState
    tenant: str
    lock: str | None
    cursor: int | None = None
    ready_at: int = 0
    lease_until: int | None = None


def _draw_likely(data: st.DataObject, every: list[Drawn], likely: list[Drawn]) -> Drawn:
    """Draw from all values, or from those that will be accepted: otherwise a run would be mostly refusals."""
    choice = st.sampled_from(every)
    return data.draw(choice | st.sampled_from(likely) | st.sampled_from(likely) if likely else choice)


async def _emptied(tx: Write) -> None:
    for table in ("task", "task_event", "task_item", "test_effect", "test_chunk"):
        await tx.run(f"DELETE FROM {table}")


class TaskHistories(RuleBasedStateMachine):
    """Gives the same commands to the store and to the model."""

    db: Database
    run: Callable[[Awaitable[Any]], Any]
    seen: set[str]

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000_000
        self.model: dict[str, Model] = {}
        self.claims: list[Claim] = []
        self.last: dict[str, tuple[int, int]] = {}
        self.handler = Counting()
        self._write(_emptied)

    def _write(self, work: Callable[[Write], Awaitable[Any]]) -> Any:
        async def do() -> Any:
            async with self.db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
                return await work(tx)

        return self.run(do())

    def _move(self, task_id: str, command: Command, **changes: Any) -> None:
        """Give a command to the model, which must allow it."""
        model = self.model[task_id]
        after = transitioned(model.transition_state, command, limit=changes.pop("limit", POLICY.attempt_limit))
        assert after is not None
        lease = changes.pop("lease_until", None)
        self.model[task_id] = replace(model, transition_state=after, lease_until=lease, **changes)
        self.seen.add(command.value)

    def _a_claim(self, data: st.DataObject) -> Claim:
        """Draw from all claims ever made, most of which are over, or from the current ones."""
        return _draw_likely(data, self.claims, [claim for claim in self.claims if self._owns(claim)])

    def _owns(self, claim: Claim) -> bool:
        transition_state = self.model[claim.id].transition_state
        return transition_state.state is State.RUNNING and transition_state.epoch == claim.epoch

    def _under(self, claim: Claim, work: Callable[[Write, Task], Awaitable[Any]]) -> bool:
        """Act as an owner of the claim; return whether the store allowed it, which must match the model."""

        async def do(tx: Write) -> None:
            await work(tx, await claims.fence(tx, claim))

        try:
            self._write(do)
        except LeaseLost:
            assert not self._owns(claim)
            self.seen.add("zombie")
            return False
        assert self._owns(claim), "I3: a write went through under a claim that is over"
        return True

    @rule(ms=st.integers(0, 25_000))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(ms=st.integers(-7_200_000, 7_200_000))
    def a_clock_is_off(self, ms: int) -> None:
        """I13: clocks that are ahead or behind affect only the timing."""
        self.now += ms

    @initialize()
    def begin(self) -> None:
        """Begin with two running tasks, so that a run need not find its way to a first claim."""
        for app in APPS:
            self._enqueue(app, None)
            self._claim()

    @rule(app=st.sampled_from(APPS), lock=st.sampled_from(LOCKS))
    def enqueue(self, app: str, lock: str | None) -> None:
        if len(self.model) < MOST:
            self._enqueue(app, lock)

    def _enqueue(self, app: str, lock: str | None) -> None:
        task_id = TaskId(f"{ids.TASK}{len(self.model):027}")  # no randomness, so that Hypothesis can shrink a failure
        self._write(lambda tx: tasks.add(tx, task_id, new_task(ITEMS, app=app, lock_key=lock), self.now, KINDS.names))
        self.model[task_id] = Model(TransitionState(State.QUEUED, 0, 0), app, lock)
        self.seen.add("enqueue")

    @rule()
    def claim(self) -> None:
        self._claim()

    def _claim(self) -> None:
        """Requeue expired leases and claim a task, as a runner does."""

        async def work(tx: Write) -> tuple[list[Task], Task | None]:
            expired = await claims.requeue_expired(tx, POLICY, self.now)
            return expired, await claims.claim(tx, POLICY, [KIND], "w", self.now)

        expired, task = self._write(work)
        overdue = {key for key, model in self.model.items() if (model.lease_until or self.now) < self.now}
        assert {each.id for each in expired} == overdue
        for each in expired:
            self._move(each.id, Command.EXPIRE, ready_at=each.ready_at)
            assert 750 <= each.ready_at - self.now <= 1_250 * 2 ** (each.failed_attempts - 1)
            self.seen.add("expired")
        ready = self._claimable()
        if task is None:
            assert not ready
            return
        assert task.id in ready, "I4: a claim beyond a limit"
        assert task.fair_round == min(self._turns(ready)), "the round was another task's"
        self._move(task.id, Command.CLAIM, lease_until=self.now + POLICY.lease_ms)
        self.claims.append(task.claim)

    def _claimable(self) -> set[str]:
        running = [model for model in self.model.values() if model.transition_state.state is State.RUNNING]
        return {
            key
            for key, model in self.model.items()
            if model.transition_state.state is State.QUEUED
            and model.ready_at <= self.now
            and sum(other.tenant == model.tenant for other in running) < POLICY.per_tenant
            and (model.lock is None or all(other.lock != model.lock for other in running))
        }

    def _turns(self, of: set[str]) -> list[int]:
        found = self._write(lambda tx: tx.rows("SELECT id, fair_round FROM task"))
        return [row["fair_round"] for row in found if row["id"] in of]

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), size=st.integers(1, 3))
    def chunk(self, data: st.DataObject, size: int) -> None:
        """Work under any claim ever made."""
        claim = self._a_claim(data)

        async def work(tx: Write, task: Task) -> None:
            if task.cursor is None:
                task = await claims.store_plan(tx, claim, Plan("0", ITEMS, exact=True), POLICY, self.now)
            batch = await self.handler.load(tx, task, size)
            tally = await self.handler.apply(tx, task, batch)
            after = await claims.checkpoint(tx, task, tally, Checkpoint(batch.cursor, size, 1.0, 1), POLICY, self.now)
            if batch.last:
                await claims.finish(tx, after.claim, self.now)

        if not self._under(claim, work):
            return
        place = min((self.model[claim.id].cursor or 0) + size, ITEMS)
        self._move(claim.id, Command.ADVANCE, cursor=place, lease_until=self.now + POLICY.lease_ms)
        if place == ITEMS:
            self._move(claim.id, Command.FINISH)

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        how=st.sampled_from([Command.WAIT, Command.YIELD, Command.FAIL]),
        limit=st.sampled_from([0, 0, 3]),
    )
    def let_go(self, data: st.DataObject, how: Command, limit: int) -> None:
        claim = self._a_claim(data)
        left: list[Task] = []

        async def work(tx: Write, task: Task) -> None:
            if how is Command.WAIT:
                left.append(await claims.wait(tx, claim, 500, self.now))
            elif how is Command.YIELD:
                left.append(await claims.yield_task(tx, task, KINDS.names, self.now))
            else:
                left.append(await claims.fail_attempt(tx, claim, WHY, replace(POLICY, attempt_limit=limit), self.now))

        if self._under(claim, work):
            self._move(claim.id, how, ready_at=left[0].ready_at, limit=limit)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        claim = self._a_claim(data)
        if self._under(claim, lambda tx, task: claims.renew(tx, task.claim, POLICY, self.now)):
            self.model[claim.id].lease_until = self.now + POLICY.lease_ms

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def a_person_commands(self, data: st.DataObject) -> None:
        every = [(task_id, command) for task_id in sorted(self.model) for command in PERSONAL]
        allowed = [
            (task_id, command)
            for task_id, command in every
            if allows(command, self.model[task_id].transition_state.state)
        ]
        self._command(*_draw_likely(data, every, allowed))

    def _command(self, task_id: str, command: Command) -> None:
        async def work(tx: Write) -> Task | None:
            task = await tasks.hold(tx, task_id)
            assert task is not None
            match command:
                case Command.PAUSE:
                    return await tasks.pause(tx, task_id, self.now)
                case Command.CANCEL:
                    return await tasks.cancel(tx, task_id, self.now, WHY)
                case Command.RESUME:
                    return await tasks.resume(tx, task, self.now, KINDS.names)
                case _:
                    return await tasks.retry(tx, task, self.now, KINDS.names)

        done = self._write(work)
        assert (done is not None) is (transitioned(self.model[task_id].transition_state, command) is not None)
        if done is not None:
            self._move(task_id, command, ready_at=done.ready_at)

    @precondition(lambda self: any(model.transition_state.state is State.FAILED for model in self.model.values()))
    @rule()
    def a_failed_one_is_retried(self) -> None:
        task_id = next(key for key, model in self.model.items() if model.transition_state.state is State.FAILED)
        self._command(task_id, Command.RETRY)

    async def _stored(self) -> list[tuple[Task, list[str]]]:
        """Read all tasks and their faults with few queries, which dominate the time of a run."""
        # SQLite's writer runs in the calling thread, its readers in other threads; PostgreSQL's writes cost two more
        # round trips.
        async with self.db.write() if self.db.dialect is Dialect.SQLITE else self.db.read() as read:
            found = await read.rows(f"SELECT {tasks.COLUMNS} FROM task ORDER BY id")
            effects = await read.rows("SELECT task_id, item FROM test_effect")
            chunks = await read.rows("SELECT task_id, from_item, to_item, at_epoch FROM test_chunk")
        return [
            (
                tasks.task_of(row),
                wrongs_of(
                    tasks.task_of(row),
                    [item for task_id, item in effects if task_id == row["id"]],
                    [tuple(chunk) for task_id, *chunk in chunks if task_id == row["id"]],
                ),
            )
            for row in found
        ]

    @invariant()
    def the_rows_are_what_the_model_says(self) -> None:
        stored = self.run(self._stored())
        assert len(stored) == len(self.model)
        for task, wrong in stored:
            model = self.model[task.id]
            assert task.transition_state == model.transition_state
            assert (task.lease_until, task.ready_at) == (model.lease_until, model.ready_at)
            assert (None if task.cursor is None else int(task.cursor)) == model.cursor
            assert wrong == [], "I1, I2, I8"
            assert (task.state is State.RUNNING) is (task.lease_until is not None), "I7"
            before = self.last.get(task.id, (0, 0))
            assert before <= (task.epoch, task.done) and before[1] <= task.done, "I6"  # noqa: PT018
            self.last[task.id] = (task.epoch, task.done)
            assert task.done == (model.cursor or 0)


def _run_histories(url: str, examples: int, *, life: int | None = None, shrink: bool = True) -> set[str]:
    """Run the machine; return which of its rules have succeeded at least once. A `life` has the same examples again."""
    seen: set[str] = set()
    with asyncio.Runner() as runner:
        opening = database(url)
        db = runner.run(opening.__aenter__())
        members = {"db": db, "run": staticmethod(runner.run), "seen": seen}
        machine = type("Machine", (TaskHistories,), members)
        try:
            run_state_machine_as_test(
                machine if life is None else seed(life)(machine),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=40,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opening.__aexit__(None, None, None))
    return seen


def test_every_history_follows_the_transition_table(migrated_url: str) -> None:
    missing = EVERY_RULE
    for life in range(20):  # a run in which a rule was never accepted shows nothing about it
        missing = missing - _run_histories(migrated_url, 10, life=life)
        if not missing:
            return
    assert missing == set()


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_many_random_histories_reach_every_transition(migrated_url: str) -> None:
    assert EVERY_RULE - _run_histories(migrated_url, 400) == set()


def test_the_state_machine_fails_without_the_epoch_check(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sabotage: a chunk without the epoch check lets a zombie write, and the test notices."""
    for name in ("FENCE", "CHECKPOINT"):
        sound: str = getattr(claims, name)
        blind = sound.replace(claims.OWNED, "id = :id")
        assert blind != sound
        monkeypatch.setattr(claims, name, blind)

    with pytest.raises(AssertionError):
        _run_histories(sqlite_url, 200, shrink=False)
