# SPDX-License-Identifier: MIT
"""Broadcasts of one message to every application: the stored arguments of the task, without the payload."""

from dataclasses import dataclass
from typing import Final

EVENT_ID_TAKEN: Final = "A message with this event id exists already."
APPLICATION_DELETED: Final = "The application was deleted while the task was in progress."


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastArgs:
    """The task's arguments; `high_water_mark` is the greatest application id, None if not known at creation."""

    event_type: str
    event_id: str | None
    channels: tuple[str, ...] | None
    retention_ms: int
    high_water_mark: str | None = None
