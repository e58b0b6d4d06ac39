# SPDX-License-Identifier: MIT
"""Dry runs estimate the kinds that this release knows, and no other kind."""

from dataclasses import replace

import pytest

from tasks.kit import ORG, Counting, Environment, new_task, run_sql, start
from tidings.clock import SystemClock
from tidings.core.dry_run import Estimate
from tidings.tasks.estimator import Estimator
from tidings.tasks.registry import FIRST_RATES, KINDS

UNKNOWN = "endpoint.unknown"


@pytest.mark.parametrize("handlers", [{}, {UNKNOWN: Counting()}])
async def test_an_unknown_kind_has_no_estimate(env: Environment, handlers: dict[str, Counting]) -> None:
    await run_sql(
        env.db,
        "INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)"
        " VALUES ('app_1', :org, 'A', '{}', 1, 1, 1)",
        org=ORG,
    )
    task = replace(await start(env.services, new_task(10)), kind=UNKNOWN)

    estimate = await Estimator(env.db, SystemClock(), handlers, FIRST_RATES).estimate(task)

    assert Estimate(UNKNOWN, None, exact=False, estimate_seconds=None, sample=()) == estimate


def test_every_kind_that_can_be_started_has_an_estimate() -> None:
    assert set(KINDS.listed) == set(FIRST_RATES)
