# SPDX-License-Identifier: MIT
"""Task results: their form in API responses, the log lines of tasks, and the operational event at a task's end."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tidings import observe
from tidings.clock import rfc3339
from tidings.core import operational
from tidings.core.services import Services
from tidings.model.stored import json_object
from tidings.model.task import ACTIVE, State, Task
from tidings.model.task_item import ItemOutcome
from tidings.model.task_kind import (
    LINK,
    LISTED_AT_MOST,
    SYSTEM,
    TRUNCATED,
    Effect,
    TaskKinds,
    TaskResult,
    snake,
)
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import task_items

ItemsByOutcome = Mapping[tuple[str, str], Sequence[tuple[str, str]]]
"""The keys and texts of listed items, by task id and outcome."""


async def result(read: Read, task: Task, kinds: TaskKinds, *, limit: int = LISTED_AT_MOST) -> dict[str, Any]:
    """Return the result of a finished task: the keys of its kind, and `truncated` if a list has more items."""
    return (await _results(read, [task], kinds, limit=limit))[task.id]


async def _results(read: Read, tasks: Sequence[Task], kinds: TaskKinds, *, limit: int) -> dict[str, dict[str, Any]]:
    schemas = {task.id: kinds.result_of(task.kind) for task in tasks}
    pairs = [(task_id, outcome) for task_id, schema in schemas.items() if schema for outcome in schema.outcomes]
    items = await task_items.first_of_each(read, pairs, limit=limit + 1)
    return {task.id: _result(task, schemas[task.id], items, limit) for task in tasks}


def _result(task: Task, schema: TaskResult | None, items: ItemsByOutcome, limit: int) -> dict[str, Any]:
    if schema is None:
        return dict(task.counters)
    data: dict[str, Any] = {name: task.counters.get(name, 0) for name in schema.counters}
    is_truncated = False
    for name, outcome in schema.lists:
        listed = items[task.id, outcome]
        is_truncated = is_truncated or len(listed) > limit
        data[name] = [_item(outcome, key, text) for key, text in listed[:limit]]
    if schema.text is not None:
        data[schema.text] = next((text for _, text in items[task.id, LINK]), None)
    return data | {TRUNCATED: True} if is_truncated else data


def _item(outcome: str, key: str, text: str) -> dict[str, Any]:
    if outcome == ItemOutcome.SKIPPED:
        return {"appId": key, "reason": text}
    return json_object(text)


async def results(services: Services, tasks: Sequence[Task], *, limit: int) -> dict[str, dict[str, Any]]:
    """Return the results of the tasks that have succeeded, by task id."""
    finished = [task for task in tasks if task.state is State.SUCCEEDED]
    if not finished:
        return {}
    async with services.db.read() as read:
        return await _results(read, finished, services.kinds, limit=limit)


def log(task: Task, event: str) -> None:
    """Log a transition of a task; a failure is an error and a retried failure a warning, both with the counters."""
    if task.state is State.FAILED:
        observe.count(f"tasks.ended {task.kind} failed")
    level = logging.ERROR if task.state is State.FAILED else logging.INFO if task.error is None else logging.WARNING
    if level == logging.INFO:
        observe.transition("task", task.id, event, org=task.org_id, app=task.app_id, kind=task.kind)
        return
    observe.transition(
        "task",
        task.id,
        event,
        level=level,
        org=task.org_id,
        app=task.app_id,
        kind=task.kind,
        done=task.done,
        skipped=task.skipped,
        total=task.total,
        failed_attempts=task.failed_attempts,
        error=None if task.error is None else f"{task.error.code}: {task.error.detail}",
    )


async def notify(tx: Write, task: Task, now: int, kinds: TaskKinds) -> None:
    """Emit the operational event of a task that has ended; call it in the transaction that ends the task."""
    if task.state in ACTIVE or task.kind.startswith(SYSTEM):
        return
    status = task.wire_status.value
    data = {"taskId": task.id, "task": task.kind, "status": status, "data": await _event_data(tx, task, kinds)}
    await operational.emit(tx, task.org_id, operational.TASK_FINISHED, data, now)


async def _event_data(read: Read, task: Task, kinds: TaskKinds) -> dict[str, Any]:
    found = {snake(name): value for name, value in (await result(read, task, kinds)).items()}
    if kinds.has_effect(task.kind, Effect.RESENDS):
        found |= _window(json_object(task.args))
    if task.error is not None:
        found["error"] = {"code": task.error.code, "detail": task.error.detail}
    return found


def _window(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the endpoint and the time range of a task that resends messages, in the form of the event schema."""
    timestamps = {name: args.get(name) for name in ("since", "until")}
    rendered = {name: rfc3339(value) if isinstance(value, int) else None for name, value in timestamps.items()}
    return {"endp_id": args.get("endpoint_id"), **rendered}


def counters_of(kinds: TaskKinds, task: Task) -> dict[str, int]:
    """Return the counters of a task; the counters of its kind are present even if they are zero."""
    schema = kinds.result_of(task.kind)
    return dict.fromkeys(() if schema is None else schema.counters, 0) | dict(task.counters)
