# SPDX-License-Identifier: MIT
"""Every kind is killed in the middle, for real, and gone on with by others: all is done, and all of it once."""

import random

import pytest

from tasks.forge import Forge
from tasks.kinds.audit import Reckoning
from tasks.kinds.cases import CASES
from tasks.kinds.havoc import Slaughter, Stage, staged

SOME = {"sdk.generate": 8}
MANY = 60


async def slaughtered(stage: Stage, kills: list[str], sabotage: str = "none") -> Reckoning:
    """Kill workers at the given places, let the tasks be ended, and look."""
    slaughter = Slaughter(stage, random.Random(0), len(kills), sabotage=sabotage, failpoints=iter(kills))  # noqa: S311
    await slaughter.run()
    assert slaughter.hits == slaughter.lives == len(kills)
    (reckoning,) = (await stage.ended()).values()
    return reckoning


@pytest.mark.parametrize("name", CASES)
async def test_killed_in_the_middle_it_is_exact(forge: Forge, migrated_url: str, name: str) -> None:
    items = SOME.get(name, MANY)
    async with staged(forge, migrated_url, [name], tasks=1, items=items) as stage:
        found = await slaughtered(stage, ["task.before_commit=kill@3", "task.after_commit=kill@2"])

    assert (found.items, found.lost, found.doubled, found.wrong) == (items, 0, 0, [])
    assert found.chunks > 4


@pytest.mark.parametrize("name", ["endpoint.recover", "application.stats", "message.broadcast"])
async def test_with_two_transactions_it_is_seen(forge: Forge, migrated_url: str, name: str) -> None:
    """The sabotage: effects that are committed before their checkpoint are done again, or are not counted."""
    async with staged(forge, migrated_url, [name], tasks=1, items=MANY) as stage:
        found = await slaughtered(stage, ["test.between=kill@3"], "split")

    assert (found.lost, found.doubled, found.wrong) != (0, 0, [])
