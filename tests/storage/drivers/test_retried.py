# SPDX-License-Identifier: MIT
"""A unit of work that met another writer runs again, a bounded number of times."""

from dataclasses import dataclass, field

import pytest

from tidings.storage.drivers.database import RETRIES, Busy, Duplicate, StorageError, retried


@dataclass
class Work:
    """Work that fails a number of times."""

    failures: int
    error: StorageError = field(default_factory=lambda: Busy("another writer"))
    runs: int = 0

    async def __call__(self) -> int:
        self.runs += 1
        if self.runs <= self.failures:
            raise self.error
        return self.runs


@pytest.mark.parametrize("failures", range(RETRIES))
async def test_work_runs_again_while_the_database_is_busy(failures: int) -> None:
    assert failures + 1 == await retried(Work(failures))


async def test_the_number_of_runs_is_bounded() -> None:
    work = Work(RETRIES)

    with pytest.raises(Busy):
        await retried(work)

    assert RETRIES == work.runs


async def test_another_error_is_not_repeated() -> None:
    work = Work(1, Duplicate("taken"))

    with pytest.raises(Duplicate):
        await retried(work)

    assert 1 == work.runs
