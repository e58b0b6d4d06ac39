# SPDX-License-Identifier: MIT
"""Use cases of background tasks: start, get, list, pause, resume, cancel and retry.

`start` uses an open transaction, so that the task commits together with the idempotency record; each command opens its
own transaction. A command that the state does not allow raises a conflict that names the state.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tidings import ids, observe
from tidings.core import outcomes
from tidings.core.idempotency import Response
from tidings.core.notifier import notify_after_commit
from tidings.core.services import Services
from tidings.core.tailing import committed_window
from tidings.errors import Fault, conflict, invalid, not_found, too_many
from tidings.ids import EndpointId, TaskId
from tidings.model.app import App
from tidings.model.endpoint import Endpoint
from tidings.model.page import WINDOW_MS, Cursor, Page
from tidings.model.recovery import RecoverArgs, checked_until
from tidings.model.task import ACTIVE_LIMIT, RECOVER, Command, Failure, NewTask, State, Task, WireStatus, allows
from tidings.model.token import Principal
from tidings.storage.drivers.database import Read, Write, retried
from tidings.storage.tables import deliveries, endpoints, task_outcomes, tasks
from tidings.storage.tables.key_ranges import ATTEMPTS

CANCELLED: Final = Failure("cancelled", "The task was canceled.")

CANCELED_DELIVERIES: Final = "withdrawn"
"""The counter of deliveries that were canceled with their task."""
_CANCEL_BATCH: Final = 500


async def start(services: Services, tx: Write, new: NewTask) -> Task:
    """Store a task; workers can claim it after the commit."""
    await tasks.take_claim_lock(tx)
    await _require_task_slot(tx, new.tenant)
    now = services.clock.now()
    task = await tasks.add(tx, TaskId(ids.new(ids.TASK, now)), new, now)
    tx.after_commit(lambda: observe.transition("task", task.id, "created"))
    notify_after_commit(tx, services.notifier.tasks)
    return task


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """A request to recover an endpoint (by id or uid): resend the messages that failed in a time range."""

    endpoint_ref: str
    since: int
    until: int | None
    created_by: str
    rate_limit: int | None = None
    force: bool = False


async def recover(
    services: Services, app: App, request: Recovery, *, idempotency_key: str | None, render: Callable[[Task], Response]
) -> Response:
    """Start a task that resends the messages that an endpoint failed to receive."""

    async def work(tx: Write) -> Task:
        endpoint = await require_enabled_endpoint(tx, app, request.endpoint_ref, force=request.force)
        return await begin_recovery(services, tx, app, endpoint.id, request)

    return await services.idempotency.once(idempotency_key, work, render)


async def begin_recovery(services: Services, tx: Write, app: App, endpoint_id: EndpointId, request: Recovery) -> Task:
    """Start a recovery of an endpoint that the caller has already checked."""
    args = RecoverArgs(
        endpoint_id=endpoint_id,
        since=request.since,
        until=checked_until(request.since, request.until, services.clock.now()),
        high_water_mark=await ATTEMPTS.high_water_mark_at_start(tx, endpoint_id),
        force=request.force,
    )
    new = endpoint_task(RECOVER, app, endpoint_id, request.created_by, args)
    return await start(services, tx, with_rate_limit(new, request.rate_limit))


async def require_enabled_endpoint(read: Read, app: App, ref: str, *, force: bool) -> Endpoint:
    """Return an endpoint; raise `invalid` if it is disabled, unless `force` is set."""
    endpoint = await endpoints.get(read, app.id, ref)
    if endpoint.disabled and not force:
        raise invalid(Fault(("path", "endpoint_id"), "The endpoint is disabled; enable it first, or use force=true."))
    return endpoint


def with_rate_limit(new: NewTask, rate_limit: int | None) -> NewTask:
    """Return a copy of a task that sends at most `rate_limit` messages a second."""
    return replace(new, rate_limit=rate_limit)


def endpoint_task(kind: str, app: App, endpoint_id: EndpointId, created_by: str, args: object) -> NewTask:
    """Build a task on an endpoint; its lock key allows one task per endpoint at a time."""
    return NewTask(
        kind=kind,
        org_id=app.org_id,
        app_id=app.id,
        args=msgspec.json.encode(args).decode(),
        lock_key=f"endpoint:{endpoint_id}",
        created_by=created_by,
    )


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


async def page(
    services: Services,
    principal: Principal,
    cursor: Cursor,
    *,
    status: WireStatus | None = None,
    kind: str | None = None,
) -> Page[Task]:
    """Return a page of the tasks that the caller may see and that were created in the last 90 days."""
    window = replace(cursor.window(), first=ids.first_at(ids.TASK, services.clock.now() - WINDOW_MS))
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, window, ids.TASK)
        found = await tasks.page(read, principal.org_id, principal.app_id, window, status=status, kind=kind)
    return cursor.page(found, lambda task: task.id)


async def pause(services: Services, principal: Principal, task_id: str) -> Task:
    """Pause a task immediately; a paused task is returned unchanged."""

    async def work(tx: Write, task: Task) -> Task | None:
        return await tasks.pause(tx, task.id, services.clock.now())

    return await _command(services, principal, task_id, Command.PAUSE, work)


async def resume(services: Services, principal: Principal, task_id: str) -> Task:
    """Resume a paused task."""

    async def work(tx: Write, task: Task) -> Task | None:
        return await tasks.resume(tx, task, services.clock.now())

    return await _command(services, principal, task_id, Command.RESUME, work)


async def retry(services: Services, principal: Principal, task_id: str) -> Task:
    """Retry a failed task from its last checkpoint."""

    async def work(tx: Write, task: Task) -> Task | None:
        await _require_task_slot(tx, task.tenant)
        return await tasks.retry(tx, task, services.clock.now())

    return await _command(services, principal, task_id, Command.RETRY, work)


async def cancel(services: Services, principal: Principal, task_id: str) -> Task:
    """Cancel a task, and cancel the deliveries that it scheduled and that are not in flight.

    The task has ended when the first transaction commits. Its deliveries are canceled in bounded transactions; if the
    process dies in between, canceling the task again cancels the remaining ones.
    """

    async def work(tx: Write, task: Task) -> Task | None:
        canceled = await tasks.cancel(tx, task.id, services.clock.now(), CANCELLED)
        if canceled is not None:
            await outcomes.notify(tx, canceled, services.clock.now())
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
            await task_outcomes.note_canceled(tx, task_id, canceled)
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
        observe.transition("task", task_id, command)
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
