# SPDX-License-Identifier: MIT
"""The transitions that are written down for a task, as they are told."""

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
"""Where each of them takes a task."""


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One transition: its number in the task, its timestamp, what happened, and what went wrong if it did."""

    seq: int
    at: int
    type: str
    error: Failure | None

    @property
    def state(self) -> State | None:
        """The state after it."""
        return _STATES.get(self.type)


def event_of(seq: int, at: int, type_: str, data: str | None) -> TaskEvent:
    """Return an event as it is stored."""
    return TaskEvent(seq, at, type_, Failure.of(data))
