# SPDX-License-Identifier: MIT
"""Lease tokens: the upper 31 bits are the number of the process, the lower 31 bits count its leases.

Each process draws a random number when it starts. So no two leases have the same token, as fencing requires, and one
key range contains all leases of a process that has died.
"""

import secrets
from typing import Final

_HALF: Final = 31
_LAST: Final = (1 << _HALF) - 1


def new_node() -> int:
    """Return a random number for a process: positive, 31 bits."""
    return secrets.randbelow(_LAST) + 1


class Leases:
    """A generator of the lease tokens of one process."""

    __slots__ = ("_count", "node")

    def __init__(self, node: int) -> None:
        self.node = node
        self._count = 0

    def next(self) -> int:
        """Return a token that no lease has."""
        self._count = (self._count + 1) & _LAST
        return self.node << _HALF | self._count


def leases_of(node: int) -> tuple[int, int]:
    """Return the first and the last lease token of a process."""
    return node << _HALF, node << _HALF | _LAST
