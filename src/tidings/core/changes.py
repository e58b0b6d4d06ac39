# SPDX-License-Identifier: MIT
"""Use case: find out which of many subjects have changed, with one statement for each kind of subject."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple

from tidings.storage.drivers.database import Database, Read
from tidings.storage.tables import changes

_Versions = Callable[[Read, Sequence[str]], Awaitable[dict[str, str]]]


class SubjectKind(Enum):
    """What may change."""

    APPLICATION = "application"
    """Messages, attempts and endpoints of an application, by its id."""
    TASK = "task"
    """The state and the progress of a task, by its id."""
    TASKS_OF_APPLICATION = "tasks of an application"
    TASKS_OF_ORGANIZATION = "tasks of an organization"


class Subject(NamedTuple):
    """Something that changes: a kind, and an id of that kind."""

    kind: SubjectKind
    id: str


_STATEMENTS: Final[Mapping[SubjectKind, _Versions]] = {
    SubjectKind.APPLICATION: changes.applications,
    SubjectKind.TASK: changes.tasks,
    SubjectKind.TASKS_OF_APPLICATION: changes.tasks_of_applications,
    SubjectKind.TASKS_OF_ORGANIZATION: changes.tasks_of_organizations,
}

ReadVersions = Callable[[Collection[Subject]], Awaitable[Mapping[Subject, str]]]
"""Returns the versions of subjects; those that do not exist are absent."""


async def versions(db: Database, subjects: Collection[Subject]) -> dict[Subject, str]:
    """Return a text for each subject that differs after the subject has changed; at most four statements."""
    found: dict[Subject, str] = {}
    async with db.read() as read:
        for kind, statement in _STATEMENTS.items():
            ids = [subject.id for subject in subjects if subject.kind is kind]
            if ids:
                found |= {Subject(kind, key): version for key, version in (await statement(read, ids)).items()}
    return found
