# SPDX-License-Identifier: MIT
"""Operational events in the OpenAPI document: the recorded body of each, by its type."""

from enum import Enum
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from tidings import ids
from tidings.api import samples
from tidings.api.fields import UID
from tidings.api.started import BackgroundTaskStatus, KindName
from tidings.api.wire import Out, Timestamp
from tidings.core import operational

TAG: Final = "Webhook"


def _of(prefix: str, example: str, kind: str) -> Meta:
    schema = {"pattern": f"^{prefix}[A-Za-z0-9]{{27}}$", "example": example}
    return Meta(description=f"The id of the {kind}.", extra_json_schema=schema)


AppRef = Annotated[str, _of(ids.APP, samples.APP, "application")]
EndpointRef = Annotated[str, _of(ids.ENDPOINT, samples.ENDPOINT, "endpoint")]
MessageRef = Annotated[str, _of(ids.MESSAGE, samples.MESSAGE, "message")]
AttemptRef = Annotated[str, _of(ids.ATTEMPT, samples.ATTEMPT, "attempt")]
TaskRef = Annotated[str, _of(ids.TASK, samples.TASK, "background task")]
OwnRef = Annotated[str | None, UID]


class EndpointDisabledTrigger(Enum):
    """What disabled an endpoint."""

    MANUAL = "manual"
    """A request."""
    AUTOMATIC = "automatic"
    """The failures of the endpoint, or its receiver."""


_PERCENT: Final = "The share of the time until then that has passed, as a level: 50, 75 or 90."


class _EndpointEventData(Out, kw_only=True):
    """The endpoint of an event."""

    app_id: AppRef
    app_uid: OwnRef
    """The uid of the application. Null if there is none."""
    endpoint_id: EndpointRef
    endpoint_uid: OwnRef
    """The uid of the endpoint. Null if there is none."""


class EndpointCreatedEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was created."""


class EndpointUpdatedEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was changed."""


class EndpointDeletedEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was deleted."""


class EndpointEnabledEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was enabled."""


class EndpointDisabledEventData(_EndpointEventData, kw_only=True):
    """The endpoint that was disabled."""

    fail_since: Timestamp | None
    """When the failures began that disabled the endpoint. Null if a request disabled it."""
    trigger: EndpointDisabledTrigger
    """What disabled the endpoint."""


class EndpointFailingEventData(_EndpointEventData, kw_only=True):
    """The endpoint that is failing, and its latest attempt."""

    fail_since: Timestamp
    """When the first attempt of the run of failures was made."""
    last_attempt: Annotated["MessageAttemptFailedData | None", Meta(description="The latest failed attempt.")]


class EndpointRecoveredEventData(_EndpointEventData, kw_only=True):
    """The endpoint that has recovered."""

    fail_since: Timestamp | None
    """When the failures began. Null if that is not known."""


class EndpointDisablingEventData(_EndpointEventData, kw_only=True):
    """The endpoint that will be disabled unless a message succeeds."""

    fail_since: Timestamp
    """When the failures began."""
    disables_at: Timestamp
    """The earliest time at which another exhausted message disables the endpoint."""
    percent: Annotated[int, Meta(ge=50, le=90, description=_PERCENT, extra_json_schema={"example": 75})]


class MessageAttemptFailedData(Out, kw_only=True):
    """An attempt."""

    id: AttemptRef
    response_status_code: int
    """The status code of the response. 0 if there was no response."""
    timestamp: Timestamp
    """When the attempt was made."""


class _AttemptEventData(Out, kw_only=True):
    """The attempt of an event."""

    app_id: AppRef
    app_uid: OwnRef
    """The uid of the application. Null if there is none."""
    endpoint_id: EndpointRef
    msg_id: MessageRef
    msg_event_id: OwnRef
    """The event id of the message. Null if there is none."""
    last_attempt: MessageAttemptFailedData
    """The latest attempt."""


class MessageAttemptFailingEventData(_AttemptEventData, kw_only=True):
    """The message that keeps failing, and its latest attempt."""


class MessageAttemptExhaustedEventData(_AttemptEventData, kw_only=True):
    """The message that has no attempts left, and its latest attempt."""


class MessageAttemptRecoveredEventData(_AttemptEventData, kw_only=True):
    """The message that failed before, and the attempt that succeeded."""


class BackgroundTaskFinishedEventData(Out, kw_only=True):
    """The task that ended, with its result."""

    task_id: TaskRef
    task: KindName
    """The kind of the task."""
    status: BackgroundTaskStatus
    """The status of the task: `finished`, or `failed` also if it was canceled."""
    data: dict[str, Any]
    """The result of the task, with names in snake case."""


class EndpointCreatedEvent(Out, kw_only=True):
    """An endpoint was created."""

    data: EndpointCreatedEventData
    """Data of the event: the endpoint."""
    type: Literal["endpoint.created"]
    """The type of the event."""


class EndpointUpdatedEvent(Out, kw_only=True):
    """An endpoint was changed, or its secret was rotated."""

    data: EndpointUpdatedEventData
    """Data of the event: the endpoint."""
    type: Literal["endpoint.updated"]
    """The type of the event."""


class EndpointDeletedEvent(Out, kw_only=True):
    """An endpoint was deleted."""

    data: EndpointDeletedEventData
    """Data of the event: the endpoint."""
    type: Literal["endpoint.deleted"]
    """The type of the event."""


class EndpointDisabledEvent(Out, kw_only=True):
    """An endpoint was disabled, by a request or by its failures."""

    data: EndpointDisabledEventData
    """Data of the event: the endpoint."""
    type: Literal["endpoint.disabled"]
    """The type of the event."""


class EndpointEnabledEvent(Out, kw_only=True):
    """An endpoint was enabled."""

    data: EndpointEnabledEventData
    """Data of the event: the endpoint."""
    type: Literal["endpoint.enabled"]
    """The type of the event."""


class EndpointFailingEvent(Out, kw_only=True):
    """Ten attempts in a row at an endpoint failed."""

    data: EndpointFailingEventData
    """Data of the event: the endpoint and its latest attempt."""
    type: Literal["endpoint.failing"]
    """The type of the event."""


class EndpointRecoveredEvent(Out, kw_only=True):
    """An attempt succeeded after an event about the failures of an endpoint."""

    data: EndpointRecoveredEventData
    """Data of the event: the endpoint."""
    type: Literal["endpoint.recovered"]
    """The type of the event."""


class EndpointDisablingEvent(Out, kw_only=True):
    """An endpoint keeps failing, and will be disabled unless a message succeeds."""

    data: EndpointDisablingEventData
    """Data of the event: the endpoint, and when it will be disabled."""
    type: Literal["endpoint.disabling"]
    """The type of the event."""


class MessageAttemptFailingEvent(Out, kw_only=True):
    """The fourth attempt of a message failed, and another follows."""

    data: MessageAttemptFailingEventData
    """Data of the event: the message and its latest attempt."""
    type: Literal["message.attempt.failing"]
    """The type of the event."""


class MessageAttemptExhaustedEvent(Out, kw_only=True):
    """The last attempt of a message failed."""

    data: MessageAttemptExhaustedEventData
    """Data of the event: the message and its latest attempt."""
    type: Literal["message.attempt.exhausted"]
    """The type of the event."""


class MessageAttemptRecoveredEvent(Out, kw_only=True):
    """A message was delivered after an event about its failures."""

    data: MessageAttemptRecoveredEventData
    """Data of the event: the message and its latest attempt."""
    type: Literal["message.attempt.recovered"]
    """The type of the event."""


class BackgroundTaskFinishedEvent(Out, kw_only=True):
    """A background task ended: it succeeded, failed or was canceled."""

    data: BackgroundTaskFinishedEventData
    """Data of the event: the task."""
    type: Literal["background_task.finished"]
    """The type of the event."""


WEBHOOKS: Final[dict[str, type[Out]]] = {
    operational.ENDPOINT_CREATED: EndpointCreatedEvent,
    operational.ENDPOINT_UPDATED: EndpointUpdatedEvent,
    operational.ENDPOINT_DELETED: EndpointDeletedEvent,
    operational.ENDPOINT_DISABLED: EndpointDisabledEvent,
    operational.ENDPOINT_ENABLED: EndpointEnabledEvent,
    operational.ENDPOINT_FAILING: EndpointFailingEvent,
    operational.ENDPOINT_DISABLING: EndpointDisablingEvent,
    operational.ENDPOINT_RECOVERED: EndpointRecoveredEvent,
    operational.ATTEMPT_FAILING: MessageAttemptFailingEvent,
    operational.ATTEMPT_EXHAUSTED: MessageAttemptExhaustedEvent,
    operational.ATTEMPT_RECOVERED: MessageAttemptRecoveredEvent,
    operational.TASK_FINISHED: BackgroundTaskFinishedEvent,
}
"""The body of each operational event, by its type."""
