# SPDX-License-Identifier: MIT
"""Applications with attempts and endpoints, for the kinds that visit applications."""

import json
from typing import Any

from tasks.kit import run_sql
from tasks.seed_data import DELIVERED, FAILED, SeedData, an_endpoint
from tasks.world import NOW, World, at
from tidings import ids
from tidings.clock import HOUR
from tidings.storage.drivers.database import Database


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
