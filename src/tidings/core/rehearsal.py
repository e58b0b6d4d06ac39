# SPDX-License-Identifier: MIT
"""Dry runs: whatever starts a task, done up to the commit and taken back, and a look at what the task would do.

So a dry run refuses exactly what the real one refuses, and knows of no kind: the use case runs unchanged, with
services that commit nothing. What the task would visit is read when nothing is held any more.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tidings.core.idempotency import Answer, Idempotency
from tidings.core.services import Services
from tidings.model.task import Task
from tidings.storage.database import Write, retried

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a task would do: how many items, whether that is exact, for how long, and a few of them."""

    kind: str
    total: int | None
    exact: bool
    estimate_seconds: int | None
    sample: Sequence[str]


Foresee = Callable[[Task], Awaitable[Forecast]]
"""Looks at what a task that is not stored would visit."""


class _TakenBack(Exception):
    """Everything has been done, and none of it is to remain."""


class Rehearsal(Idempotency):
    """Does work in a transaction that is always taken back, and answers with a forecast. Keys count for nothing."""

    __slots__ = ("_foresee", "_services", "_tell")

    def __init__(self, services: Services, foresee: Foresee, tell: Callable[[Forecast], Answer]) -> None:
        super().__init__(services.db, services.clock)
        self._services = services
        self._foresee = foresee
        self._tell = tell

    async def once(
        self,
        key: str | None,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Answer],
    ) -> Answer:
        """Do the work in vain, and tell what the task that came of it would do."""
        del key, render
        result = await retried(lambda: self._in_vain(work))
        task = result[0] if isinstance(result, tuple) else result
        assert isinstance(task, Task)  # noqa: S101 - only what starts a task is rehearsed
        return self._tell(await self._foresee(task))

    async def _in_vain(self, work: Callable[[Write], Awaitable[Result]]) -> Result:
        with contextlib.suppress(_TakenBack):
            async with self._services.db.write() as tx:
                result = await work(tx)
                raise _TakenBack
        return result


def rehearsing(services: Services, foresee: Foresee, tell: Callable[[Forecast], Answer]) -> Services:
    """Return services that do not store the task that a use case starts."""
    return replace(services, idempotency=Rehearsal(services, foresee, tell))
