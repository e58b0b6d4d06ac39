# SPDX-License-Identifier: MIT
"""Idempotency: a request that is sent twice with one key is done once and answered twice alike.

The key's row, the work and the answer commit together, so there is no moment in which the work is done and the key
is free, or the other way round. An error takes all three back, and the next request with that key runs for real.
Inside a process a second request waits for the first; between processes the database makes it wait, on the row that
the first has not committed yet.
"""

import asyncio
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tidings.clock import HOUR, Clock
from tidings.errors import unavailable
from tidings.model.token import Principal
from tidings.storage import idempotency
from tidings.storage.database import Busy, Database, Write, retried

Result = TypeVar("Result")

KEPT_MS: Final = 12 * HOUR
WAIT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered: a status and the bytes of a JSON value, or none."""

    status: int
    body: bytes = b""


def receipt_key(caller: Principal, method: str, path: str, query: bytes, key: bytes) -> str:
    """Return the text under which an answer to a caller is kept; `path` is without trailing slashes."""
    told = f"{caller.org_id}\n{caller.subject}\n{method}\n{path}?".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(b"%b%b\n%b" % (told, query, key)).digest()
    return binascii.b2a_base64(digest, newline=False).decode("ascii")


class Receipts:
    """Does work once for each key."""

    __slots__ = ("_clock", "_db", "_turns")

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._turns: dict[str, _Turn] = {}

    async def kept(self, key: str) -> Answer | None:
        """Return the answer that an earlier request with this key got, for one that would be refused."""
        async with self._db.read() as read:
            found = await idempotency.find_unexpired(read, key, now=self._clock.now())
        return None if found is None else Answer(*found)

    async def once(
        self,
        key: str | None,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Answer],
    ) -> Answer:
        """Do the work in a transaction and answer it, or repeat the answer that was given under this key.

        Without a key the work is simply done. `render` is pure: it may run in vain when the commit fails.
        """
        if key is None:
            return await retried(lambda: self._plainly(work, render))
        turn = self._turns.setdefault(key, _Turn())
        turn.waiting += 1
        try:
            await turn.taken()
            try:
                return await self._patiently(key, work, render)
            finally:
                turn.lock.release()
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                self._turns.pop(key, None)

    async def _plainly(
        self,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Answer],
    ) -> Answer:
        async with self._db.write() as tx:
            return render(await work(tx))

    async def _patiently(
        self,
        key: str,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Answer],
    ) -> Answer:
        """Try while another process holds the key's row, not for ever: the database gives up each wait by itself."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_SECONDS
        while True:
            try:
                return await self._with(key, work, render)
            except Busy:
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _with(
        self,
        key: str,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Answer],
    ) -> Answer:
        async with self._db.write() as tx:
            now = self._clock.now()
            if not await idempotency.claim(tx, key, now=now, expires_at=now + KEPT_MS):
                kept = await idempotency.find(tx, key)
                if kept is None:  # it ran out, or was taken back, between the two statements
                    message = "the idempotency key changed hands"
                    raise Busy(message)
                return Answer(*kept)
            answer = render(await work(tx))
            await idempotency.keep(tx, key, status=answer.status, body=answer.body)
            return answer


@dataclass(slots=True, eq=False)
class _Turn:
    """Who works under a key in this process, and how many want to."""

    lock: asyncio.Lock
    waiting: int

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0

    async def taken(self) -> None:
        """Wait until it is this request's turn, not for ever."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self.lock.acquire()
        except TimeoutError as error:
            raise unavailable("A request with the same idempotency key is still under way.") from error
