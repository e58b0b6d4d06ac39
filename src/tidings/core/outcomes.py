# SPDX-License-Identifier: MIT
"""What has come of a task: its result as a client reads it, and the event that tells an organisation of its end."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tidings import observe
from tidings.clock import rfc3339
from tidings.core import operational
from tidings.core.services import Services
from tidings.model.results import (
    LINK,
    LISTED_AT_MOST,
    NO_RESULT,
    RESULTS,
    SKIPPED,
    TRUNCATED,
    TaskResult,
    snake,
)
from tidings.model.stored import json_object
from tidings.model.task import ACTIVE, RESENDING, SYSTEM, State, Task
from tidings.storage import task_items
from tidings.storage.database import Read, Write

ItemsByOutcome = Mapping[tuple[str, str], Sequence[tuple[str, str]]]
"""What is told of items, by their task and outcome: keys and texts."""


async def result(read: Read, task: Task, *, limit: int = LISTED_AT_MOST) -> dict[str, Any]:
    """Return what a finished task tells: exactly the keys of its kind, and `truncated` if there is more."""
    return (await _results(read, [task], limit=limit))[task.id]


async def _results(read: Read, tasks: Sequence[Task], *, limit: int) -> dict[str, dict[str, Any]]:
    pairs = [(task.id, outcome) for task in tasks for outcome in _listed(task)]
    items = await task_items.first_of_each(read, pairs, limit=limit + 1)
    return {task.id: _result(task, items, limit) for task in tasks}


def _listed(task: Task) -> list[str]:
    """Return the outcomes of which items are told."""
    told = RESULTS.get(task.kind, NO_RESULT)
    return [outcome for _, outcome in told.lists] + ([] if told.text is None else [LINK])


def _result(task: Task, items: ItemsByOutcome, limit: int) -> dict[str, Any]:
    if task.kind not in RESULTS:
        return dict(task.counters)
    told = RESULTS[task.kind]
    found: dict[str, Any] = {name: task.counters.get(name, 0) for name in told.counters}
    cut = False
    for name, outcome in told.lists:
        mine = items[task.id, outcome]
        cut = cut or len(mine) > limit
        found[name] = [_item(outcome, key, text) for key, text in mine[:limit]]
    if told.text is not None:
        found[told.text] = next((text for _, text in items[task.id, LINK]), None)
    return found | {TRUNCATED: True} if cut else found


def _item(outcome: str, key: str, text: str) -> dict[str, Any]:
    if outcome == SKIPPED:
        return {"appId": key, "reason": text}
    return json_object(text)


async def results(services: Services, tasks: Sequence[Task], *, limit: int) -> dict[str, dict[str, Any]]:
    """Return the results of those tasks that have finished, by their ids."""
    finished = [task for task in tasks if task.state is State.SUCCEEDED]
    if not finished:
        return {}
    async with services.db.read() as read:
        return await _results(read, finished, limit=limit)


def log(task: Task, event: str) -> None:
    """Log a transition of a task: its failure as an error, what is tried again as a warning, both with the counts."""
    level = logging.ERROR if task.state is State.FAILED else logging.INFO if task.error is None else logging.WARNING
    if level == logging.INFO:
        observe.transition("task", task.id, event)
        return
    observe.transition(
        "task",
        task.id,
        event,
        level=level,
        kind=task.kind,
        tenant=task.tenant,
        done=task.done,
        skipped=task.skipped,
        total=task.total,
        failed_attempts=task.failed_attempts,
        code=None if task.error is None else task.error.code,
        detail=None if task.error is None else task.error.detail,
    )


async def notify(tx: Write, task: Task, now: int) -> None:
    """Notify the task's organization of its end, if it has ended; in the transaction that ends it."""
    if task.state in ACTIVE or task.kind.startswith(SYSTEM):
        return
    status = task.wire_status.value
    data = {"taskId": task.id, "task": task.kind, "status": status, "data": await _event_data(tx, task)}
    await operational.emit(tx, task.org_id, operational.TASK_FINISHED, data, now)


async def _event_data(read: Read, task: Task) -> dict[str, Any]:
    found = {snake(name): value for name, value in (await result(read, task)).items()}
    if task.kind in RESENDING:
        found |= _window(json_object(task.args))
    if task.error is not None:
        found["error"] = {"code": task.error.code, "detail": task.error.detail}
    return found


def _window(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return where and of when a task sends again, as the event's schema has it."""
    timestamps = {name: args.get(name) for name in ("since", "until")}
    told = {name: rfc3339(timestamp) if isinstance(timestamp, int) else None for name, timestamp in timestamps.items()}
    return {"endp_id": args.get("endpoint_id"), **told}


def counters_of(kind: str, counters: Mapping[str, int]) -> dict[str, int]:
    """Return the counters of a task, those of its kind also while they are at nought."""
    told: TaskResult = RESULTS.get(kind, NO_RESULT)
    return dict.fromkeys(told.counters, 0) | dict(counters)
