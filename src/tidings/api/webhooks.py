# SPDX-License-Identifier: MIT
"""Operational events as the OpenAPI document has them: what is recorded of each, by its type."""

from enum import Enum
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from tidings import ids
from tidings.api.fields import UID
from tidings.api.tasks import BackgroundTaskStatus, BackgroundTaskType
from tidings.api.wire import Out, Timestamp
from tidings.core import operational

TAG: Final = "Webhook"


def _of(prefix: str) -> Meta:
    return Meta(extra_json_schema={"pattern": f"^{prefix}[A-Za-z0-9]{{27}}$"})


AppRef = Annotated[str, _of(ids.APP)]
EndpointRef = Annotated[str, _of(ids.ENDPOINT)]
MessageRef = Annotated[str, _of(ids.MESSAGE)]
AttemptRef = Annotated[str, _of(ids.ATTEMPT)]
TaskRef = Annotated[str, _of(ids.TASK)]
OwnRef = Annotated[str | None, UID]


class EndpointDisabledTrigger(Enum):
    """What disabled an endpoint: a request, or its failures."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"


class _EndpointEventData(Out, kw_only=True):
    app_id: AppRef
    app_uid: OwnRef
    endpoint_id: EndpointRef
    endpoint_uid: OwnRef


class EndpointCreatedEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was created."""


class EndpointUpdatedEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was changed."""


class EndpointDeletedEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was deleted."""


class EndpointEnabledEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was enabled."""


class EndpointDisabledEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was disabled, and since when it failed."""

    fail_since: Timestamp | None
    trigger: EndpointDisabledTrigger


class MessageAttemptFailedData(Out, kw_only=True):
    """An attempt."""

    id: AttemptRef
    response_status_code: int
    timestamp: Timestamp


class _AttemptEventData(Out, kw_only=True):
    app_id: AppRef
    app_uid: OwnRef
    endpoint_id: EndpointRef
    msg_id: MessageRef
    msg_event_id: OwnRef
    last_attempt: MessageAttemptFailedData


class MessageAttemptFailingEventData(_AttemptEventData, kw_only=True):
    """The message that keeps failing, and its last attempt."""


class MessageAttemptExhaustedEventData(_AttemptEventData, kw_only=True):
    """The message that has no attempts left, and its last one."""


class MessageAttemptRecoveredEventData(_AttemptEventData, kw_only=True):
    """The message that failed before, and the attempt that succeeded."""


class BackgroundTaskFinishedEventData(Out, kw_only=True):
    """The task that ended, with its result."""

    task_id: TaskRef
    task: BackgroundTaskType
    status: BackgroundTaskStatus
    data: dict[str, Any]


class EndpointCreatedEvent(Out, kw_only=True):
    """An endpoint was created."""

    data: EndpointCreatedEventData
    type: Literal["endpoint.created"]


class EndpointUpdatedEvent(Out, kw_only=True):
    """An endpoint was changed, or its secret was rotated."""

    data: EndpointUpdatedEventData
    type: Literal["endpoint.updated"]


class EndpointDeletedEvent(Out, kw_only=True):
    """An endpoint was deleted."""

    data: EndpointDeletedEventData
    type: Literal["endpoint.deleted"]


class EndpointDisabledEvent(Out, kw_only=True):
    """An endpoint was disabled, by a request or by its failures."""

    data: EndpointDisabledEventData
    type: Literal["endpoint.disabled"]


class EndpointEnabledEvent(Out, kw_only=True):
    """An endpoint was enabled."""

    data: EndpointEnabledEventData
    type: Literal["endpoint.enabled"]


class MessageAttemptFailingEvent(Out, kw_only=True):
    """The fourth attempt of a message failed, and another follows."""

    data: MessageAttemptFailingEventData
    type: Literal["message.attempt.failing"]


class MessageAttemptExhaustedEvent(Out, kw_only=True):
    """The last attempt of a message failed."""

    data: MessageAttemptExhaustedEventData
    type: Literal["message.attempt.exhausted"]


class MessageAttemptRecoveredEvent(Out, kw_only=True):
    """A message was delivered after an event about its failures."""

    data: MessageAttemptRecoveredEventData
    type: Literal["message.attempt.recovered"]


class BackgroundTaskFinishedEvent(Out, kw_only=True):
    """A background task ended: it succeeded, failed or was canceled."""

    data: BackgroundTaskFinishedEventData
    type: Literal["background_task.finished"]


WEBHOOKS: Final[dict[str, type[Out]]] = {
    operational.ENDPOINT_CREATED: EndpointCreatedEvent,
    operational.ENDPOINT_UPDATED: EndpointUpdatedEvent,
    operational.ENDPOINT_DELETED: EndpointDeletedEvent,
    operational.ENDPOINT_DISABLED: EndpointDisabledEvent,
    operational.ENDPOINT_ENABLED: EndpointEnabledEvent,
    operational.ATTEMPT_FAILING: MessageAttemptFailingEvent,
    operational.ATTEMPT_EXHAUSTED: MessageAttemptExhaustedEvent,
    operational.ATTEMPT_RECOVERED: MessageAttemptRecoveredEvent,
    operational.TASK_FINISHED: BackgroundTaskFinishedEvent,
}
"""The body of each operational event, by its type."""
