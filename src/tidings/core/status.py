# SPDX-License-Identifier: MIT
"""The status for an operator, or of one organization: outstanding deliveries, and endpoints that need attention."""

import asyncio
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from tidings import __version__
from tidings.clock import DAY, MINUTE, SECOND
from tidings.ids import OrgId
from tidings.model.status import (
    ActiveTask,
    Count,
    DatabaseState,
    EndpointCounts,
    NodeState,
    OldestOverdue,
    QueueDepth,
    UnhealthyEndpoint,
)
from tidings.model.task import State
from tidings.storage.drivers.database import Database
from tidings.storage.tables import queue_depth, service_state, unhealthy_endpoints

OVERDUE_MS: Final = MINUTE
"""A delivery that is overdue for longer needs attention."""
_RECENT_MS: Final = DAY
"""An endpoint that the service disabled needs attention for this long."""
_HEARTBEAT_MS: Final = 30 * SECOND
"""A node without a heartbeat for this long needs attention."""
_FRESH_SECONDS: Final = 1.0
_FRESH_FACTOR: Final = 20
_WORST: Final = 5
_TASKS: Final = 10
_TENANTS: Final = 5
_TENANT_DELIVERIES: Final = 10_000


_Tasks = tuple[Mapping[State, Count], list[ActiveTask]]


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization, and its scheduled and overdue deliveries among the oldest ones of all."""

    org_id: OrgId
    outstanding: int


@dataclass(frozen=True, slots=True)
class Installation:
    """What spans organizations: only an operator may see it."""

    nodes: list[NodeState]
    database: DatabaseState
    tenants: list[Tenant]
    """The organizations with the most deliveries among those that are due first."""
    tenants_of: int
    """How many deliveries were read for `tenants`."""


@dataclass(frozen=True, slots=True)
class Status:
    """The status of the whole service, or of one organization; timestamps in milliseconds."""

    now: int
    depth: QueueDepth
    oldest: OldestOverdue | None
    endpoints: EndpointCounts
    worst: list[UnhealthyEndpoint]
    """The endpoints that need attention, those that have failed the longest first; only a few."""
    tasks: Mapping[State, Count]
    active: list[ActiveTask]
    """The first few tasks that have not ended."""
    installation: Installation | None
    """None for one organization."""

    @property
    def overdue_ms(self) -> int:
        """For how long the oldest overdue delivery has been due; 0 without one."""
        return 0 if self.oldest is None else max(0, self.now - self.oldest.since)

    @property
    def faults(self) -> list[str]:
        """What needs attention, as phrases; empty if the service is healthy."""
        found = []
        if self.installation is not None:
            found += _node_faults(self.installation.nodes, self.now)
        if self.endpoints.need_attention.count:
            found.append(_counted(self.endpoints.need_attention, "endpoint needs", "endpoints need") + " attention")
        if self.overdue_ms > OVERDUE_MS:
            found.append(f"the oldest overdue delivery is {age_text(self.overdue_ms)} late")
        return found

    @property
    def verdict(self) -> str:
        """The status in one sentence."""
        text = "; ".join(self.faults) or "healthy"
        return f"{text[0].upper()}{text[1:]}."


async def read_status(
    db: Database, now: int, org_id: OrgId | None, *, is_stopped: bool = False, itself: NodeState | None = None
) -> Status:
    """Read the status of one organization, or of the whole service without one.

    `is_stopped` says that no node can be running, whatever heartbeats are stored; `itself` is the caller if it is the
    only node. The parts are read side by side: the counts of many deliveries take most of the time.
    """
    if org_id is not None:
        (depth, oldest), (endpoints, worst), (tasks, active) = await asyncio.gather(
            _own_deliveries(db, org_id, now), _endpoints(db, org_id, now), _active(db, org_id)
        )
        return Status(now, depth, oldest, endpoints, worst, tasks, active, None)
    known = [] if is_stopped else None if itself is None else [itself]
    (depth, oldest), (endpoints, worst), ((tasks, active), whole) = await asyncio.gather(
        _deliveries(db, now),
        _endpoints(db, None, now),
        _installation(db, now, known),
    )
    return Status(now, depth, oldest, endpoints, worst, tasks, active, whole)


class StatusReader:
    """Reads statuses one at a time, and returns each for some seconds: callers may poll without limit.

    A status is returned for at least a second, and for twenty times as long as it took to read, so that polling takes
    at most a twentieth of one connection.
    """

    __slots__ = ("_db", "_itself", "_lock", "_read")

    def __init__(self, db: Database) -> None:
        self._db = db
        # A node that owns its file is the only one, and writes a heartbeat only if health is requested.
        self._itself = NodeState(platform.node(), __version__, None) if db.has_one_writer else None
        self._lock = asyncio.Lock()
        self._read: dict[OrgId | None, tuple[Status, float]] = {}

    async def read(self, now: int, org_id: OrgId | None) -> Status:
        """Return the status of one organization, or of the whole service without one."""
        async with self._lock:
            began = monotonic()
            self._read = {org: each for org, each in self._read.items() if began < each[1]}
            if org_id not in self._read:
                found = await read_status(self._db, now, org_id, itself=self._itself)
                took = monotonic() - began
                self._read[org_id] = found, began + max(_FRESH_SECONDS, _FRESH_FACTOR * took)
            return self._read[org_id][0]


def age_text(milliseconds: int) -> str:
    """Return a duration in its largest unit: `45 s`, `4 min`, `3 h`, `2 d`."""
    seconds = milliseconds // SECOND
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or (unit != "d" and seconds >= size):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def count_text(count: Count) -> str:
    """Return a count with separators, and a plus sign if there are more."""
    return f"{count.count:,}{'' if count.is_exact else '+'}"


def _counted(count: Count, one: str, many: str) -> str:
    return f"{count_text(count)} {one if count == Count(1) else many}"


def _node_faults(nodes: list[NodeState], now: int) -> list[str]:
    if not nodes:
        return ["no node is running"]
    silent = [each for each in nodes if each.heartbeat_at is not None and now - each.heartbeat_at > _HEARTBEAT_MS]
    return [f"{len(silent)} of {len(nodes)} nodes cannot write to the database"] if silent else []


async def _deliveries(db: Database, now: int) -> tuple[QueueDepth, OldestOverdue | None]:
    async with db.read() as read:
        return await queue_depth.queue_depth(read, now), await queue_depth.oldest_overdue(read, now)


async def _own_deliveries(db: Database, org_id: OrgId, now: int) -> tuple[QueueDepth, OldestOverdue | None]:
    async with db.read() as read:
        return await queue_depth.own_queue_depth(read, org_id, now)


async def _endpoints(db: Database, org_id: OrgId | None, now: int) -> tuple[EndpointCounts, list[UnhealthyEndpoint]]:
    recent = now - _RECENT_MS
    async with db.read() as read:
        counts = await unhealthy_endpoints.count(read, org_id, recent=recent)
        some = counts.need_attention.count > 0
        return counts, await unhealthy_endpoints.worst(read, org_id, recent=recent, limit=_WORST) if some else []


async def _active(db: Database, org_id: OrgId | None) -> _Tasks:
    async with db.read() as read:
        return await service_state.active_tasks(read, org_id, limit=_TASKS)


async def _installation(db: Database, now: int, known: list[NodeState] | None) -> tuple[_Tasks, Installation]:
    """Return the active tasks and the installation; `known` are its nodes, None to read them."""
    async with db.read() as read:
        tasks = await service_state.active_tasks(read, None, limit=_TASKS)
        tenants = await queue_depth.top_tenants(read, most=_TENANT_DELIVERIES, limit=_TENANTS)
        since = now - _HEARTBEAT_MS
        whole = Installation(
            nodes=await service_state.running_nodes(read, since=since) if known is None else known,
            database=await service_state.database_state(read),
            tenants=[Tenant(org, outstanding) for org, outstanding in tenants],
            tenants_of=_TENANT_DELIVERIES,
        )
        return tasks, whole
