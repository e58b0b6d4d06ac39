# SPDX-License-Identifier: MIT
"""Dry runs: the use case that starts a task runs, its transaction is rolled back, and the task is estimated.

A dry run refuses exactly the requests that the real operation refuses, and needs no code for any kind of task: the use
case runs unchanged, with services that commit nothing. The estimate is computed after the rollback, so no transaction
is open meanwhile.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tidings.core import tasks
from tidings.core.idempotency import Idempotency, Response
from tidings.core.services import Services
from tidings.core.tasks import BuildTask
from tidings.model.task import Task
from tidings.storage.drivers.database import Write, retried

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The expected effect of a task: the number of items, the duration, and a sample of the items."""

    kind: str
    total: int | None
    exact: bool
    estimate_seconds: int | None
    sample: Sequence[str]


EstimateTask = Callable[[Task], Awaitable[Estimate]]
"""Estimates a task that is not stored in the database."""


class _RolledBack(Exception):
    """Rolls back the transaction of a dry run."""


class DryRunIdempotency(Idempotency):
    """Rolls back every transaction, and responds with an estimate of the task. Ignores idempotency keys."""

    __slots__ = ("_estimate", "_render", "_services")

    def __init__(
        self, services: Services, estimate: EstimateTask, render_estimate: Callable[[Estimate], Response]
    ) -> None:
        super().__init__(services.db, services.clock)
        self._services = services
        self._estimate = estimate
        self._render = render_estimate

    async def once(
        self,
        key: str | None,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Response],
    ) -> Response:
        """Run the work, roll it back, and return the estimate of the task that it created."""
        del key, render
        task = await retried(lambda: self._roll_back(work))
        assert isinstance(task, Task)  # noqa: S101 - only routes that start a task have dry runs
        return self._render(await self._estimate(task))

    async def _roll_back(self, work: Callable[[Write], Awaitable[Result]]) -> Result:
        with contextlib.suppress(_RolledBack):
            async with self._services.db.write() as tx:
                result = await work(tx)
                raise _RolledBack
        return result


def dry_run_services(
    services: Services, estimate: EstimateTask, render_estimate: Callable[[Estimate], Response]
) -> Services:
    """Return services with which a use case that starts a task becomes a dry run."""
    return replace(services, idempotency=DryRunIdempotency(services, estimate, render_estimate))


async def estimate_of(services: Services, estimate: EstimateTask, build: BuildTask) -> Estimate:
    """Return the estimate of the task that `build` would start; raise what starting it would raise."""
    found: list[Estimate] = []

    def keep(result: Estimate) -> Response:
        found.append(result)
        return Response(200)

    without_effect = dry_run_services(services, estimate, keep)
    await tasks.begin(without_effect, build, idempotency_key=None, render=lambda _: Response(202))
    return found[0]
