# SPDX-License-Identifier: MIT
"""The pace of deletions in the background: short chunks with rests while the service has other writes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from tidings.core.tuning import CoreTuning
from tidings.storage.drivers.database import Database, retried

_REST: Final = 2.0
"""While foreground writes arrive, the rest after a chunk lasts this many times as long as the chunk took."""
_LEAST: Final = 8
"""The fewest rows of a chunk, unless its maximum is smaller: a transaction costs as much as some rows."""
Result = TypeVar("Result")


class DeletionPace:
    """Runs chunks one after the other, and chooses their size by the time that they take.

    On SQLite other writes wait for the whole chunk; on PostgreSQL it takes the disk and a core from them.
    """

    __slots__ = ("_clock", "_is_busy", "_most", "_seconds", "_took", "rows")

    def __init__(
        self, is_busy: Callable[[], bool], tuning: CoreTuning, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_busy = is_busy
        self._most = most
        self._seconds = tuning.background_chunk_seconds
        self._clock = clock
        self._took = 0.0
        self.rows = min(most, tuning.background_chunk_rows)
        """The size of the next chunk."""

    async def run(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Run a chunk of `rows` rows with retries, choose the size of the next one, and rest.

        The work does its statements in `timed`.
        """
        result = await retried(work)
        is_busy = self._is_busy()
        if is_busy and self._took > self._seconds:
            self.rows = min(self._most, max(_LEAST, int(self.rows * max(0.5, self._seconds / self._took))))
        else:
            self.rows = min(self._most, self.rows + max(1, self.rows // 4))
        await asyncio.sleep(_REST * self._took if is_busy else 0)
        return result

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the statements of a chunk, without the wait for the transaction and for the disk.

        Fewer rows would shorten neither, and a slow disk must not end in chunks of a single row.
        """
        began = self._clock()
        yield
        self._took = self._clock() - began


def pace_of(db: Database, tuning: CoreTuning, most: int) -> DeletionPace:
    """Return the pace of deletions beside the foreground writes of a database, with chunks of at most `most` rows."""
    return DeletionPace(lambda: db.has_foreground_writes, tuning, most)
