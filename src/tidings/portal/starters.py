# SPDX-License-Identifier: MIT
"""What the pages need of the kinds of tasks: functions that build a task from the values of a form.

The kinds are declared above `core`, in `tasks/kinds`, so the server passes these functions in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tidings.core.services import Services
from tidings.core.tasks import BuildTask
from tidings.model.app import App
from tidings.model.resending import ReplayFilters
from tidings.model.token import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendForm:
    """Which messages of an endpoint to resend; timestamps in milliseconds."""

    endpoint_ref: str
    since: int
    until: int | None = None
    rate_limit: int | None = None
    """The most messages per second."""
    filters: ReplayFilters = field(default_factory=ReplayFilters)
    """Only for the kind that has filters."""


StartOnEndpoint = Callable[[Services, Principal, App, ResendForm], BuildTask]
"""Returns the function that builds a task in the transaction that starts it."""


@dataclass(frozen=True, slots=True)
class TaskStarters:
    """The tasks that pages start, by the name of their kind."""

    on_endpoint: Mapping[str, StartOnEndpoint]


NO_STARTERS: Final = TaskStarters({})
