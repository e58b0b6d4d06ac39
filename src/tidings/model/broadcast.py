# SPDX-License-Identifier: MIT
"""A message to every application: the stored arguments of the task; the payload is stored separately."""

from dataclasses import dataclass
from typing import Final

EVENT_ID_TAKEN: Final = "A message with this event id exists already."
APPLICATION_DELETED: Final = "The application was deleted while the task was in progress."


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastArgs:
    """`high_water_mark` is the greatest id of the selected applications, where it is known at once."""

    event_type: str
    event_id: str | None
    channels: tuple[str, ...] | None
    retention_ms: int
    high_water_mark: str | None = None
