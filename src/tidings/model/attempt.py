# SPDX-License-Identifier: MIT
"""An attempt: one request to one endpoint, and what came of it."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from tidings.ids import AttemptId, EndpointId, MessageId
from tidings.model.message import Message


class MessageStatus(IntEnum):
    """How an attempt ended, or how a message stands with an endpoint."""

    SUCCESS = 0
    PENDING = 1
    FAIL = 2
    SENDING = 3
    CANCELED = 4


class MessageStatusText(Enum):
    """The same in words."""

    SUCCESS = "success"
    PENDING = "pending"
    FAIL = "fail"
    SENDING = "sending"
    CANCELED = "canceled"


class MessageAttemptTriggerType(IntEnum):
    """What made an attempt: the schedule, or somebody."""

    SCHEDULED = 0
    MANUAL = 1


class StatusCodeClass(IntEnum):
    """A hundred status codes; 0 stands for answers that never came."""

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
    """A stored attempt; with its message where that was asked for."""

    id: AttemptId
    msg_id: MessageId
    endpoint_id: EndpointId
    url: str
    status: MessageStatus
    trigger: MessageAttemptTriggerType
    response: str
    response_status_code: int
    response_duration_ms: int
    message: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFilter:
    """Which attempts are wanted; what is None or empty does not narrow."""

    status: MessageStatus | None = None
    code_class: StatusCodeClass | None = None
    event_types: tuple[str, ...] = ()
    channel: str | None = None
    endpoint_id: EndpointId | None = None
    msg_id: MessageId | None = None
