# SPDX-License-Identifier: MIT
"""Task events: the recorded transitions of a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidings.model.task import Failure, State

_STATES: Final[Mapping[str, State]] = {
    "created": State.QUEUED,
    "resumed": State.QUEUED,
    "retried": State.QUEUED,
    "struck": State.QUEUED,
    "lapsed": State.QUEUED,
    "paused": State.PAUSED,
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
    "cancelled": State.CANCELLED,
}
"""The state of a task after each type of event."""


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One transition: its sequence number in the task, its timestamp, its type, and the error if there was one."""

    seq: int
    at: int
    type: str
    error: Failure | None

    @property
    def state(self) -> State | None:
        """The state of the task after this event; None for an unknown type."""
        return _STATES.get(self.type)


def event_of(seq: int, at: int, type_: str, data: str | None) -> TaskEvent:
    """Return the event of a stored row."""
    return TaskEvent(seq, at, type_, Failure.of(data))
