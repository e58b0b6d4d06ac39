# SPDX-License-Identifier: MIT
"""Use cases of background tasks: start, get, list, pause, resume, cancel and retry.

`start` uses an open transaction, so that the task commits together with the idempotency record; each command opens its
own transaction. A command that the state does not allow raises a conflict that names the state.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from tidings import ids, observe
from tidings.core import outcomes
from tidings.core.idempotency import Response
from tidings.core.notifier import notify_after_commit
from tidings.core.services import Services
from tidings.core.tailing import committed_window
from tidings.core.task_events import TaskEvent, event_of
from tidings.errors import conflict, not_found, too_many
from tidings.ids import TaskId
from tidings.model.page import WINDOW_MS, Cursor, Page
from tidings.model.task import ACTIVE_LIMIT, Command, Failure, NewTask, State, Task, WireStatus, allows
from tidings.model.token import Principal
from tidings.storage.drivers.database import Write, retried
from tidings.storage.tables import deliveries, task_items, tasks
from tidings.storage.tables.tasks import TaskFilters

CANCELLED: Final = Failure("cancelled", "The task was canceled.")

CANCELED_DELIVERIES: Final = "withdrawn"
"""The counter of deliveries that were canceled with their task."""
_CANCEL_BATCH: Final = 500


BuildTask = Callable[[Write], Awaitable[NewTask]]
"""Checks a request, and builds its task."""


async def start(services: Services, tx: Write, new: NewTask) -> Task:
    """Store a task; workers can claim it after the commit."""
    await tasks.take_claim_lock(tx)
    await _require_task_slot(tx, new.tenant)
    now = services.clock.now()
    task = await tasks.add(tx, TaskId(ids.new(ids.TASK, now)), new, now, services.kinds.names)
    if new.payload is not None:
        await task_items.keep_input(tx, task.id, new.payload)
    tx.after_commit(
        lambda: observe.transition("task", task.id, "created", org=task.org_id, app=task.app_id, kind=task.kind)
    )
    notify_after_commit(tx, services.notifier.tasks)
    return task


async def begin(
    services: Services,
    build: BuildTask,
    *,
    idempotency_key: str | None,
    render: Callable[[Task], Response],
) -> Response:
    """Build and start a task, once for each idempotency key."""

    async def work(tx: Write) -> Task:
        return await start(services, tx, await build(tx))

    return await services.idempotency.once(idempotency_key, work, render)


async def get(services: Services, principal: Principal, task_id: str) -> Task:
    """Return a task that the caller may see; raise `not_found` for every other."""
    async with services.db.read() as read:
        task = await tasks.find(read, principal.org_id, principal.app_id, task_id)
    if task is None:
        raise not_found()
    return task


async def has_events(services: Services, task_id: str, *, after: int) -> bool:
    """Return whether a task has events after a sequence number."""
    async with services.db.read() as read:
        return bool(await tasks.events(read, task_id, after=after))


async def timeline(services: Services, task_id: str) -> list[TaskEvent]:
    """Return the recorded transitions of a task, the oldest first; the caller has checked access."""
    async with services.db.read() as read:
        return [event_of(*row) for row in await tasks.events(read, task_id)]


async def page(
    services: Services,
    principal: Principal,
    cursor: Cursor,
    *,
    status: WireStatus | None = None,
    kind: str | None = None,
    kinds: tuple[str, ...] | None = None,
) -> Page[Task]:
    """Return a page of the tasks that the caller may see and that were created in the last 90 days.

    An operator sees those of every organization. `kinds` are all that the API shows by default.
    """
    window = replace(cursor.window(), first=ids.first_at(ids.TASK, services.clock.now() - WINDOW_MS))
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, window, ids.TASK)
        filters = TaskFilters(services.kinds.listed if kinds is None else kinds, status, kind)
        if principal.is_operator:
            found = await tasks.page_of_all(read, window, filters)
        else:
            found = await tasks.page(read, principal.org_id, principal.app_id, window, filters)
    return cursor.page(found, lambda task: task.id)


async def pause(services: Services, principal: Principal, task_id: str) -> Task:
    """Pause a task immediately; a paused task is returned unchanged."""

    async def work(tx: Write, task: Task) -> Task | None:
        return await tasks.pause(tx, task.id, services.clock.now())

    return await _command(services, principal, task_id, Command.PAUSE, work)


async def resume(services: Services, principal: Principal, task_id: str) -> Task:
    """Resume a paused task."""

    async def work(tx: Write, task: Task) -> Task | None:
        return await tasks.resume(tx, task, services.clock.now(), services.kinds.names)

    return await _command(services, principal, task_id, Command.RESUME, work)


async def retry(services: Services, principal: Principal, task_id: str) -> Task:
    """Retry a failed task from its last checkpoint."""

    async def work(tx: Write, task: Task) -> Task | None:
        await _require_task_slot(tx, task.tenant)
        return await tasks.retry(tx, task, services.clock.now(), services.kinds.names)

    return await _command(services, principal, task_id, Command.RETRY, work)


async def cancel(services: Services, principal: Principal, task_id: str) -> Task:
    """Cancel a task, and cancel the deliveries that it scheduled and that are not in flight.

    The task has ended when the first transaction commits. Its deliveries are canceled in bounded transactions; if the
    process dies in between, canceling the task again cancels the remaining ones.
    """

    async def work(tx: Write, task: Task) -> Task | None:
        canceled = await tasks.cancel(tx, task.id, services.clock.now(), CANCELLED)
        if canceled is not None:
            await outcomes.notify(tx, canceled, services.clock.now(), services.kinds)
        return canceled

    await _command(services, principal, task_id, Command.CANCEL, work)
    while await retried(lambda: _cancel_deliveries(services, task_id)):
        pass
    return await get(services, principal, task_id)


async def _cancel_deliveries(services: Services, task_id: str) -> bool:
    """Cancel one batch of a task's deliveries and count them; return whether there may be more."""
    async with services.db.write() as tx:
        await tasks.hold(tx, task_id)
        canceled = await deliveries.cancel_of_task(tx, task_id, limit=_CANCEL_BATCH)
        if canceled:
            await task_items.note_canceled(tx, task_id, canceled)
            await tasks.add_to_counter(tx, task_id, CANCELED_DELIVERIES, len(canceled))
    return bool(canceled)


async def _command(
    services: Services,
    principal: Principal,
    task_id: str,
    command: Command,
    work: Callable[[Write, Task], Awaitable[Task | None]],
) -> Task:
    """Apply a command to a task that the caller may see; pause and cancel may be repeated."""

    async def once() -> Task:
        async with services.db.write(advisory_lock=tasks.CLAIM_LOCK if command in _QUEUING else None) as tx:
            task = await tasks.find(tx, principal.org_id, principal.app_id, task_id)
            if task is None:
                raise not_found()
            locked = await tasks.hold(tx, task_id) or task
            changed = await work(tx, locked) if allows(command, locked.state) else None
            if changed is None:
                return _unchanged(locked, command)
            notify_after_commit(tx, services.notifier.tasks)
        observe.transition("task", task_id, command, org=changed.org_id, app=changed.app_id, kind=changed.kind)
        if changed.state is State.CANCELLED:
            observe.count(f"tasks.ended {changed.kind} cancelled")
        return changed

    return await retried(once)


_QUEUING: Final = frozenset({Command.RESUME, Command.RETRY})
_REPEATABLE: Final = frozenset({(Command.PAUSE, State.PAUSED), (Command.CANCEL, State.CANCELLED)})
_ENDED: Final = {
    State.SUCCEEDED: "has already succeeded",
    State.FAILED: "has failed",
    State.CANCELLED: "has been canceled",
}


def _unchanged(task: Task, command: Command) -> Task:
    if (command, task.state) in _REPEATABLE:
        return task
    state = _ENDED.get(task.state, f"is {task.state}")
    raise conflict(f"Cannot {command} a task that {state}.", code="invalid_state")


async def _require_task_slot(tx: Write, tenant: str) -> None:
    if await tasks.active(tx, tenant) >= ACTIVE_LIMIT:
        raise too_many(f"{ACTIVE_LIMIT} background tasks have not ended. Wait until one ends, or cancel one.")
