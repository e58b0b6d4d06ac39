# SPDX-License-Identifier: MIT
"""The stored arguments of a task that purges an application's payloads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeArgs:
    """`high_water_mark` is the greatest message id, where it is known at once."""

    high_water_mark: str | None = None
