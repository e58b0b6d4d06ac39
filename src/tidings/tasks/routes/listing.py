# SPDX-License-Identifier: MIT
"""Background tasks over HTTP.

SDKs know eight names of tasks and three words for their state, and reject a list that contains another. Further details
are therefore in members that SDKs pass on unread (`data`) or skip (`x`).
"""

from enum import Enum
from typing import Annotated, Any, Final

from msgspec import UNSET, UnsetType

from tidings import ids
from tidings.api import sdk
from tidings.api.query import Direction, PageLimit, ParameterType, Query, TaskIterator, one_of
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.started import BackgroundTaskStatus, KindName, TaskId, status_of
from tidings.api.wire import CreatedAt, ListResponse, Out, Timestamp, format_timestamp, json_response, listing
from tidings.core import outcomes, tasks
from tidings.core.idempotency import Response
from tidings.errors import not_found
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order
from tidings.model.task import Progress, State, Task, WireStatus
from tidings.model.task_kind import LISTED_AT_MOST, LISTED_IN_LISTS
from tidings.tasks.registry import KINDS, PUBLIC

TAG: Final = "Background Tasks"


class BackgroundTaskType(Enum):
    """The kind of a background task."""

    _ignore_ = "kind members"
    members = vars()
    for kind in PUBLIC:
        members[kind.member] = kind.name

    @classmethod
    def described(cls) -> dict[str, str]:
        """Return the descriptions of the members."""
        return {kind.member: f"{kind.summary}." for kind in PUBLIC}


_OLD_NAMES: Final = {kind.name: kind.old_name for kind in PUBLIC if kind.old_name is not None}
_NEW_NAMES: Final = {old: name for name, old in _OLD_NAMES.items()}


def _type_of(value: str) -> Enum:
    try:
        return BackgroundTaskType(_NEW_NAMES.get(value, value))
    except ValueError as error:
        expected = ", ".join(f"`{each.value}`" for each in BackgroundTaskType)
        raise ValueError(f"unknown variant `{value}`, expected one of {expected}") from error


class ProgressOut(Out, kw_only=True):
    """The progress of a task. Unknown values are null."""

    done: int
    """The number of items that are done."""
    skipped: int
    """The number of items that could not be done."""
    total: int | None
    """The number of items in all, fixed when the task begins."""
    total_exact: bool
    """Whether `total` is exact."""
    percent: float | None
    """The share of the items that are done or skipped, from 0 to 100."""
    rate_per_second: float | None
    """The number of items per second of work."""
    eta_seconds: int | None
    """The estimated time to the end, in seconds."""


class TaskErrorOut(Out, kw_only=True):
    """The last error of a task."""

    code: str
    """The machine-readable code of the error."""
    detail: str
    """A sentence that states the error."""


class TaskDetailOut(Out, kw_only=True):
    """Details of a task that the Svix API does not have."""

    kind: str
    """The kind of the task. Unlike `task` it may name a kind of a later release."""
    state: str
    """The state of the task: `queued`, `running`, `paused`, `succeeded`, `failed` or `cancelled`."""
    progress: ProgressOut
    """The progress of the task."""
    error: TaskErrorOut | None
    """The last error. Null if there was none."""
    created_at: CreatedAt
    started_at: Timestamp | None
    """When a worker first claimed the task. Null before that."""
    finished_at: Timestamp | None
    """When the task ended. Null before that."""
    created_by: str | None
    """The id of the organization or of the application whose token started the task. Null if unknown."""
    withdrawn: int | UnsetType = UNSET
    """The number of requested deliveries that were canceled with the task. Only for canceled tasks."""


class BackgroundTaskOut(Out, kw_only=True):
    """A background task."""

    id: TaskId
    """The id of the background task."""
    status: BackgroundTaskStatus
    """The status of the task."""
    task: KindName
    """The kind of the task."""
    updated_at: Timestamp
    """When the task last changed."""
    data: dict[str, Any]
    """The result, if the task succeeded; otherwise its counters, with `progress` or `error`."""
    x: TaskDetailOut | UnsetType = UNSET
    """Details that the Svix API does not have. SDKs skip this property."""


class TaskListQuery(Query, kw_only=True):
    """Filters and page of a list of background tasks."""

    status: Annotated[BackgroundTaskStatus | None, one_of(BackgroundTaskStatus)] = None
    """Only tasks with this status."""
    task: Annotated[
        BackgroundTaskType | None,
        ParameterType(_type_of, {"enum": BackgroundTaskType}, example=PUBLIC[0].name),
    ] = None
    """Only tasks of this kind."""
    limit: PageLimit = LIMIT_DEFAULT
    iterator: TaskIterator = None
    order: Direction = None
    """The sort order by creation: `descending`, the default, lists the newest task first."""


async def get(call: Call[Query, Nothing]) -> Response:
    """Return a background task with its progress or its result.

    Lists in its result hold at most 1,000 entries; then `truncated` is true.
    """
    task_id = call.path["task_id"]
    if not ids.is_id(task_id, ids.TASK):
        raise not_found()
    task = await tasks.get(call.context.services, call.principal, task_id)
    found = await outcomes.results(call.context.services, [task], limit=LISTED_AT_MOST)
    return json_response(200, render_task(task, call.agent, found.get(task.id)))


async def page(call: Call[TaskListQuery, Nothing]) -> Response:
    """Return a page of the caller's background tasks of the past 90 days, newest first by default.

    Lists in results hold at most 100 entries; then `truncated` is true.
    """
    query = call.query
    found = await tasks.page(
        call.context.services,
        call.principal,
        Cursor(query.order or Order.DESCENDING, query.limit, query.iterator),
        status=None if query.status is None else WireStatus(query.status.value),
        kind=None if query.task is None else query.task.value,
    )
    results = await outcomes.results(call.context.services, found.items, limit=LISTED_IN_LISTS)
    return listing(found, lambda task: render_task(task, call.agent, results.get(task.id)))


def render_task(task: Task, agent: str = "", result: dict[str, Any] | None = None) -> BackgroundTaskOut:
    """Render a task as a response body for a client; a finished task has its result."""
    return BackgroundTaskOut(
        id=task.id,
        status=status_of(task),
        task=_spell_kind(task.kind, agent),
        updated_at=format_timestamp(task.updated_at),
        data=data_of(task) if result is None else result,
        x=_detail(task),
    )


def _spell_kind(kind: str, agent: str) -> str:
    """Return the name of a kind in the spelling that the client knows."""
    return _OLD_NAMES[kind] if kind in _OLD_NAMES and sdk.spells_with_underscore(agent) else kind


def data_of(task: Task) -> dict[str, Any]:
    """Return the data of a task that has no stored result: its counters, with its progress or error."""
    counted = outcomes.counters_of(KINDS, task)
    if task.wire_status is WireStatus.RUNNING:
        return counted | {"progress": progress_out(task.progress)}
    return counted | ({} if task.error is None else {"error": _error(task)})


def progress_out(progress: Progress) -> ProgressOut:
    """Render the progress of a task."""
    return ProgressOut(
        done=progress.done,
        skipped=progress.skipped,
        total=progress.total,
        total_exact=progress.total_exact,
        percent=progress.percent,
        rate_per_second=progress.rate_per_second,
        eta_seconds=progress.eta_seconds,
    )


def _error(task: Task) -> TaskErrorOut | None:
    return None if task.error is None else TaskErrorOut(code=task.error.code, detail=task.error.detail)


def _timestamp(timestamp: int | None) -> str | None:
    return None if timestamp is None else format_timestamp(timestamp)


def _detail(task: Task) -> TaskDetailOut:
    # The tokens of customers read this, and no address of a person is for them.
    return TaskDetailOut(
        kind=task.kind,
        state=task.state.value,
        progress=progress_out(task.progress),
        error=_error(task),
        created_at=format_timestamp(task.created_at),
        started_at=_timestamp(task.started_at),
        finished_at=_timestamp(task.finished_at),
        created_by=task.org_id if "@" in (task.created_by or "") else task.created_by,
        withdrawn=task.counters.get(tasks.CANCELED_DELIVERIES, 0) if task.state is State.CANCELLED else UNSET,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/background-task",
        operation="v1.background-task.list",
        tag=TAG,
        summary="List background tasks",
        access=Access.ANY,
        query=TaskListQuery,
        body=Nothing,
        handler=page,
        responses={200: ListResponse[BackgroundTaskOut]},
    ),
    Route(
        method="GET",
        path="/background-task/{task_id}",
        operation="v1.background-task.get",
        tag=TAG,
        summary="Get a background task",
        access=Access.ANY,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: BackgroundTaskOut},
    ),
)
