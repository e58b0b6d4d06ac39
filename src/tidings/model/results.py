# SPDX-License-Identifier: MIT
"""The result of each kind of task: its counters, and lists of its items.

Names are those of the API. A list consists of the rows that the task has written for its items, each a JSON object. A
result has at most `LISTED_AT_MOST` of them, and `truncated` if there are more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidings.model import task

MESSAGES_SENT: Final = "messagesSent"
MESSAGES_PURGED: Final = "messagesPurged"
TRUNCATED: Final = "truncated"

LISTED_AT_MOST: Final = 1_000
"""The most items of one outcome in the result of a single task."""
LISTED_IN_LISTS: Final = 100
"""The most items of one outcome in the result of each task in a list."""

COUNTED: Final = "counted"
AGGREGATED: Final = "aggregated"
CREATED: Final = "created"
SKIPPED: Final = "skipped"
LINK: Final = "link"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The members of `data` for one kind: counters, a list for each item outcome, and one text."""

    counters: tuple[str, ...] = ()
    lists: tuple[tuple[str, str], ...] = ()
    text: str | None = None

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes of the listed items."""
        listed = tuple(outcome for _, outcome in self.lists)
        return listed if self.text is None else (*listed, LINK)


RESULTS: Final[Mapping[str, TaskResult]] = {
    task.RECOVER: TaskResult((MESSAGES_SENT,)),
    task.REPLAY: TaskResult((MESSAGES_SENT,)),
    task.BULK_REPLAY: TaskResult((MESSAGES_SENT,)),
    task.PURGE_CONTENT: TaskResult((MESSAGES_PURGED,)),
    task.APP_STATS: TaskResult(lists=(("appStats", COUNTED),)),
    task.EVENT_TYPE_STATS: TaskResult(lists=(("event_types", AGGREGATED),)),
    task.BROADCAST: TaskResult(lists=(("messagesCreated", CREATED), ("messagesFailed", SKIPPED))),
    task.EXPORT: TaskResult(text="schemaZip"),
}
NO_RESULT: Final = TaskResult()

_CAPITAL: Final = re.compile(r"[A-Z]")


def snake(name: str) -> str:
    """Return a name of the API in snake case, as in operational events."""
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)
