# SPDX-License-Identifier: MIT
"""The response of the routes that start a background task."""

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any

from msgspec import Meta

from tidings.api import samples
from tidings.api.routes import Call
from tidings.api.wire import Out, Timestamp, format_timestamp, json_response
from tidings.core import tasks
from tidings.core.idempotency import Response
from tidings.model.task import Task

TaskId = Annotated[
    str,
    Meta(
        extra_json_schema={
            "minLength": 33,
            "maxLength": 33,
            "pattern": "^qtask_[A-Za-z0-9]{27}$",
            "example": samples.TASK,
        }
    ),
]
KindName = Annotated[str, Meta(extra_json_schema={"$ref": "#/components/schemas/BackgroundTaskType"})]
"""The name of a kind. Its enum is made from the declared kinds, whose responses contain it: hence the reference."""


class BackgroundTaskStatus(Enum):
    """The status of a background task. `x.state` has more detail."""

    RUNNING = "running"
    """The task has not ended: it is queued, running or paused."""
    FINISHED = "finished"
    """The task succeeded."""
    FAILED = "failed"
    """The task failed or was canceled."""


class StartedOut(Out, kw_only=True):
    """A background task that was started."""

    id: TaskId
    """The id of the background task."""
    status: BackgroundTaskStatus
    """The status of the task."""
    task: KindName
    """The kind of the task."""
    updated_at: Timestamp
    """When the task last changed."""


def status_of(task: Task) -> BackgroundTaskStatus:
    """Return the status of a task in the API."""
    return BackgroundTaskStatus(task.wire_status.value)


def started(kind: type[StartedOut], **more: object) -> Callable[[Task], Response]:
    """Return a function that renders the response for a started task."""

    def render(task: Task) -> Response:
        body = kind(
            id=task.id,
            status=status_of(task),
            task=task.kind,
            updated_at=format_timestamp(task.updated_at),
            **more,
        )
        return json_response(202, body)

    return render


async def start_task(call: Call[Any, Any], kind: type[StartedOut], build: tasks.BuildTask) -> Response:
    """Start the task that a call requests."""
    services, key = call.context.services, call.idempotency_key
    return await tasks.begin(services, build, idempotency_key=key, render=started(kind))
