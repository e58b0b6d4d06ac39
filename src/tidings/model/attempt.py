# SPDX-License-Identifier: MIT
"""An attempt: one request to one endpoint, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from tidings.ids import AttemptId, EndpointId, MessageId
from tidings.model.endpoint import Endpoint
from tidings.model.message import EVERY_MESSAGE, Message, MessageFilter

BLOCKED_TEXT: Final = "requests to this IP range are blocked (see the server configuration)"
"""How the text of an attempt begins that made no request, because every address is blocked."""


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
    """Part of the Svix API; no attempt here has it."""


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
    """Filters of attempts. A filter that is None or empty is not set."""

    status: MessageStatus | None = None
    code_class: StatusCodeClass | None = None
    message: MessageFilter = EVERY_MESSAGE
    endpoint_id: EndpointId | None = None
    """Filters the attempts of a message."""

    @property
    def statuses(self) -> frozenset[MessageStatus]:
        """The stored statuses that match: no attempt is pending, sending or canceled, and 2xx is a success."""
        found = {MessageStatus.SUCCESS, MessageStatus.FAIL}
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
        """Return the status of a latest attempt with the outstanding delivery, if there is one."""
        if latest is MessageStatus.FAIL and due_at is not None:
            return cls(MessageStatus.SENDING, due_at)
        return cls(latest, None)

    @classmethod
    def under(
        cls, wanted: MessageStatus | None, statuses: Sequence[MessageStatus], due_at: int | None
    ) -> "DestinationStatus | None":
        """Return how a message is listed under a filter, None where it is not.

        `statuses` are those of its attempts in their order. Under `success` whatever got through once is listed as
        such; under `fail` and `sending` what never did, and is not, or is, tried again.
        """
        if not statuses:
            return None
        if wanted is None:
            return cls.of(statuses[-1], due_at)
        got_through = MessageStatus.SUCCESS in statuses
        found = cls(MessageStatus.SUCCESS, None) if got_through else cls.of(MessageStatus.FAIL, due_at)
        return found if found.status is wanted else None


@dataclass(frozen=True, slots=True)
class AttemptedMessage:
    """A message with at least one attempt at an endpoint."""

    message: Message
    standing: DestinationStatus


@dataclass(frozen=True, slots=True)
class Destination:
    """An endpoint at which a message had an attempt; it may be deleted since."""

    endpoint: Endpoint
    standing: DestinationStatus
