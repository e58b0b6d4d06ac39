# SPDX-License-Identifier: MIT
"""The dependencies of the API of one process."""

from dataclasses import dataclass, field

from tidings.api.auth import Gatekeeper
from tidings.api.ratelimit import Limiter
from tidings.api.request_log import RequestObservers
from tidings.api.tuning import ApiTuning
from tidings.core.dry_run import Estimate, EstimateTask
from tidings.core.health import StartCatchUp
from tidings.core.services import Acceptor, Services
from tidings.core.status import StatusReader
from tidings.core.task_watcher import TaskWatcher
from tidings.errors import unavailable
from tidings.model.task import Task


async def _no_estimate(_task: Task) -> Estimate:
    """Raise `AppError` for a dry run in a process without task kinds."""
    raise unavailable("This process has no task kinds, so it cannot estimate a task.")


@dataclass(frozen=True, slots=True)
class Context:
    """The dependencies and settings that every handler receives."""

    services: Services
    acceptor: Acceptor
    gatekeeper: Gatekeeper
    max_body_bytes: int = 2 * 1024 * 1024
    portal_url: str | None = None
    """The URL of this server for users, if it differs from the callers' one; without a trailing slash."""
    https_only: bool = False
    """Whether endpoint URLs must be https."""
    limiter: Limiter | None = None
    """The limiter of the request rate. None means no limit."""
    attempts_max: int = 8
    """Maximum automatic attempts of a message at an endpoint, from the retry schedule."""
    estimate: EstimateTask = _no_estimate
    """Estimates a task for a dry run."""
    catching_up: tuple[StartCatchUp, ...] = ()
    """Start the tasks that resend what an endpoint missed, once it is enabled."""
    observers: RequestObservers | None = None
    """Those who are notified of each request. None means that there are none, which costs nothing."""
    tuning: ApiTuning = ApiTuning()
    task_watcher: TaskWatcher = field(init=False)
    """Notifies requests that wait for a task or follow one."""
    status: StatusReader = field(init=False)
    """Reads the status of the service."""

    def __post_init__(self) -> None:
        """Create a task watcher without watchers, and a reader of the status."""
        object.__setattr__(self, "task_watcher", TaskWatcher(self.services.db, self.services.tuning))
        object.__setattr__(self, "status", StatusReader(self.services.db))
