# SPDX-License-Identifier: MIT
"""The key range of a task: its cursor, its end at the high-water mark, and its total.

The beginning of a range is counted. If there are more rows, the total is extrapolated from the counted part.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from tidings import ids
from tidings.model.task import Plan
from tidings.storage.drivers.database import Read
from tidings.storage.tables.key_ranges import CountedRange, OwnedRows


class RangeCursor(msgspec.Struct, frozen=True, array_like=True):
    """The range `[lower, end)` of ids, and the first id of it that is not done."""

    first: str
    lower: str
    end: str

    @property
    def text(self) -> str:
        """The cursor as it is stored."""
        return msgspec.json.encode(self).decode()

    def after(self, last: str | None) -> "RangeCursor":
        """Return the cursor after an id, or this cursor without one."""
        return self if last is None else RangeCursor(after(last), self.lower, self.end)


decode: Final = msgspec.json.Decoder(RangeCursor).decode


def after(identifier: str) -> str:
    """Return the least text that sorts after an id. It is longer than an id, so it never equals one."""
    return identifier + "0"


@dataclass(frozen=True, slots=True)
class OwnedRange:
    """The rows of one owner from `lower` to before `end`."""

    rows: OwnedRows
    owner: str
    lower: str
    end: str

    async def plan(self, read: Read, *, limit: int) -> Plan:
        """Return the plan of a task that visits this range."""
        total, is_exact = await self.total(read, limit=limit)
        return Plan(RangeCursor(self.lower, self.lower, self.end).text, total, is_exact)

    async def total(self, read: Read, *, limit: int) -> tuple[int, bool]:
        """Return the number of rows, and whether it is exact: up to `limit` they are counted."""
        counted = await self.rows.count(read, self.owner, self.lower, self.end, limit=limit)
        first = None if counted.count < limit else await self.rows.first(read, self.owner, first=self.lower)
        return (counted.count, True) if first is None else (self._estimate(counted, first), False)

    def _estimate(self, counted: CountedRange, first: str) -> int:
        """Extrapolate the count to the whole range, as if its rows were evenly distributed over time."""
        since = ids.timestamp_of(first)
        whole = ids.timestamp_of(self.end[: len(first)]) - since
        part = max(ids.timestamp_of(counted.last_id or first) - since, ids.STEP_MS)
        return max(counted.count, round(counted.count * whole / part))


async def range_to_mark(read: Read, rows: OwnedRows, owner: str, lower: str, mark: str | None) -> OwnedRange:
    """Return the range that ends at a high-water mark; without a mark, at the greatest id now."""
    last = mark if mark is not None else await rows.high_water_mark(read, owner)
    return OwnedRange(rows, owner, lower, after(last))
