# SPDX-License-Identifier: MIT
"""Usage statistics of an organization: attempts made, and event types subscribed to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from tidings.core import tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import Fault, invalid
from tidings.ids import OrgId
from tidings.model.task import APP_STATS, EVENT_TYPE_STATS, NewTask, Task
from tidings.model.token import Principal
from tidings.model.usage import EventTypeStatsArgs, StatsArgs, checked_range
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import usage
from tidings.storage.tables.key_ranges import APPLICATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilters:
    """A time range, and the applications to count by id or uid; None selects all."""

    since: int
    until: int
    refs: tuple[str, ...] | None


async def count_attempts(
    services: Services,
    principal: Principal,
    filters: UsageFilters,
    *,
    idempotency_key: str | None,
    render: Callable[[Task, Sequence[str]], Response],
) -> Response:
    """Start counting attempts; the response names the applications that were not found."""

    async def work(tx: Write) -> tuple[Task, Sequence[str]]:
        new, missing = await build_count_task(services, tx, principal, filters)
        return await tasks.start(services, tx, new), missing

    return await services.idempotency.once(idempotency_key, work, lambda made: render(*made))


async def build_count_task(
    services: Services, read: Read, principal: Principal, filters: UsageFilters
) -> tuple[NewTask, Sequence[str]]:
    """Build the task that counts attempts; also return the requested applications that do not exist."""
    until = checked_range(filters.since, filters.until, services.clock.now())
    app_ids, missing = await _resolved(read, principal.org_id, filters.refs)
    args = StatsArgs(
        since=filters.since,
        until=until,
        app_ids=app_ids,
        high_water_mark=await APPLICATIONS.high_water_mark_at_start(read, principal.org_id),
    )
    return _of_org(APP_STATS, principal, args), missing


async def _resolved(
    read: Read, org_id: OrgId, refs: tuple[str, ...] | None
) -> tuple[tuple[str, ...] | None, Sequence[str]]:
    if refs is None:
        return None, ()
    found = await usage.resolve(read, org_id, refs)
    known = {name for each in found for name in (each.id, each.uid)}
    if not found:
        raise invalid(Fault(("body", "appIds"), "None of these applications exists."))
    return tuple(sorted(each.id for each in found)), [ref for ref in refs if ref not in known]


async def aggregate(services: Services, principal: Principal, *, render: Callable[[Task], Response]) -> Response:
    """Start listing the event types to which each application subscribes."""

    async def work(tx: Write) -> Task:
        return await tasks.start(services, tx, await build_aggregate_task(tx, principal))

    return await services.idempotency.once(None, work, render)


async def build_aggregate_task(read: Read, principal: Principal) -> NewTask:
    """Build the task that lists the subscribed event types."""
    return _of_org(
        EVENT_TYPE_STATS,
        principal,
        EventTypeStatsArgs(high_water_mark=await APPLICATIONS.high_water_mark_at_start(read, principal.org_id)),
    )


def _of_org(kind: str, principal: Principal, args: object) -> NewTask:
    return NewTask(
        kind=kind,
        org_id=principal.org_id,
        app_id=None,
        args=msgspec.json.encode(args).decode(),
        created_by=principal.subject,
    )
