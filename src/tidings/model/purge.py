# SPDX-License-Identifier: MIT
"""How the wish to delete an application's payloads is kept."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeArgs:
    """`edge` is the greatest message id that was there, where that is known at once."""

    edge: str | None = None
