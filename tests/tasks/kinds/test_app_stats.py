# SPDX-License-Identifier: MIT
"""Usage and subscription tasks report one correct item per application, with few attempts or many."""

from collections.abc import Sequence
from typing import Any

import pytest

from tasks.kinds.case import Case, effects, of_applications, of_organization
from tasks.kinds.some_applications import another_endpoint, some_applications
from tasks.kit import explained, run_sql
from tasks.seed_data import DELIVERED, FAILED, SeedData, an_endpoint
from tasks.world import FREE, NOW, PRINCIPAL, World, at
from tidings.clock import HOUR
from tidings.core import outcomes
from tidings.errors import AppError
from tidings.model.task import State, Task
from tidings.storage.drivers.database import Dialect
from tidings.storage.tables import apps as store
from tidings.tasks.kinds import app_stats, event_type_stats
from tidings.tasks.kinds.app_stats import UsageFilters
from tidings.tasks.tuning import TaskTuning


async def _reported(world: World, task: Task, wanted: Sequence[str]) -> int:
    reported = (await world.result(task))["appStats"]
    assert [0, *(number % 4 for number in range(len(wanted) - 1))] == [each["messageDestinations"] for each in reported]
    return len(reported)


CASE = Case(
    of_applications(of_organization(app_stats, UsageFilters(since=at(10), until=NOW, refs=None))),
    effects("counted"),
    _reported,
    is_keyed=True,
    many=120,
)


def asked(since: int = at(10), until_: int = NOW, *refs: str) -> UsageFilters:
    return UsageFilters(since=since, until=until_, refs=refs or None)


def stat(seed: SeedData, number: int, uid: str | None = None) -> dict[str, Any]:
    return {"messageDestinations": number, "appId": seed.app.id, "appUid": uid}


@pytest.mark.parametrize("few", [10_000, 5], ids=["in pages", "in pieces"])
async def test_each_application_is_counted(world: World, few: int) -> None:
    per_row = 2 if few == 5 else 100
    world.tuning = TaskTuning(few_attempts=few, entries_per_row=per_row, chunk_applications=4)
    counts = [3, 0, 17, 5, 4, 120, 1]
    seeds = await some_applications(world, counts)
    deleted = await another_endpoint(world.db, seeds[2], deleted_at=1)
    deleted.message(at(4), (at(4), FAILED), (at(3), DELIVERED))
    await deleted.write(world.db)
    await run_sql(world.db, "UPDATE application SET uid = 'one' WHERE id = :id", id=seeds[0].app.id)

    task = await world.done(app_stats.build_task, PRINCIPAL, asked())

    counts[2] += 2
    wanted = [stat(world.seed, 0), stat(seeds[0], 3, "one")]
    wanted += [stat(seed, count) for seed, count in zip(seeds[1:], counts[1:], strict=True)]
    assert (State.SUCCEEDED, 8, 8, True) == (task.state, task.done, task.total, task.total_exact)
    assert {"appStats": wanted} == await world.result(task)
    assert [{"app_stats": wanted}] == [reported["data"] for reported in await world.finish_events()]


async def test_a_range_includes_both_ends(world: World) -> None:
    for timestamp in (at(9) - 4, at(9), at(5), at(2), at(2) + 4):
        world.seed.message(at(12), (timestamp, DELIVERED))
    await world.seed.write(world.db)

    task = await world.done(app_stats.build_task, PRINCIPAL, asked(at(9), at(2)))

    assert {"appStats": [stat(world.seed, 3)]} == await world.result(task)


async def test_only_the_requested_applications_are_counted(world: World) -> None:
    seeds = await some_applications(world, [2, 3, 4])
    await run_sql(world.db, "UPDATE application SET uid = 'one' WHERE id = :id", id=seeds[0].app.id)
    wanted = asked(at(10), NOW, "nobody", "one", seeds[2].app.id, "app_2ztyN7HVPWhTq7FtmTTC0yPs8ul")
    async with world.db.read() as read:
        missing = await app_stats.missing_refs(read, PRINCIPAL.org_id, wanted.refs)
    task = await world.done(app_stats.build_task, PRINCIPAL, wanted)

    assert ["nobody", "app_2ztyN7HVPWhTq7FtmTTC0yPs8ul"] == missing
    assert {"appStats": [stat(seeds[0], 2, "one"), stat(seeds[2], 4)]} == await world.result(task)


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        (asked(at(1), at(2)), "since"),
        (asked(NOW + HOUR, NOW + 2 * HOUR), "since"),
        (asked(at(2), at(1), "nobody"), "appIds"),
    ],
)
async def test_invalid_input_is_refused(world: World, wanted: UsageFilters, place: str) -> None:
    with pytest.raises(AppError) as refused:
        await world.begin(app_stats.build_task, PRINCIPAL, wanted)

    assert [("body", place)] == [fault.loc for fault in refused.value.faults]


async def test_long_reports_are_truncated(world: World) -> None:
    await some_applications(world, [1, 1, 1])
    task = await world.done(app_stats.build_task, PRINCIPAL, asked())
    async with world.db.read() as read:
        cut = await outcomes.result(read, task, world.services.kinds, limit=2)

    assert (2, True) == (len(cut["appStats"]), cut["truncated"])


async def test_applications_of_another_organization_are_not_reported(world: World) -> None:
    other = await an_endpoint(world.db, NOW)
    await run_sql(world.db, "UPDATE application SET org_id = 'org_other' WHERE id = :id", id=other.app.id)

    counted = await world.done(app_stats.build_task, PRINCIPAL, asked())
    reported = await world.done(event_type_stats.build_task, PRINCIPAL, limits=FREE)

    assert (1, 1) == (counted.done, reported.done)


async def test_attempts_are_counted_by_an_index_only_scan(world: World) -> None:
    await some_applications(world, [50] * 40)
    for analyzed in (False, True):
        if analyzed:
            await run_sql(world.db, "ANALYZE")
        some = {"ids": [world.seed.app.id], "first": "atmpt_0", "end": "atmpt_z", "limit": 100}
        plan = await explained(world.db, store._COUNT_ATTEMPTS, **some)  # type: ignore[arg-type]  # noqa: SLF001
        if world.db.dialect is Dialect.SQLITE:
            assert "SEARCH attempt USING COVERING INDEX" in plan, plan
        else:
            assert "Seq Scan on attempt" not in plan, plan
