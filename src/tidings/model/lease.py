# SPDX-License-Identifier: MIT
"""Numbers of leases. The upper half says which process holds a lease, the lower half counts its leases.

A process has one number for as long as it lives, drawn at random. So no two leases have the same number, which is what
the fence needs, and all leases of a process that is gone can be told at a glance.
"""

import secrets
from typing import Final

_HALF: Final = 31
_LAST: Final = (1 << _HALF) - 1


def new_node() -> int:
    """Draw the number of a process: positive, of 31 bits."""
    return secrets.randbelow(_LAST) + 1


class Leases:
    """The leases of one process."""

    __slots__ = ("_count", "node")

    def __init__(self, node: int) -> None:
        self.node = node
        self._count = 0

    def next(self) -> int:
        """Return a number that no lease has."""
        self._count = (self._count + 1) & _LAST
        return self.node << _HALF | self._count


def leases_of(node: int) -> tuple[int, int]:
    """Return the first and the last number that a process gives its leases."""
    return node << _HALF, node << _HALF | _LAST
