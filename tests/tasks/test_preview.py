# SPDX-License-Identifier: MIT
"""Dry runs foretell the kinds that they know, and no other kind as if it were one of them."""

from dataclasses import replace

import pytest

from tasks.kit import ORG, Counting, Scene, new_task, run_sql, start
from tidings.clock import SystemClock
from tidings.core.rehearsal import Forecast
from tidings.model.task import KINDS
from tidings.tasks import preview
from tidings.tasks.preview import Preview

UNKNOWN = "endpoint.unknown"


@pytest.mark.parametrize("handlers", [{}, {UNKNOWN: Counting()}])
async def test_nothing_is_foretold_of_an_unknown_kind(scene: Scene, handlers: dict[str, Counting]) -> None:
    await run_sql(
        scene.db,
        "INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)"
        " VALUES ('app_1', :org, 'A', '{}', 1, 1, 1)",
        org=ORG,
    )
    task = replace(await start(scene.services, new_task(10)), kind=UNKNOWN)

    told = await Preview(scene.db, SystemClock(), handlers).foresee(task)

    assert Forecast(UNKNOWN, None, exact=False, estimate_seconds=None, sample=()) == told


def test_every_kind_that_can_be_started_is_foretold() -> None:
    assert set(KINDS) == set(preview._RATES)  # noqa: SLF001
