# SPDX-License-Identifier: MIT
"""The stored arguments of a task that purges an application's payloads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeArgs:
    """The task's arguments; `high_water_mark` is the greatest message id, None if not known at creation."""

    high_water_mark: str | None = None
