# SPDX-License-Identifier: MIT
"""The shared parts of the kinds that visit applications, in the order of their ids up to the high-water mark."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tidings.model.task import Plan, Task
from tidings.storage.drivers.database import Read
from tidings.storage.tables import apps
from tidings.storage.tables.key_ranges import APPLICATIONS
from tidings.tasks.handler import TaskHandler
from tidings.tasks.key_ranges import OwnedRange, after


@dataclass(frozen=True, slots=True)
class ApplicationCursor:
    """The last application done, the high-water mark, and the position in an application that is counted in pieces."""

    after: str
    last: str
    app: str = ""
    uid: str | None = None
    endpoint: str = ""
    first: str = ""
    counted: int = 0

    @property
    def text(self) -> str:
        """The cursor as it is stored."""
        return msgspec.json.encode(self).decode()


_cursor: Final = msgspec.json.Decoder(ApplicationCursor)


def read_cursor(task: Task) -> ApplicationCursor:
    """Return the cursor of a task."""
    return _cursor.decode(task.cursor or "")


async def total_to(read: Read, org_id: str, last: str, *, limit: int) -> tuple[int, bool]:
    """Return the number of applications up to the high-water mark, and whether it is exact."""
    found = OwnedRange(APPLICATIONS, org_id, "", after(last))
    return await found.total(read, limit=limit)


async def first_applications(read: Read, task: Task, limit: int) -> Sequence[str]:
    """Return the first applications of a task's organization."""
    last = await APPLICATIONS.high_water_mark(read, task.org_id)
    found = await apps.app_refs(read, task.org_id, after="", last=last, limit=limit)
    return [each.id for each in found]


class ApplicationVisitor(TaskHandler):
    """A kind that writes one item for each application."""

    async def plan_of(self, read: Read, task: Task, mark: str | None, app_ids: Sequence[str] | None) -> Plan:
        """Return the plan of a task on the given applications, or on all up to the high-water mark."""
        last = mark if mark is not None else await APPLICATIONS.high_water_mark(read, task.org_id)
        cursor = ApplicationCursor("", last).text
        if app_ids is not None:
            return Plan(cursor, len(app_ids), exact=True)
        return Plan(cursor, *await total_to(read, task.org_id, last, limit=self._tuning.count_limit))

    async def sample(self, read: Read, task: Task, limit: int) -> Sequence[str]:
        """Return the first applications."""
        return await first_applications(read, task, limit)
