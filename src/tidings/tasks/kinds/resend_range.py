# SPDX-License-Identifier: MIT
"""The shared parts of the kinds that resend messages to one endpoint: ranges, counts and the endpoint check."""

from typing import Final

import msgspec

from tidings import ids
from tidings.model.task import MustWait, PermanentFailure, Plan
from tidings.storage.drivers.database import Write
from tidings.storage.tables import recovery

COUNT_LIMIT: Final = 200_000
"""The most rows that are counted when a task starts. A larger total is estimated."""

PAYLOAD_EXPIRED: Final = "payload_expired"


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


def plan_of(lower: str, end: str, counted: int, last: str | None, limit: int) -> Plan:
    """Return the plan of a range in which `counted` rows were counted, up to the id `last`."""
    cursor = RangeCursor(lower, lower, end).text
    if counted < limit or last is None:
        return Plan(cursor, counted, exact=True)
    return Plan(cursor, _estimate(counted, lower, last, end))


def _estimate(counted: int, lower: str, last: str, end: str) -> int:
    """Extrapolate the count to the whole range, as if its rows were evenly distributed over time."""
    since = ids.timestamp_of(lower)
    whole = ids.timestamp_of(end[: len(lower)]) - since
    part = max(ids.timestamp_of(last) - since, ids.STEP_MS)
    return max(counted, round(counted * whole / part))


async def require_endpoint(tx: Write, endpoint_id: str, *, wait_while_disabled: bool) -> None:
    """Require that an endpoint exists and is enabled. With `wait_while_disabled`, wait for it."""
    disabled = await recovery.is_disabled(tx, endpoint_id)
    if disabled is None:
        raise PermanentFailure("endpoint_deleted", "The endpoint was deleted while the task was in progress.")
    if disabled and wait_while_disabled:
        raise MustWait
    if disabled:
        raise PermanentFailure("endpoint_disabled", "The endpoint was disabled while the task was in progress.")
