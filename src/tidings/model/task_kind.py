# SPDX-License-Identifier: MIT
"""What every layer may know about a kind of background task: its name, its result and its effects.

Each kind is declared in one file of `tasks/kinds`. Layers below it receive the declarations as a `TaskKinds`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SYSTEM: Final = "system."
"""The prefix of internal kinds, which the API does not show."""

TRUNCATED: Final = "truncated"
LISTED_AT_MOST: Final = 1_000
"""The most items of one outcome in the result of a single task."""
LISTED_IN_LISTS: Final = 100
"""The most items of one outcome in the result of each task in a list."""

LINK: Final = "link"


class Effect(StrEnum):
    """A change that a kind makes, beyond the rows of its task."""

    RESENDS = "resends messages to one endpoint"
    CREATES = "creates messages"
    PURGES = "deletes payloads"
    EXPORTS = "stores an export"
    PRUNES = "deletes old tasks and exports"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The members of `data` for one kind: counters, a list for each item outcome, and one text.

    Names are those of the API. A list consists of the rows that the task has written for its items, each a JSON object.
    A result has at most `LISTED_AT_MOST` of them, and `truncated` if there are more.
    """

    counters: tuple[str, ...] = ()
    lists: tuple[tuple[str, str], ...] = ()
    text: str | None = None

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes of the listed items."""
        listed = tuple(outcome for _, outcome in self.lists)
        return listed if self.text is None else (*listed, LINK)

    @property
    def members(self) -> tuple[str, ...]:
        """The names in `data`."""
        return (*self.counters, *(name for name, _ in self.lists), *((self.text,) if self.text else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKind:
    """A kind of background task."""

    name: str
    """The name in the API."""
    summary: str
    """One line that begins with a verb."""
    result: TaskResult | None = None
    """The result; None if it consists of whatever counters the task has."""
    effects: frozenset[Effect] = frozenset()

    @property
    def is_internal(self) -> bool:
        """Whether the API does not show tasks of this kind."""
        return self.name.startswith(SYSTEM)

    @property
    def is_for_applications(self) -> bool:
        """Whether the token of an application may start tasks of this kind."""
        return False


class TaskKinds:
    """The kinds of a release. It ignores rows of other kinds, which another release created."""

    __slots__ = ("_kinds", "listed", "names", "of_applications")

    def __init__(self, kinds: Iterable[TaskKind]) -> None:
        self._kinds: Mapping[str, TaskKind] = {each.name: each for each in kinds}
        self.names = tuple(self._kinds)
        self.listed = tuple(each.name for each in self._kinds.values() if not each.is_internal)
        """The names in the API. Clients reject a list of tasks that contains another one."""
        self.of_applications = tuple(each.name for each in self._kinds.values() if each.is_for_applications)
        """The names of those that tokens of applications start."""

    def result_of(self, name: str) -> TaskResult | None:
        """Return the result of a kind; None for a kind of another release."""
        kind = self._kinds.get(name)
        return None if kind is None else kind.result

    def summary_of(self, name: str) -> str:
        """Return the summary of a kind; its name for a kind of another release."""
        kind = self._kinds.get(name)
        return name if kind is None else kind.summary

    def has_effect(self, name: str, effect: Effect) -> bool:
        """Return whether a kind is known and has an effect."""
        return name in self._kinds and effect in self._kinds[name].effects


NO_KINDS: Final = TaskKinds(())

_CAPITAL: Final = re.compile(r"[A-Z]")


def snake(name: str) -> str:
    """Return a name of the API in snake case, as in operational events."""
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)
