# SPDX-License-Identifier: MIT
"""Commands for background tasks, and extensions of the contract: waiting, following, listing items."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Final

from tidings import ids
from tidings.api import samples
from tidings.api.query import ITERATOR, Direction, PageLimit, ParameterType, Query, integer, one_of
from tidings.api.routes import Access, AnyRoute, Call, EventStream, Nothing, Route
from tidings.api.wire import ListResponse, Out, Timestamp, format_timestamp, json_response, listing
from tidings.clock import SECOND
from tidings.core import outcomes, task_items, tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import not_found, unauthorized
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order
from tidings.model.stored import json_object
from tidings.model.task import Task
from tidings.model.task_item import ItemOutcome
from tidings.model.task_kind import LISTED_AT_MOST
from tidings.model.token import Capability, Principal
from tidings.tasks.routes.listing import BackgroundTaskOut, render_task
from tidings.tasks.routes.stream import stream_task

TAG: Final = "Background Task Control"
"""A tag of its own, so that clients generated from the contract's tags do not change."""
WAIT_MAX: Final = 60
WAIT_DEFAULT: Final = 30


class TaskItemOut(Out, kw_only=True):
    """One item of a task: a message that it sends, or an application or event type that it visits."""

    id: str
    """The id of the item within the task."""
    outcome: ItemOutcome
    """The outcome of the item."""
    msg_id: str | None
    """The id of the message. Null for items that are not messages."""
    endpoint_id: str | None
    """The id of the endpoint. Null for items without one."""
    attempt_id: str | None
    """The id of the attempt that sent the message. Null before it."""
    response_status_code: int | None
    """The status code of the response. 0 without a response, null before the attempt."""
    at: Timestamp | None
    """When the attempt was made. Null before it."""
    reason: str | None
    """Why the item was skipped. Null for other outcomes."""
    data: dict[str, Any] | None
    """The result of the item. Null if it has none."""


def _wrong_wait(value: object) -> str | None:
    return None if isinstance(value, int) and 0 <= value <= WAIT_MAX else f"must be between 0 and {WAIT_MAX} seconds"


def _wrong_key(value: object) -> str | None:
    key = str(value).removeprefix("-")
    return None if key and len(key) <= _KEY_LENGTH_MAX and "\0" not in key else "Invalid iterator"


_KEY_LENGTH_MAX: Final = 512
_WAIT: Final = ParameterType(
    integer, {"type": "integer", "minimum": 0, "maximum": WAIT_MAX}, _wrong_wait, ("timeout",), example=30
)
_KEY_PATTERN: Final = rf"^(-[^\x00]{{1,{_KEY_LENGTH_MAX}}}|[^\x00\-][^\x00]{{0,{_KEY_LENGTH_MAX - 1}}})$"
_KEY: Final = ParameterType(
    str, {"type": "string", "pattern": _KEY_PATTERN}, _wrong_key, ("__all__",), text=ITERATOR, example=samples.MESSAGE
)


class TaskWaitQuery(Query, kw_only=True):
    """How long to wait."""

    timeout: Annotated[int, _WAIT] = WAIT_DEFAULT
    """Maximum time to wait, in seconds, from 0 to 60."""


class TaskItemsQuery(Query, kw_only=True):
    """Filters and page of the items of a task."""

    outcome: Annotated[ItemOutcome | None, one_of(ItemOutcome)] = None
    """Only items with this outcome."""
    limit: PageLimit = LIMIT_DEFAULT
    iterator: Annotated[str | None, _KEY] = None
    order: Direction = None
    """The sort order by the item's id: `ascending` by default."""


async def cancel(call: Call[Query, Nothing]) -> Response:
    """Cancel a background task, and the deliveries that it requested and that are not in flight.

    `x.withdrawn` counts those deliveries. A task that has succeeded or failed is a 409 with the code
    `invalid_state`.
    """
    return await _run_command(call, tasks.cancel)


async def pause(call: Call[Query, Nothing]) -> Response:
    """Pause a background task immediately.

    A paused task stays paused. A task that has ended is a 409 with the code `invalid_state`.
    """
    return await _run_command(call, tasks.pause)


async def resume(call: Call[Query, Nothing]) -> Response:
    """Resume a paused background task from its last checkpoint.

    A task in another state is a 409 with the code `invalid_state`.
    """
    return await _run_command(call, tasks.resume)


async def retry(call: Call[Query, Nothing]) -> Response:
    """Retry a failed background task from its last checkpoint.

    A task in another state, such as a canceled one, is a 409 with the code `invalid_state`.
    """
    return await _run_command(call, tasks.retry)


async def wait(call: Call[TaskWaitQuery, Nothing]) -> Response:
    """Return a background task when it has ended, or when the timeout is over."""
    task_id = _task_id(call)
    task = await tasks.get(call.context.services, call.principal, task_id)
    await call.context.task_watcher.wait(task.id, call.query.timeout)
    if not await call.context.gatekeeper.is_live(call.context.services, call.principal):
        raise unauthorized()
    return await _respond(call, await tasks.get(call.context.services, call.principal, task_id))


async def follow(call: Call[Query, Nothing]) -> Response:
    """Follow a task as server-sent events: `state` for each transition, `progress` at most once a second.

    The ids of `state` events are numbers; with the header `Last-Event-ID` the stream continues after one. The
    stream ends with the task or the token. A client that has seen the end gets 204.
    """
    task = await tasks.get(call.context.services, call.principal, _task_id(call))
    seen = call.last_event_id
    last = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < _SEQ_LENGTH_MAX else 0
    has_more = await tasks.has_events(call.context.services, task.id, after=last)
    services, caller = call.context.services, call.principal
    return stream_task(
        call.context.task_watcher,
        caller,
        task,
        last,
        has_more=has_more,
        may_read=partial(call.context.gatekeeper.is_live, services, caller),
        valid_for=lambda: (caller.until + 1 - services.clock.now()) / SECOND,
        tuning=call.context.tuning,
    )


async def items(call: Call[TaskItemsQuery, Nothing]) -> Response:
    """Return a page of the items of a background task, with their outcomes.

    Messages are `rearmed` until they are sent, then `delivered` or `failed`. Items that could not be done are
    `skipped`, and deliveries canceled with the task `withdrawn`.
    """
    query = call.query
    found = await task_items.page(
        call.context.services,
        call.principal,
        _task_id(call),
        Cursor(query.order or Order.ASCENDING, query.limit, query.iterator),
        outcome=query.outcome,
    )
    return listing(found, _render_item)


_SEQ_LENGTH_MAX: Final = 10


def _task_id(call: Call[Any, Nothing]) -> str:
    task_id = call.path["task_id"]
    if not ids.is_id(task_id, ids.TASK):
        raise not_found()
    return task_id


async def _run_command(
    call: Call[Query, Nothing], command: Callable[[Services, Principal, str], Awaitable[Task]]
) -> Response:
    return await _respond(call, await command(call.context.services, call.principal, _task_id(call)))


async def _respond(call: Call[Any, Nothing], task: Task) -> Response:
    found = await outcomes.results(call.context.services, [task], limit=LISTED_AT_MOST)
    return json_response(200, render_task(task, call.agent, found.get(task.id)))


def _render_item(item: task_items.StoredItem) -> TaskItemOut:
    """Render an item as a response body; skipped items have a reason, created or counted items have data."""
    is_reason = item.outcome is ItemOutcome.SKIPPED
    data = None if item.data is None or is_reason else json_object(item.data)
    msg_id = item.msg_id
    if msg_id is None and item.key.startswith(ids.MESSAGE):
        msg_id = item.key.partition(".")[0]
    return TaskItemOut(
        id=item.key,
        outcome=item.outcome,
        msg_id=msg_id,
        endpoint_id=item.endpoint_id or item.key.partition(".")[2] or None,
        attempt_id=item.attempt_id,
        response_status_code=item.code,
        at=None if item.attempt_id is None else format_timestamp(ids.timestamp_of(item.attempt_id)),
        reason=item.data if is_reason else None,
        data=data,
    )


def _command_route(name: str, summary: str, handler: Callable[[Call[Query, Nothing]], Awaitable[Response]]) -> AnyRoute:
    return Route(
        method="POST",
        path=f"/background-task/{{task_id}}/{name}",
        operation=f"v1.background-task.{name}",
        tag=TAG,
        summary=summary,
        access=Access.ANY,
        needs=Capability.CREATE_ATTEMPTS,
        query=Query,
        body=Nothing,
        handler=handler,
        responses={200: BackgroundTaskOut},
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    _command_route("cancel", "Cancel a background task", cancel),
    _command_route("pause", "Pause a background task", pause),
    _command_route("resume", "Resume a paused background task", resume),
    _command_route("retry", "Retry a failed background task", retry),
    Route(
        method="GET",
        path="/background-task/{task_id}/wait",
        operation="v1.background-task.wait",
        tag=TAG,
        summary="Wait for the end of a background task",
        access=Access.ANY,
        query=TaskWaitQuery,
        body=Nothing,
        handler=wait,
        responses={200: BackgroundTaskOut},
    ),
    Route(
        method="GET",
        path="/background-task/{task_id}/events",
        operation="v1.background-task.events",
        tag=TAG,
        summary="Follow a background task as server-sent events",
        access=Access.ANY,
        query=Query,
        body=Nothing,
        handler=follow,
        responses={200: EventStream, 204: None},
    ),
    Route(
        method="GET",
        path="/background-task/{task_id}/items",
        operation="v1.background-task.items",
        tag=TAG,
        summary="List the items of a background task",
        access=Access.ANY,
        query=TaskItemsQuery,
        body=Nothing,
        handler=items,
        responses={200: ListResponse[TaskItemOut]},
    ),
)
