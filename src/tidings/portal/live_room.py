# SPDX-License-Identifier: MIT
"""The room for streams of live parts: how many a session, an owner and a process have, and whose turn is next."""

import asyncio
from collections import Counter
from collections.abc import Hashable

from tidings.errors import too_many


class LiveRoom:
    """Counts the streams of one process by session and by owner, whose data they show."""

    __slots__ = ("_in_all", "_of_owner", "_of_session", "_owners", "_sessions", "_turns")

    def __init__(self, *, in_all: int, of_session: int, of_owner: int) -> None:
        self._in_all, self._of_session, self._of_owner = in_all, of_session, of_owner
        self._sessions: Counter[Hashable] = Counter()
        self._owners: Counter[Hashable] = Counter()
        self._turns: dict[Hashable, asyncio.Lock] = {}

    @property
    def total(self) -> int:
        """The number of open streams."""
        return self._sessions.total()

    def require(self, session: Hashable, owner: Hashable) -> None:
        """Raise `too_many` if the process, the owner or the session has its maximum of streams."""
        is_full = owner is not None and self._owners[owner] >= self._of_owner
        if is_full or self.total >= self._in_all:
            raise too_many("Too many live pages are open; reload this page to see its present state.")
        if self._sessions[session] >= self._of_session:
            raise too_many("You have too many live pages open; close some of them.")

    def join(self, session: Hashable, owner: Hashable) -> None:
        """Count a stream."""
        self._sessions[session] += 1
        self._owners[owner] += 1

    def leave(self, session: Hashable, owner: Hashable) -> None:
        """Count a stream no longer."""
        for counted, name in ((self._sessions, session), (self._owners, owner)):
            counted[name] -= 1
            if not counted[name]:
                del counted[name]
        if owner not in self._owners:
            self._turns.pop(owner, None)

    def turn_of(self, owner: Hashable) -> asyncio.Lock:
        """Return the lock of an owner: its holder alone waits for the next turn, so that owners take turns."""
        return self._turns.setdefault(owner, asyncio.Lock())
