# SPDX-License-Identifier: MIT
"""Following a list: a page that goes on from an iterator towards the newest element skips nothing.

Ids are made inside the transaction that writes them, and those of one process rise. On SQLite, which has one writer,
they are committed in their order. On PostgreSQL a transaction that began earlier may commit later: ids that are no
older than the oldest open transaction are held back, and with several processes those of the last quarter of a second,
as far as their clocks may be apart. An attempt has the timestamp of its start, and is written when it has ended: its
list is held back to the oldest one under way in this process, and by the whole bound where others make attempts, too.

Nothing is held back for longer than ten seconds. First pages are not held back at all: what was just made is there.
"""

from dataclasses import replace
from typing import Final

from tidings.core.services import Services
from tidings.ids import ATTEMPT, first_at
from tidings.model.page import Cursor, PageWindow
from tidings.storage import open_transactions
from tidings.storage.database import Dialect, Read

HELD_MAX_MS: Final = 10_000
"""For how long an element is held back at most."""
_APART_MS: Final = 250
"""How far the clocks of processes may be apart."""


async def settled(services: Services, read: Read, cursor: Cursor, window: PageWindow, prefix: str) -> PageWindow:
    """Return the rows to read without those that others may still come before; to be asked before they are read."""
    if not cursor.follows:
        return window
    now = services.now()
    oldest = services.oldest_attempt() if prefix == ATTEMPT else None
    ends = [] if oldest is None else [oldest]
    if read.dialect is Dialect.POSTGRESQL:
        ends += await _ends(services, read, now, is_attempt=prefix == ATTEMPT)
    if not ends:
        return window
    below = first_at(prefix, max(min(ends), now - HELD_MAX_MS))
    return replace(window, below=below if window.below is None else min(window.below, below))


async def _ends(services: Services, read: Read, now: int, *, is_attempt: bool) -> list[int]:
    """Return the timestamps from which on an id may still be committed; `now` was read before the database is asked."""
    found = await open_transactions.current(read)
    has_others = found.has_others or not getattr(services.db, "keeps_sessions", True)
    apart = _APART_MS if has_others else 0
    ends = [] if found.age is None else [now - found.age - apart]
    if has_others:
        ends.append(now - (HELD_MAX_MS if is_attempt else apart))
    return ends
