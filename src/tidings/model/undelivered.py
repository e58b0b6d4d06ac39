# SPDX-License-Identifier: MIT
"""Lists of undelivered messages: their states, their filters, and the position of a row."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tidings.ids import ENDPOINT, MESSAGE, PATTERN, EndpointId, MessageId, first_at, is_id
from tidings.model.explanation import DeliveryState, OutstandingDelivery
from tidings.model.message import MessageFilter
from tidings.model.status import Count

KEY_PATTERN: Final = f"([0-9]{{1,16}})_({MESSAGE}{PATTERN})_({ENDPOINT}{PATTERN})"
_KEY: Final = re.compile(KEY_PATTERN)


class UndeliveredState(Enum):
    """The states of messages that an endpoint has not received."""

    SCHEDULED = "scheduled"
    """A request is due, now or later. In the order of the due times."""
    IN_FLIGHT = "in_flight"
    """A node sends the message, or holds it in memory to send it next. In the order in which they were claimed."""
    EXHAUSTED = "exhausted"
    """No attempts are left. In the order in which the messages were created."""

    @property
    def of_delivery(self) -> DeliveryState:
        """The same state in an explanation."""
        return DeliveryState(self.value)


@dataclass(frozen=True, slots=True, order=True)
class UndeliveredKey:
    """The position of a row in its list."""

    at: int
    """When the request is due, or the lease expires, in milliseconds; 0 for exhausted deliveries."""
    msg_id: MessageId
    endpoint_id: EndpointId

    @property
    def text(self) -> str:
        """The key as an iterator."""
        return f"{self.at}_{self.msg_id}_{self.endpoint_id}"

    @classmethod
    def parse(cls, text: str) -> "UndeliveredKey | None":
        """Read an iterator, without the sign of its direction; None if it is invalid."""
        match = _KEY.fullmatch(text)
        if match is None or not (is_id(match[2], MESSAGE) and is_id(match[4], ENDPOINT)):
            return None
        return cls(int(match[1]), MessageId(match[2]), EndpointId(match[4]))


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredFilter:
    """The filters of a list. A filter that is None or empty is not set."""

    state: UndeliveredState
    messages: MessageFilter = field(default_factory=MessageFilter)
    since: int | None = None
    """Only messages that were created at or after this timestamp, in milliseconds."""
    until: int | None = None
    """Only messages that were created before this timestamp."""

    @property
    def first(self) -> str:
        """The least id of the messages."""
        return "" if self.since is None else first_at(MESSAGE, self.since)

    @property
    def end(self) -> str:
        """The id before which the ids of the messages end."""
        return "~" if self.until is None else first_at(MESSAGE, self.until)

    @property
    def reads_messages(self) -> bool:
        """Whether a filter needs the row of the message, or its id."""
        return not self.messages.is_empty or self.since is not None or self.until is not None


@dataclass(frozen=True, slots=True)
class UndeliveredRow:
    """A row of a list, as it is stored."""

    key: UndeliveredKey
    outstanding: OutstandingDelivery | None
    """None for an exhausted delivery."""


@dataclass(frozen=True, slots=True)
class UndeliveredRows:
    """The rows that were found for a page."""

    rows: list[UndeliveredRow]
    last: UndeliveredKey | None
    """The last position that was read. The rows end there, or at the limit of the page."""
    is_end: bool
    """Whether the list ends there."""


@dataclass(frozen=True, slots=True)
class UndeliveredSummary:
    """How many deliveries a list has, and its oldest message among those counted."""

    count: Count
    oldest_at: int | None
    """When the oldest message was created, in milliseconds; None for an empty list."""
