# SPDX-License-Identifier: MIT
"""Downloads in progress: each reads the database for as long as its reader takes it, so there are few at a time."""

from collections import Counter
from collections.abc import Callable, Hashable

from tidings.errors import too_many

PER_SESSION = 2
IN_ALL = 20


class Downloads:
    """The downloads of one process."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: Counter[Hashable] = Counter()

    def begin(self, session: Hashable) -> Callable[[], None]:
        """Count a download, and return the function that ends it; raise `too_many` at a limit."""
        if self._open[session] >= PER_SESSION or self._open.total() >= IN_ALL:
            raise too_many("Too many downloads are in progress. Wait until one is complete.")
        self._open[session] += 1
        is_open = True

        def end() -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                self._open[session] -= 1
                self._open += Counter()  # drops those without downloads

        return end
