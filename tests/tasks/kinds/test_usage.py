# SPDX-License-Identifier: MIT
"""Usage and subscription tasks report one correct item per application, with few attempts or many."""

import json
from typing import Any

import pytest

from tasks.kit import explained, run_sql
from tasks.seed_data import DELIVERED, FAILED, SeedData, an_endpoint
from tasks.world import FREE, NOW, PRINCIPAL, World, at
from tidings import ids
from tidings.clock import HOUR
from tidings.core import outcomes
from tidings.errors import AppError
from tidings.model.task import State
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import usage as store
from tidings.tasks.kinds import app_stats, event_type_stats
from tidings.tasks.kinds.app_stats import UsageFilters


async def another_endpoint(db: Database, seed: SeedData, **columns: Any) -> SeedData:
    """Store another endpoint of the same application."""
    await run_sql(
        db,
        "INSERT INTO endpoint (id, app_id, org_id, url, description, disabled, metadata, headers, secret, created_at,"
        " updated_at, event_types, deleted_at) SELECT :id, app_id, org_id, url, '', 0, metadata, headers, secret,"
        " created_at, updated_at, :types, CAST(:deleted AS BIGINT) FROM endpoint WHERE id = :like",
        id=(new := ids.new(ids.ENDPOINT, NOW)),
        like=seed.endpoint_id,
        types=None if columns.get("event_types") is None else json.dumps(columns["event_types"]),
        deleted=columns.get("deleted_at"),
    )
    return SeedData(seed.app, type(seed.endpoint_id)(new))


async def some_applications(world: World, attempts: list[int]) -> list[SeedData]:
    seeds = [await an_endpoint(world.db, NOW - HOUR + number * 8) for number in range(len(attempts))]
    for seed, count in zip(seeds, attempts, strict=True):
        for number in range(count):
            seed.message(at(5), (at(5) + number, FAILED if number % 2 else DELIVERED))
        await seed.write(world.db)
    return seeds


def asked(since: int = at(10), until_: int = NOW, *refs: str) -> UsageFilters:
    return UsageFilters(since=since, until=until_, refs=refs or None)


def stat(seed: SeedData, number: int, uid: str | None = None) -> dict[str, Any]:
    return {"messageDestinations": number, "appId": seed.app.id, "appUid": uid}


@pytest.mark.parametrize("few", [10_000, 5], ids=["in pages", "in pieces"])
async def test_each_application_is_counted(world: World, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_stats, "FEW", few)
    monkeypatch.setattr(app_stats, "PIECE", 2 if few == 5 else 100)
    monkeypatch.setattr(app_stats, "PAGE", 4)
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


async def test_subscriptions_are_reported(world: World) -> None:
    first, second, third = await some_applications(world, [0, 0, 0])
    for seed, types in ((first, ["b", "a"]), (first, ["c", "a"]), (second, ["z"])):
        await another_endpoint(world.db, seed, event_types=types)
    await another_endpoint(world.db, third, event_types=["gone"], deleted_at=1)
    await run_sql(world.db, "DELETE FROM endpoint WHERE id = :id", id=second.endpoint_id)

    task = await world.done(event_type_stats.build_task, PRINCIPAL)

    wanted = [
        {"appId": seed.app.id, "explicitlySubscribedEventTypes": types, "hasCatchAllEndpoint": all_}
        for seed, types, all_ in (
            (world.seed, [], True),
            (first, ["a", "b", "c"], True),
            (second, ["z"], False),
            (third, [], True),
        )
    ]
    assert {"event_types": wanted} == await world.result(task)
    assert [{"event_types": wanted}] == [reported["data"] for reported in await world.finish_events()]


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
        some = {"ids": [world.seed.app.id], "first": "atmpt_0", "end": "atmpt_z", "most": 100}
        plan = await explained(world.db, store._ATTEMPTS, **some)  # type: ignore[arg-type]  # noqa: SLF001
        if world.db.dialect is Dialect.SQLITE:
            assert "SEARCH attempt USING COVERING INDEX" in plan, plan
        else:
            assert "Seq Scan on attempt" not in plan, plan
