# SPDX-License-Identifier: MIT
"""The filters of messages to resend."""

from dataclasses import dataclass, field

from tidings.model.attempt import MessageStatus, StatusCodeClass
from tidings.model.message import MessageFilter
from tidings.model.undelivered import UndeliveredState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFilters:
    """Filters. A filter that is None is not set.

    With a `state`, the messages are those that the list of undelivered messages has in that state.

    `status` and `code_class` apply to the latest attempt of a message at the endpoint. A failed attempt with another
    one scheduled is `sending`.
    """

    messages: MessageFilter = field(default_factory=MessageFilter)
    status: MessageStatus | None = None
    code_class: StatusCodeClass | None = None
    state: UndeliveredState | None = None
