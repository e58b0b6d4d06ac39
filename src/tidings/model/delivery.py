# SPDX-License-Identifier: MIT
"""The states of an outstanding delivery, and the transitions between them.

A delivery exists until the message has been sent to the endpoint. It is *scheduled* (no lease; due at `due_at`) or
*leased* (a process holds it in memory until `lease_until`, to send it). Every change of a leased delivery is
conditional on the lease token, so a process that has lost the lease changes nothing.

Sends are automatic or manual. *Automatic* sends follow the retry schedule; `attempts` counts them. A *manual* send
(resend, recover, replay) takes precedence over the scheduled one, is attempted once, and does not change the schedule:
`retry_at` keeps the time of the automatic one until it ends. A manual send that is requested while the delivery is
leased is recorded in `again`, and takes effect when the send in flight ends.

The stores implement the same transitions in SQL. A property test checks that both agree.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from tidings.model.routing import Receiver


class Lane(IntEnum):
    """The lane of an endpoint queue: live deliveries take precedence over replays."""

    LIVE = 0
    REPLAY = 1


class Mode(IntEnum):
    """Whether a manual send follows a send that is in flight: only if that one fails, or always."""

    UNLESS_DELIVERED = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class ResendRequest:
    """A request for a manual send, from a user or a task."""

    lane: Lane
    mode: Mode
    task_id: str | None = None


@dataclass(slots=True, eq=False)
class Delivery:
    """One message to one endpoint in memory: its payload, its receiver and the lease under which to send it."""

    receiver: Receiver
    msg_id: str
    payload: bytes
    lease: int
    leased_at: float
    """When the lease started, in seconds of the monotonic clock."""
    attempts: int = 0
    """The number of earlier automatic attempts."""
    manual: bool = False
    retry_at: int | None = None
    """When the next automatic attempt is due, if this send is manual."""
    task_id: str | None = None
    due_since: float | None = None
    """When it became due, in seconds of the monotonic clock; None if that is when it was leased."""
    labels: tuple[str, tuple[str, ...] | None] | None = None
    """The event type and the channels, if they are known and the endpoint is transformed; else they are read."""


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """The state of an outstanding delivery, as its row has it; timestamps in milliseconds since the Unix epoch."""

    due_at: int
    lane: Lane = Lane.LIVE
    attempts: int = 0
    retry_at: int | None = None
    manual: bool = False
    again: int = 0
    lease: int | None = None
    lease_until: int | None = None
    task_id: str | None = None


def claimed(row: DeliveryRecord, lease: int, until: int) -> DeliveryRecord:
    """Lease a scheduled delivery until a timestamp."""
    return replace(row, lease=lease, lease_until=until)


def delivered(row: DeliveryRecord, lease: int, now: int) -> DeliveryRecord | None:
    """Settle a successful send; return None if the delivery has ended."""
    if row.lease != lease:
        return row
    if row.again == Mode.ALWAYS:
        return replace(_freed(row, now), manual=True, retry_at=None, again=0)
    return None


def failed(row: DeliveryRecord, lease: int, now: int, next_at: int | None) -> DeliveryRecord | None:
    """Settle a failed send; return None if the delivery has ended.

    `next_at` is the next time in the retry schedule; a manual send ignores it.
    """
    if row.lease != lease:
        return row
    schedule = row.retry_at if row.manual else next_at
    attempts = row.attempts if row.manual else row.attempts + 1
    row = replace(row, attempts=attempts)
    if row.again:
        return replace(_freed(row, now), manual=True, retry_at=schedule, again=0)
    return None if schedule is None else _automatic(row, schedule)


def returned(row: DeliveryRecord, lease: int, now: int) -> DeliveryRecord:
    """Reschedule a delivery that was leased and not sent, or whose lease has expired."""
    if row.lease != lease:
        return row
    if row.again:
        return replace(_freed(row, now), manual=True, retry_at=row.retry_at if row.manual else now, again=0)
    return _freed(row, now)


def requested(row: DeliveryRecord | None, send: ResendRequest, now: int) -> DeliveryRecord:
    """Request a manual send; it precedes the scheduled one."""
    if row is None:
        return DeliveryRecord(due_at=now, lane=send.lane, manual=True, task_id=send.task_id)
    if row.lease is not None:
        return replace(row, again=max(row.again, send.mode), task_id=send.task_id)
    if row.manual:
        return replace(row, due_at=now, lane=min(row.lane, send.lane), task_id=send.task_id)
    return replace(row, due_at=now, lane=send.lane, manual=True, retry_at=row.due_at, task_id=send.task_id)


def canceled(row: DeliveryRecord, task_id: str) -> DeliveryRecord | None:
    """Cancel a manual send that a task requested, unless it is in flight."""
    if row.task_id != task_id:
        return row
    if row.lease is not None:
        return replace(row, again=0, task_id=None) if row.again else row
    return None if row.retry_at is None else _automatic(row, row.retry_at)


def _freed(row: DeliveryRecord, now: int) -> DeliveryRecord:
    return replace(row, lease=None, lease_until=None, due_at=now)


def _automatic(row: DeliveryRecord, due_at: int) -> DeliveryRecord:
    return DeliveryRecord(due_at=due_at, attempts=row.attempts)
