# SPDX-License-Identifier: MIT
"""Chunks of background deletions get shorter beside other writes, and longer without them."""

import time
from dataclasses import dataclass, field

import pytest

from tidings.core.deletion_pace import DeletionPace
from tidings.core.tuning import CoreTuning
from tidings.storage.drivers.database import Busy

WAIT = 1.0
"""Seconds before and after the statements of a chunk: they count for nothing."""
TUNING = CoreTuning(background_chunk_rows=32, background_chunk_seconds=2**-10)


@dataclass
class Deletion:
    """Chunks whose duration is proportional to their rows, by a clock of their own."""

    seconds_per_row: float
    is_busy: bool = True
    now: float = 0.0
    sizes: list[int] = field(default_factory=list)

    def pace(self, most: int = 500) -> DeletionPace:
        return DeletionPace(lambda: self.is_busy, TUNING, most, lambda: self.now)

    async def run(self, pace: DeletionPace, chunks: int) -> None:
        for _ in range(chunks):
            await pace.run(lambda: self._chunk(pace))

    async def _chunk(self, pace: DeletionPace) -> None:
        self.sizes.append(pace.rows)
        self.now += WAIT
        with pace.timed():
            self.now += pace.rows * self.seconds_per_row
        self.now += WAIT


async def test_a_chunk_that_took_long_beside_other_writes_halves_the_next_one_at_most() -> None:
    deletion = Deletion(seconds_per_row=2**-13)
    await deletion.run(deletion.pace(), 4)
    assert deletion.sizes == [32, 16, 8, 10], "they may take as long as 8 rows do"


async def test_the_size_settles_where_a_chunk_takes_the_time_that_it_may() -> None:
    deletion = Deletion(seconds_per_row=0.000_01)
    await deletion.run(deletion.pace(), 30)
    assert all(80 <= size <= 125 for size in deletion.sizes[-10:]), deletion.sizes


async def test_a_chunk_never_has_very_few_rows() -> None:
    deletion = Deletion(seconds_per_row=2**-12)
    await deletion.run(deletion.pace(), 6)
    assert deletion.sizes == [32, 16, 8, 8, 8, 8]


async def test_without_other_writes_the_size_grows_to_the_maximum() -> None:
    deletion = Deletion(seconds_per_row=1.0, is_busy=False)
    await deletion.run(deletion.pace(most=200), 12)
    assert deletion.sizes[-1] == 200


async def test_a_chunk_never_has_more_rows_than_the_maximum_even_at_first() -> None:
    for seconds_per_row in (0.0, 0.001):
        deletion = Deletion(seconds_per_row=seconds_per_row)
        await deletion.run(deletion.pace(most=5), 3)
        assert deletion.sizes == [5, 5, 5]


@pytest.mark.parametrize(("is_busy", "least"), [(True, 0.015), (False, 0.0)])
async def test_a_chunk_beside_other_writes_is_followed_by_a_rest_of_twice_its_time(
    *, is_busy: bool, least: float
) -> None:
    deletion = Deletion(seconds_per_row=0.000_312_5, is_busy=is_busy)
    began = time.monotonic()
    await deletion.run(deletion.pace(), 1)
    assert time.monotonic() - began >= least


async def test_a_busy_database_is_tried_again_and_the_result_returned() -> None:
    tries: list[None] = []

    async def work() -> str:
        tries.append(None)
        if len(tries) == 1:
            raise Busy("another transaction has the lock")
        return "deleted"

    assert await DeletionPace(lambda: False, TUNING, 10).run(work) == "deleted"
    assert len(tries) == 2
