# SPDX-License-Identifier: MIT
"""How the wish to delete an application's payloads is kept."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeArgs:
    """`high_water_mark` is the greatest message id, where it is known at once."""

    high_water_mark: str | None = None
