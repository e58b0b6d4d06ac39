# SPDX-License-Identifier: MIT
"""The transition table, and the progress that a task reports."""

from dataclasses import replace

import pytest

from tidings.ids import OrgId, TaskId
from tidings.model.task import (
    ENDED,
    TRANSITIONS,
    WIRE_STATUS,
    Command,
    NewTask,
    State,
    Task,
    TransitionState,
    WireStatus,
    allows,
    transitioned,
)

# The whole state machine once more, by hand: the state after each command, by the state before; "-" is refused.
EXPECTED = """
         queued    running    paused    succeeded  failed  cancelled
claim    running   -          -         -          -       -
advance  -         running    -         -          -       -
finish   -         succeeded  -         -          -       -
wait     -         queued     -         -          -       -
yield    -         queued     -         -          -       -
fail     -         queued     -         -          -       -
expire   -         queued     -         -          -       -
pause    paused    paused     -         -          -       -
resume   -         -          queued    -          -       -
cancel   cancelled cancelled  cancelled -          -       -
retry    -         -          -         -          queued  -
"""
EPOCH_KEPT = {Command.ADVANCE, Command.FINISH, Command.RESUME}
FAILED_ATTEMPTS_AFTER = {
    **dict.fromkeys((Command.ADVANCE, Command.FINISH, Command.RESUME, Command.RETRY), 0),
    **dict.fromkeys((Command.FAIL, Command.EXPIRE), 3),
}


def _cells() -> list[tuple[Command, State, State | None]]:
    head, *lines = (line.split() for line in EXPECTED.strip().splitlines())
    return [
        (Command(name), State(state), None if cell == "-" else State(cell))
        for name, *cells in lines
        for state, cell in zip(head, cells, strict=True)
    ]


def _task(**changes: object) -> Task:
    task = Task(
        id=TaskId("qtask_1"),
        org_id=OrgId("org_1"),
        app_id=None,
        tenant="org_1",
        kind="test",
        args="{}",
        state=State.RUNNING,
        priority=0,
        fair_round=0,
        ready_at=0,
        epoch=1,
        lease_until=1,
        cursor="5",
        done=40,
        skipped=10,
        total=200,
        total_exact=True,
        size=10,
        rate=50.0,
        busy_ms=3_000,
        chunks=4,
        failed_attempts=0,
        error=None,
        counters={},
        lock_key=None,
        created_by=None,
        created_xid=None,
        created_at=0,
        started_at=0,
        updated_at=0,
        finished_at=None,
    )
    return replace(task, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("command", "state", "after"), _cells())
def test_each_command_in_each_state_follows_the_table(command: Command, state: State, after: State | None) -> None:
    result = transitioned(TransitionState(state, epoch=7, failed_attempts=2), command)

    assert allows(command, state) is (after is not None)
    if after is None:
        assert result is None
    else:
        epoch = 7 if command in EPOCH_KEPT else 8
        assert result == TransitionState(after, epoch, FAILED_ATTEMPTS_AFTER.get(command, 2))


def test_the_transition_table_covers_every_command_in_every_state() -> None:
    assert len(_cells()) == 66
    assert set(TRANSITIONS) == set(Command)
    assert all(rule.why for rule in TRANSITIONS.values())


@pytest.mark.parametrize("command", [Command.FAIL, Command.EXPIRE])
def test_the_last_failed_attempt_fails_the_task(command: Command) -> None:
    assert transitioned(TransitionState(State.RUNNING, 1, 4), command) == TransitionState(State.FAILED, 2, 5)
    assert transitioned(TransitionState(State.RUNNING, 1, 0), command, limit=0) == TransitionState(State.FAILED, 2, 1)


def test_succeeded_and_canceled_are_final() -> None:
    assert not any(allows(command, state) for command in Command for state in (State.SUCCEEDED, State.CANCELLED))


def test_each_state_maps_to_one_of_three_wire_statuses() -> None:
    assert {WireStatus.RUNNING} == {WIRE_STATUS[state] for state in set(State) - ENDED}
    assert WIRE_STATUS[State.SUCCEEDED] is WireStatus.FINISHED
    assert WIRE_STATUS[State.FAILED] is WIRE_STATUS[State.CANCELLED] is WireStatus.FAILED
    assert _task(state=State.PAUSED).wire_status is WireStatus.RUNNING


def test_progress_counts_skipped_items_as_visited() -> None:
    progress = _task().progress

    assert (progress.percent, progress.eta_seconds, progress.rate_per_second) == (25.0, 3, 50.0)


@pytest.mark.parametrize(
    "changes",
    [{"total": None}, {"total": 40}, {"chunks": 2}, {"busy_ms": 1_999}, {"rate": 0.0}, {"state": State.PAUSED}],
    ids=str,
)
def test_a_task_with_little_progress_has_no_estimated_end(changes: dict[str, object]) -> None:
    assert _task(**changes).progress.eta_seconds is None


@pytest.mark.parametrize("total", [None, 49])
def test_an_unknown_or_exceeded_total_gives_no_percentage(total: int | None) -> None:
    assert _task(total=total).progress.percent is None


def test_a_task_without_items_is_fully_done() -> None:
    assert _task(total=0, done=0, skipped=0).progress.percent == 100.0


def test_a_task_has_no_rate_before_its_first_chunk() -> None:
    assert _task(rate=0.0).progress.rate_per_second is None


def test_the_tenant_is_the_application_or_else_the_organization() -> None:
    new = NewTask(kind="k", org_id=OrgId("org_1"), app_id=None, args="{}")

    assert new.tenant == "org_1"
    assert replace(new, app_id="app_1").tenant == "app_1"  # type: ignore[arg-type]


def test_a_task_has_its_claim_and_its_transition_state() -> None:
    task = _task(failed_attempts=2)

    assert (task.claim.id, task.claim.epoch) == ("qtask_1", 1)
    assert task.transition_state == TransitionState(State.RUNNING, 1, 2)
