# SPDX-License-Identifier: MIT
"""Replays of the messages of a world, by either kind."""

import json
from types import ModuleType
from typing import Any

from tasks.kit import run_sql
from tasks.world import FREE, World, at
from tidings.model.resending import ReplayFilters
from tidings.model.task import Task
from tidings.tasks.kinds import bulk_replay
from tidings.tasks.resending import ResendWindow
from tidings.tasks.runner import RunnerLimits


def wanted_by(world: World, kind: ModuleType, filters: ReplayFilters | None = None, **more: Any) -> tuple[Any, ...]:
    """Return the arguments of a kind's `build_task`."""
    given: dict[str, Any] = {"endpoint_ref": world.seed.endpoint_id, "since": at(10), "until": None, **more}
    request = ResendWindow(created_by="me", **given)
    more_of_bulk = (filters or ReplayFilters(),) if kind is bulk_replay else ()
    return (kind.build_task, world.seed.app, request, *more_of_bulk)


async def replayed(world: World, kind: ModuleType, limits: RunnerLimits = FREE, **more: Any) -> Task:
    return await world.done(*wanted_by(world, kind, **more), limits=limits)


async def shaped(world: World, msg_id: str, **columns: Any) -> str:
    """Set the event type, channels or tags of a stored message."""
    for name, value in columns.items():
        text = json.dumps(value) if isinstance(value, list) else value
        await run_sql(world.db, f"UPDATE message SET {name} = :value WHERE id = :id", value=text, id=msg_id)
    return msg_id
