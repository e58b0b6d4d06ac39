# SPDX-License-Identifier: MIT
"""Every kind is killed midway by a real signal and resumed by other workers: each item is done exactly once."""

import random

import pytest

from tasks.kinds.audit import Audit
from tasks.kinds.cases import CASES
from tasks.kinds.chaos_driver import ChaosDriver, ChaosRun, chaos_run, linux, overtaken
from tasks.process_pool import ProcessPool


async def killed_repeatedly(chaos: ChaosRun, kills: list[str], sabotage: str = "none") -> Audit:
    """Kill workers at the given failpoints, let the tasks finish, and audit them."""
    driver = ChaosDriver(chaos, random.Random(0), len(kills), sabotage=sabotage, failpoints=iter(kills))  # noqa: S311
    await driver.run()
    assert driver.hits == driver.starts == len(kills)
    (reckoning,) = (await chaos.ended()).values()
    return reckoning


def limit_of(name: str) -> pytest.MarkDecorator:
    """Return the limit of a short run of a kind."""
    return pytest.mark.timeout(CASES[name].limit_seconds)


@pytest.mark.parametrize("name", [pytest.param(name, marks=limit_of(name)) for name in CASES])
async def test_a_task_killed_between_its_chunks_is_exact(pool: ProcessPool, migrated_url: str, name: str) -> None:
    """I1, I2: each item once, in chunks that form a chain."""
    items = CASES[name].few
    async with chaos_run(pool, migrated_url, [name], tasks=1, items=items) as chaos:
        found = await killed_repeatedly(chaos, ["task.before_commit=kill@3", "task.after_commit=kill@2"])

    assert (found.items, found.lost, found.doubled, found.wrong) == (items, 0, 0, [])
    assert found.chunks > 4


# In every run each kind uses one of the databases; the long runs use both.
@pytest.mark.parametrize(
    ("name", "database_kind"),
    [
        pytest.param(name, kind, marks=[limit_of(name), *([pytest.mark.chaos] if (place + turn) % 2 else [])])
        for place, name in enumerate(CASES)
        for turn, kind in enumerate(("sqlite", "postgresql"))
    ],
    indirect=["database_kind"],
)
async def test_effects_in_a_separate_transaction_are_detected(pool: ProcessPool, migrated_url: str, name: str) -> None:
    """The sabotage: effects that are committed before their checkpoint are repeated, or are not counted."""
    async with chaos_run(pool, migrated_url, [name], tasks=1, items=CASES[name].few) as chaos:
        found = await killed_repeatedly(chaos, ["test.between=kill@3"], "split")

    if not CASES[name].is_keyed:
        assert found.lost + found.doubled > 0
    else:
        assert "failed" in found.wrong[0], "the row that is there already was written over"


@linux
@pytest.mark.chaos
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("name", sorted(name for name, case in CASES.items() if not case.is_keyed))
async def test_a_missing_fence_is_detected(pool: ProcessPool, migrated_url: str, name: str) -> None:
    """The sabotage: a worker that resumes after its lease without the epoch check repeats another worker's items.

    Kinds with a row for each item refuse the repetition by its key.
    """
    async with chaos_run(pool, migrated_url, [name], tasks=1, items=CASES[name].few) as chaos:
        await overtaken(chaos, sabotage="fence")
        (found,) = (await chaos.ended()).values()

    assert (found.lost, found.doubled, found.wrong) != (0, 0, [])
