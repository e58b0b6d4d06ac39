# SPDX-License-Identifier: MIT
"""Attempts: one HTTP request to one endpoint, with its result."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from tidings.ids import AttemptId, EndpointId, MessageId, TaskId
from tidings.model.attempt_headers import AttemptHeaders
from tidings.model.endpoint import Endpoint
from tidings.model.message import EVERY_MESSAGE, Message, MessageFilter

BLOCKED_TEXT: Final = "requests to this IP range are blocked (see the server configuration)"
"""The start of the response text if every address is blocked, so that the attempt made no request."""


class MessageStatus(IntEnum):
    """The outcome of an attempt, or the state of a message at an endpoint."""

    SUCCESS = 0
    """The receiver accepted the message."""
    PENDING = 1
    """Part of the Svix API; no attempt here has it."""
    FAIL = 2
    """The attempt failed. Of a message: no other attempt is scheduled."""
    SENDING = 3
    """Of a message: the last attempt failed, and another is scheduled."""
    CANCELED = 4
    """A transformation canceled the delivery; there was no request."""

    def shown(self, *, is_expanded: bool) -> "MessageStatus":
        """Return the status for a caller: clients that do not ask for more statuses know canceled ones as successes."""
        return MessageStatus.SUCCESS if self is MessageStatus.CANCELED and not is_expanded else self


class MessageStatusText(Enum):
    """The outcome of an attempt, or the state of a message at an endpoint, as a word."""

    SUCCESS = "success"
    PENDING = "pending"
    FAIL = "fail"
    SENDING = "sending"
    CANCELED = "canceled"


class MessageAttemptTriggerType(IntEnum):
    """What caused an attempt."""

    SCHEDULED = 0
    """The first delivery, or the retry schedule."""
    MANUAL = 1
    """A resend, or a background task."""


class DeliveryEnd(IntEnum):
    """How a delivery ended after a failed attempt, without another one."""

    DELIVERED_LATER = 0
    """A manual send succeeded later."""
    EXHAUSTED = 1
    """No attempts were left, or the receiver requested no further ones."""
    CANCELED = 2
    """A task that had requested the message again was canceled before it sent the message."""
    DISCARDED = 3
    """The endpoint was disabled or deleted, or the payload was deleted."""


class StatusCodeClass(IntEnum):
    """A class of a hundred HTTP status codes. 0 means that there was no response."""

    CODE_NONE = 0
    CODE_1XX = 100
    CODE_2XX = 200
    CODE_3XX = 300
    CODE_4XX = 400
    CODE_5XX = 500

    @property
    def codes(self) -> range:
        """The status codes of the class."""
        return range(self, self + _CLASS)


_CLASS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A stored attempt; `message` is None unless the query reads messages too."""

    id: AttemptId
    msg_id: MessageId
    endpoint_id: EndpointId
    url: str
    status: MessageStatus
    trigger: MessageAttemptTriggerType
    response: str
    response_status_code: int
    response_duration_ms: int
    number: int | None = None
    """Which attempt of the retry schedule, from 1; None for a manual one."""
    task_id: TaskId | None = None
    """The task that requested the attempt."""
    headers: AttemptHeaders | None = None
    """None for most successful attempts."""
    message: Message | None = None

    @property
    def method(self) -> str:
        """The method of the request. It is kept with the headers: `POST` if a response with another was expunged."""
        return "POST" if self.headers is None else self.headers.method


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFilter:
    """Filters of attempts. A filter that is None or empty is not set."""

    status: MessageStatus | None = None
    code_class: StatusCodeClass | None = None
    message: MessageFilter = EVERY_MESSAGE
    endpoint_id: EndpointId | None = None
    """Applies only to the attempts of one message."""

    @property
    def statuses(self) -> frozenset[MessageStatus]:
        """The stored statuses that match. Attempts are stored as success (2xx), fail or canceled (without a code)."""
        found = {MessageStatus.SUCCESS, MessageStatus.FAIL, MessageStatus.CANCELED}
        if self.status is not None:
            found &= {self.status}
        if self.code_class is not None:
            is_success = self.code_class is StatusCodeClass.CODE_2XX
            found &= {MessageStatus.SUCCESS if is_success else MessageStatus.FAIL}
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """The status of a message at an endpoint: its latest attempt, and the time of the next one."""

    status: MessageStatus
    next_at: int | None

    @classmethod
    def of(cls, latest: MessageStatus, due_at: int | None) -> "DestinationStatus":
        """Return the status for the latest attempt; `due_at` is the next one, None without an outstanding delivery."""
        if latest is MessageStatus.FAIL and due_at is not None:
            return cls(MessageStatus.SENDING, due_at)
        return cls(latest, None)

    @classmethod
    def under(
        cls, status_filter: MessageStatus | None, statuses: Sequence[MessageStatus], due_at: int | None
    ) -> "DestinationStatus | None":
        """Return the status with which a filtered list shows a message, or None if the filter excludes it.

        `statuses` are those of the attempts, oldest first. The filter `success` matches messages with at least one
        successful attempt, `canceled` those without one whose last one is canceled. `fail` and `sending` match the
        other messages: `sending` if another attempt is scheduled, `fail` if none is.
        """
        if not statuses:
            return None
        if status_filter is None:
            return cls.of(statuses[-1], due_at)
        if MessageStatus.SUCCESS in statuses:
            found = cls(MessageStatus.SUCCESS, None)
        else:
            is_canceled = statuses[-1] is MessageStatus.CANCELED
            found = cls.of(MessageStatus.CANCELED if is_canceled else MessageStatus.FAIL, due_at)
        return found if found.status is status_filter else None


@dataclass(frozen=True, slots=True)
class AttemptedMessage:
    """A message with at least one attempt at an endpoint."""

    message: Message
    status: DestinationStatus


@dataclass(frozen=True, slots=True)
class Destination:
    """An endpoint to which a message had an attempt; the endpoint may be deleted by now."""

    endpoint: Endpoint
    status: DestinationStatus
