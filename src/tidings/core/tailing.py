# SPDX-License-Identifier: MIT
"""Following a list without gaps: a page that continues toward the newest element skips no element.

Ids are created inside the transaction that writes them, and the ids of one process increase. SQLite has one writer,
which commits them in order. On PostgreSQL a transaction that began earlier may commit later, so a page ends before the
oldest open transaction; with several processes it also ends 250 ms before now, because their clocks may differ. A small
batch there is one statement, whose ids are older: a page ends before the one that this process is committing, and at
least 150 ms before the oldest open transaction, as the connection to a statement may be lost while it continues.

An attempt has the timestamp of its start but is written after its end. So a page of attempts ends before the oldest
attempt in flight in this process; if other processes send too, it ends ten seconds before now.

An open transaction holds an element back for at most ten seconds. After a clock is set back, elements ahead of it are
left out until the clock reaches them. First pages are complete, so a caller sees its own writes immediately.
"""

from dataclasses import replace
from typing import Final

from tidings.core.services import Services
from tidings.ids import ATTEMPT, first_at, new
from tidings.model.page import Cursor, PageWindow
from tidings.storage.drivers.database import Read
from tidings.storage.tables import nodes

_SKEW_MS: Final = 250
"""The largest expected difference between the clocks of processes."""


async def committed_window(
    services: Services, read: Read, cursor: Cursor, window: PageWindow, prefix: str
) -> PageWindow:
    """Return the window up to the first id that an open transaction may still commit; call it before reading rows.

    Each id that this process creates after the call is outside the window. So two writes that begin after the call and
    commit in reverse order, before the rows are read, cannot hide one another.
    """
    is_attempt = prefix == ATTEMPT
    if not cursor.follows or not (is_attempt or not read.has_one_writer):
        return window
    now = services.now()
    below = new(prefix, now)
    oldest = services.oldest_attempt() if is_attempt else services.oldest_message()
    bounds = [] if oldest is None else [oldest]
    if not read.has_one_writer:
        bounds += await _upper_bounds(services, read, now, is_attempt=is_attempt)
    if bounds:
        below = min(below, first_at(prefix, max(min(bounds), now - services.tuning.held_back_ms)))
    return replace(window, below=below if window.below is None else min(window.below, below))


async def _upper_bounds(services: Services, read: Read, now: int, *, is_attempt: bool) -> list[int]:
    """Return the timestamps after which ids may still be committed; `now` must be read before this query."""
    found = await nodes.open_transactions(read)
    has_others = found.has_others or not services.db.keeps_sessions
    skew = _SKEW_MS if has_others else 0
    earlier = max(skew, services.tuning.accept_small_skew_ms)
    bounds = [] if found.age is None else [now - found.age - earlier]
    if has_others:
        bounds.append(now - (services.tuning.held_back_ms if is_attempt else skew))
    return bounds
