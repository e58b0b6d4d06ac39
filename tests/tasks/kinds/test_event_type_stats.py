# SPDX-License-Identifier: MIT
"""Subscription tasks report one correct item per application."""

from collections.abc import Sequence

from tasks.kinds.case import Case, effects, of_applications, of_organization
from tasks.kinds.some_applications import another_endpoint, some_applications
from tasks.kit import run_sql
from tasks.world import PRINCIPAL, World
from tidings.model.task import Task
from tidings.tasks.kinds import event_type_stats


async def _reported(world: World, task: Task, wanted: Sequence[str]) -> int:
    reported = (await world.result(task))["event_types"]
    assert list(wanted) == [each["appId"] for each in reported]
    return len(reported)


CASE = Case(
    of_applications(of_organization(event_type_stats)), effects("aggregated"), _reported, is_keyed=True, many=120
)


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
