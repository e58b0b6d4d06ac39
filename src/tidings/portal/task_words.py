# SPDX-License-Identifier: MIT
"""Background tasks in words: their state, progress, events and items, for the list, the page and the live parts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidings.clock import HOUR, MINUTE, SECOND
from tidings.core.task_events import TaskEvent
from tidings.core.task_items import StoredItem
from tidings.model.status import Count
from tidings.model.stored import json_object
from tidings.model.task import ENDED, State, Task, WireStatus
from tidings.model.task_item import ItemOutcome
from tidings.portal import formats

STATES: Final[Mapping[State, tuple[str, str]]] = {
    State.QUEUED: ("Queued", ""),
    State.RUNNING: ("Running", "info"),
    State.PAUSED: ("Paused", "warn"),
    State.SUCCEEDED: ("Succeeded", "good"),
    State.FAILED: ("Failed", "bad"),
    State.CANCELLED: ("Canceled", ""),
}
"""The word and the color of each state."""
STATUSES: Final[Mapping[WireStatus, str]] = {
    WireStatus.RUNNING: "Not ended",
    WireStatus.FINISHED: "Succeeded",
    WireStatus.FAILED: "Failed or canceled",
}
"""The choices of the filter."""
OUTCOMES: Final[Mapping[ItemOutcome, tuple[str, str]]] = {
    ItemOutcome.REARMED: ("Scheduled", ""),
    ItemOutcome.DELIVERED: ("Delivered", "good"),
    ItemOutcome.FAILED: ("Failed again", "bad"),
    ItemOutcome.SKIPPED: ("Skipped", "warn"),
    ItemOutcome.WITHDRAWN: ("Canceled", ""),
    ItemOutcome.CREATED: ("Message created", "good"),
    ItemOutcome.COUNTED: ("Counted", "good"),
    ItemOutcome.AGGREGATED: ("Listed", "good"),
}
"""The word and the color of each outcome of an item."""
_EVENTS: Final = {
    "created": "Requested",
    "paused": "Paused",
    "resumed": "Resumed",
    "retried": "Retried, from where it failed",
    "struck": "A step failed, and is tried again",
    "lapsed": "Its worker stopped responding; another one continues",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Canceled",
}
_REASONS: Final = {
    "payload_expired": "Its payload was deleted.",
    "event_id_taken": "The application already has a message with this event id.",
    "application_deleted": "The application was deleted.",
}
_RETRIES: Final = frozenset({"struck", "lapsed", "failed"})


@dataclass(frozen=True, slots=True)
class ProgressText:
    """How far a task is."""

    percent: float | None
    """From 0 to 100; None if it is unknown."""
    text: str
    """How much of its range the task has visited."""
    remaining: str
    """The time to the end, empty if it is unknown."""

    @property
    def percent_text(self) -> str:
        """The percentage, empty if it is unknown."""
        return "" if self.percent is None else f"{self.percent:.1f}".removesuffix(".0") + " %"

    @property
    def full_text(self) -> str:
        """The percentage and the number of items."""
        return ", ".join(filter(None, (self.percent_text, self.text)))


def state_of(task: Task) -> tuple[str, str]:
    """Return the state of a task as a word and a color."""
    if task.state is State.QUEUED and task.error is not None:
        return "Waiting to try again", "warn"
    return STATES[task.state]


def progress_of(task: Task) -> ProgressText:
    """Return the progress of a task in words."""
    progress = task.progress
    visited = progress.done + progress.skipped
    if progress.total is None:
        text = f"{visited:,} checked" if visited else ""
    else:
        text = f"{visited:,} of {'' if progress.total_exact else 'about '}{progress.total:,} checked"
    if task.state is State.RUNNING and progress.rate_per_second:
        rate = min(progress.rate_per_second, task.rate_limit or progress.rate_per_second)
        text += f", {rate:,.0f} per second"
    seconds = _seconds_left(task)
    remaining = "" if seconds is None else f"about {_rounded(max(1, seconds))} left"
    percent = 100.0 if task.state is State.SUCCEEDED else progress.percent
    return ProgressText(percent, text, remaining)


def _rounded(seconds: int) -> str:
    """Return an estimated duration: it is not known to the second."""
    unit = next((unit for unit in (HOUR, MINUTE) if seconds * SECOND >= 2 * unit), SECOND)
    return formats.duration(round(seconds * SECOND / unit) * unit)


def _seconds_left(task: Task) -> int | None:
    """Return the estimated time to the end. A limit of the rate decides, because visiting takes less time."""
    progress = task.progress
    if task.rate_limit is None or progress.total is None or task.state is not State.RUNNING:
        return progress.eta_seconds
    rest = max(0, progress.total - progress.done - progress.skipped)
    return max(progress.eta_seconds or 0, math.ceil(rest / task.rate_limit))


def duration_of(task: Task, now: int) -> str:
    """Return for how long a task has run, or ran."""
    if task.started_at is None:
        return formats.NOTHING
    end = now if task.finished_at is None else task.finished_at
    return (
        formats.duration(max(0, end - task.started_at) // SECOND * SECOND)
        if end - task.started_at >= SECOND
        else ("less than 1 s")
    )


def timeline(task: Task, events: Sequence[TaskEvent]) -> list[tuple[int, str]]:
    """Return the history of a task: times and texts, the oldest first."""
    found = [(event.at, event_text(event)) for event in events]
    if task.started_at is not None:
        found.append((task.started_at, "Started"))
    return sorted(found, key=lambda each: each[0])


def event_text(event: TaskEvent) -> str:
    """Return an event of a task in words."""
    text = _EVENTS.get(event.type, event.type)
    return f"{text}: {event.error.detail}" if event.type in _RETRIES and event.error is not None else text


def reason_of(item: StoredItem) -> str:
    """Return why an item was skipped, or what its result is."""
    if item.data is None:
        return ""
    if item.outcome is ItemOutcome.SKIPPED:
        return _REASONS.get(item.data, item.data)
    found = json_object(item.data)
    return ", ".join(f"{_spaced(name)}: {value}" for name, value in found.items() if isinstance(value, str | int))


def _spaced(name: str) -> str:
    """Return the name of a counter in words: `messagesSent` becomes `Messages sent`."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


def counter_text(name: str) -> str:
    """Return the label of a counter."""
    return "Deliveries canceled" if name == "withdrawn" else _spaced(name)


def result_of(task: Task, counts: Mapping[ItemOutcome, Count]) -> str:
    """Return what became of the messages that a task resends, in one sentence; empty before any was."""
    parts = [
        f"{number_of(counts[outcome])} {word}"
        for outcome, word in (
            (ItemOutcome.DELIVERED, "delivered"),
            (ItemOutcome.FAILED, "failed again"),
            (ItemOutcome.REARMED, "scheduled"),
            (ItemOutcome.WITHDRAWN, "canceled"),
        )
        if counts[outcome].count
    ]
    if not parts:
        return "No message had to be sent." if task.state is State.SUCCEEDED else ""
    return f"{', '.join(parts)}."


def is_over(task: Task, counts: Mapping[ItemOutcome, Count]) -> bool:
    """Return whether neither the task nor its deliveries will change any more."""
    return task.state in ENDED and not counts[ItemOutcome.REARMED].count


def number_of(count: Count) -> str:
    """Return a count with separators, and a plus sign if there are more."""
    return f"{count.count:,}{'' if count.is_exact else '+'}"


def args_of(task: Task) -> dict[str, Any]:
    """Return the arguments of a task."""
    return json_object(task.args)
