# SPDX-License-Identifier: MIT
"""The states of an outstanding delivery, and the transitions between them.

A delivery exists while the message has yet to be sent to the endpoint. It is *scheduled* (no lease: to be sent at
`due_at`) or *leased* (a process holds it in memory until `lease_until`, to send it). The lease token is a random number
that every change of a leased delivery names, so a process that lost the lease changes nothing.

Two kinds of sends meet here. The *automatic* ones follow the retry schedule; `attempts` counts those made. A *manual*
one (resend, recover, replay) is asked for in between: it goes first, is tried once, and leaves the schedule as it
was: `retry_at` keeps the automatic timestamp meanwhile. If the delivery is leased when a manual send is asked for, the
request is noted in `again` and read when the send in flight ends.

The stores do the same in SQL; a property test holds the two equal.
"""

from dataclasses import dataclass, replace
from enum import IntEnum


class Lane(IntEnum):
    """Which of an endpoint's two lanes a delivery waits in: re-sent work never stands before live work."""

    LIVE = 0
    REPLAY = 1


class Mode(IntEnum):
    """How a manual send treats one that is in flight."""

    UNLESS_DELIVERED = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class ResendRequest:
    """A manual send to request: by a user, or by a task."""

    lane: Lane
    mode: Mode
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row; timestamps in milliseconds since the Unix epoch."""

    due_at: int
    lane: Lane = Lane.LIVE
    attempts: int = 0
    retry_at: int | None = None
    manual: bool = False
    again: int = 0
    lease: int | None = None
    lease_until: int | None = None
    task_id: str | None = None


def claimed(row: Delivery, lease: int, until: int) -> Delivery:
    """Give a waiting delivery to the process that drew the number."""
    return replace(row, lease=lease, lease_until=until)


def delivered(row: Delivery, lease: int, now: int) -> Delivery | None:
    """Settle a send that the receiver took; None is the end of the delivery."""
    if row.lease != lease:
        return row
    if row.again == Mode.ALWAYS:
        return replace(_freed(row, now), manual=True, retry_at=None, again=0)
    return None


def failed(row: Delivery, lease: int, now: int, next_at: int | None) -> Delivery | None:
    """Settle a send that failed; `next_at` is the schedule's next timestamp if the send was automatic."""
    if row.lease != lease:
        return row
    schedule = row.retry_at if row.manual else next_at
    attempts = row.attempts if row.manual else row.attempts + 1
    row = replace(row, attempts=attempts)
    if row.again:
        return replace(_freed(row, now), manual=True, retry_at=schedule, again=0)
    return None if schedule is None else _automatic(row, schedule)


def returned(row: Delivery, lease: int, now: int) -> Delivery:
    """Take back a delivery that was leased and not sent, or whose lease has expired."""
    if row.lease != lease:
        return row
    if row.again:
        return replace(_freed(row, now), manual=True, retry_at=row.retry_at if row.manual else now, again=0)
    return _freed(row, now)


def requested(row: Delivery | None, send: ResendRequest, now: int) -> Delivery:
    """Request a manual send, before the scheduled one."""
    if row is None:
        return Delivery(due_at=now, lane=send.lane, manual=True, task_id=send.task_id)
    if row.lease is not None:
        return replace(row, again=max(row.again, send.mode), task_id=send.task_id)
    if row.manual:
        return replace(row, due_at=now, lane=min(row.lane, send.lane), task_id=send.task_id)
    return replace(row, due_at=now, lane=send.lane, manual=True, retry_at=row.due_at, task_id=send.task_id)


def canceled(row: Delivery, task_id: str) -> Delivery | None:
    """Cancel a manual send that a task requested, unless it is in flight."""
    if row.task_id != task_id:
        return row
    if row.lease is not None:
        return replace(row, again=0, task_id=None) if row.again else row
    return None if row.retry_at is None else _automatic(row, row.retry_at)


def _freed(row: Delivery, now: int) -> Delivery:
    return replace(row, lease=None, lease_until=None, due_at=now)


def _automatic(row: Delivery, due_at: int) -> Delivery:
    return Delivery(due_at=due_at, attempts=row.attempts)
