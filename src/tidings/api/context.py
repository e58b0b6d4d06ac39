# SPDX-License-Identifier: MIT
"""What the API of one process is wired to."""

from dataclasses import dataclass, field

from tidings.api.auth import Gatekeeper
from tidings.api.ratelimit import Limiter
from tidings.core.dry_run import Estimate, EstimateTask
from tidings.core.services import Acceptor, Services
from tidings.core.task_watcher import TaskWatcher
from tidings.errors import unavailable
from tidings.model.task import Task


async def _no_estimate(_task: Task) -> Estimate:
    """Refuse a dry run in a process without task kinds."""
    raise unavailable("This process knows no kinds of tasks.")


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a handler may reach."""

    services: Services
    acceptor: Acceptor
    gatekeeper: Gatekeeper
    max_body_bytes: int = 2 * 1024 * 1024
    portal_url: str | None = None
    """Where users find this server, if not where callers of the API do; without a slash at its end."""
    https_only: bool = False
    """Whether endpoint addresses must be https."""
    limiter: Limiter | None = None
    """Who refuses requests that come too often; None is no limit."""
    attempts_max: int = 8
    """Automatic attempts that a message gets at an endpoint, by the retry schedule."""
    estimate: EstimateTask = _no_estimate
    """Estimates a task for a dry run."""
    task_watcher: TaskWatcher = field(init=False)
    """Whoever waits for a task or follows one."""

    def __post_init__(self) -> None:
        """Begin with nobody watching."""
        object.__setattr__(self, "task_watcher", TaskWatcher(self.services.db))
