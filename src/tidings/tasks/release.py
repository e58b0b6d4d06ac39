# SPDX-License-Identifier: MIT
"""The ways in which a slice gives back a task that has not ended, or ends it with a failure."""

from dataclasses import replace
from typing import Final

import msgspec

from tidings import observe
from tidings.core import outcomes
from tidings.failpoint import point
from tidings.logs import log
from tidings.model.task import Failure, PermanentFailure, State, Task
from tidings.storage.tables import claims, tasks
from tidings.tasks.context import WorkerContext

_UNREADABLE: Final = Failure(
    "unreadable", "This release cannot read the arguments or the cursor of the task. A newer release continues it."
)


async def yield_task(context: WorkerContext, task: Task) -> None:
    """Requeue a task whose slice is over."""
    point("task.before_yield")
    async with context.db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
        await claims.yield_task(tx, task, context.kinds.names, context.now)
    observe.count("tasks.yields")


async def wait(context: WorkerContext, task: Task) -> None:
    """Release a task that waits for another event."""
    async with context.db.write(background=True) as tx:
        await claims.wait(tx, task.claim, context.tuning.wait_ms, context.now)
    observe.count("tasks.waits")


async def release_unreadable(context: WorkerContext, task: Task, error: msgspec.DecodeError) -> None:
    """Release a task with unreadable arguments or an unreadable cursor, for a worker of another release."""
    async with context.db.write(background=True) as tx:
        await claims.release_unreadable(tx, task.claim, _UNREADABLE, context.tuning.unreadable_ms, context.now)
    log.warning(
        "task.unreadable",
        "a task is released for a worker of another release",
        task=task.id,
        org=task.org_id,
        kind=task.kind,
        error=error,
    )


async def record_failure(context: WorkerContext, task: Task, error: Exception) -> None:
    """Store a failed attempt; a `PermanentFailure` ends the task."""
    policy = context.policy
    if isinstance(error, PermanentFailure):
        policy, why = replace(policy, attempt_limit=0), Failure(error.code, error.detail)
    else:
        why = Failure("internal", f"A chunk of the task failed with {type(error).__name__}.")
    async with context.db.write(background=True) as tx:
        failed = await claims.fail_attempt(tx, task.claim, why, policy, context.now)
        await outcomes.notify(tx, failed, context.clock.now(), context.kinds)
    outcomes.log(failed, "failed" if failed.state is State.FAILED else "attempt_failed")
