# SPDX-License-Identifier: MIT
"""Idempotency: a request repeated with the same key runs once; both calls get the same response.

The idempotency record, the work and the response commit together, so neither the work nor the record exists without
the other. An error rolls all three back, and the next request with that key runs the work.

In one process a second request waits for the first on a lock; across processes it waits in the database, on the row
that the first has not committed yet.
"""

import asyncio
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tidings.clock import HOUR, Clock
from tidings.core.tuning import CoreTuning
from tidings.errors import unavailable
from tidings.model.token import Principal
from tidings.storage.drivers.database import Busy, Database, Write, retried
from tidings.storage.tables import idempotency

Result = TypeVar("Result")

RETENTION_MS: Final = 12 * HOUR
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Response:
    """A response: a status code, and a body of JSON or no body."""

    status: int
    body: bytes = b""


def scoped_key(caller: Principal, method: str, path: str, query: bytes, key: bytes) -> str:
    """Return the idempotency key in the scope of its caller and request; `path` has no trailing slash."""
    scope = f"{caller.org_id}\n{caller.subject}\n{method}\n{path}?".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(b"%b%b\n%b" % (scope, query, key)).digest()
    # Half of the digest: these keys arrive in no order, so each insert changes another page of the index.
    return binascii.b2a_base64(digest[:16], newline=False)[:22].decode("ascii")


class Idempotency:
    """Runs work once for each idempotency key."""

    __slots__ = ("_clock", "_db", "_locks", "_wait_seconds")

    def __init__(self, db: Database, clock: Clock, tuning: CoreTuning = CoreTuning()) -> None:
        self._db = db
        self._clock = clock
        self._wait_seconds = tuning.idempotency_wait_seconds
        self._locks: dict[str, _KeyLock] = {}

    async def find(self, key: str) -> Response | None:
        """Return the stored response of an earlier request with this key, or None."""
        async with self._db.read() as read:
            found = await idempotency.find(read, key, now=self._clock.now())
        return None if found is None else Response(*found)

    async def once(
        self,
        key: str | None,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Response],
    ) -> Response:
        """Run the work in a transaction and render its response, or return the response stored under this key.

        Without a key the work always runs. `render` is pure: the commit may fail after it has run.
        """
        if key is None:
            return await retried(lambda: self._without_key(work, render))
        lock = self._locks.setdefault(key, _KeyLock())
        lock.waiting += 1
        try:
            await lock.acquire(self._wait_seconds)
            try:
                return await self._with_retries(key, work, render)
            finally:
                lock.lock.release()
        finally:
            lock.waiting -= 1
            if not lock.waiting:
                self._locks.pop(key, None)

    async def _without_key(
        self,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Response],
    ) -> Response:
        async with self._db.write() as tx:
            return render(await work(tx))

    async def _with_retries(
        self,
        key: str,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Response],
    ) -> Response:
        """Retry while another process holds the key's row, up to a deadline; the database limits each wait."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait_seconds
        while True:
            try:
                return await self._once(key, work, render)
            except Busy:
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _once(
        self,
        key: str,
        work: Callable[[Write], Awaitable[Result]],
        render: Callable[[Result], Response],
    ) -> Response:
        async with self._db.write() as tx:
            now = self._clock.now()
            if not await idempotency.claim(tx, key, now=now, expires_at=now + RETENTION_MS):
                stored = await idempotency.find(tx, key)
                if stored is None:  # the record expired or was rolled back between the two statements
                    message = "the idempotency record disappeared between two statements"
                    raise Busy(message)
                return Response(*stored)
            response = render(await work(tx))
            await idempotency.keep(tx, key, status=response.status, body=response.body)
            return response


@dataclass(slots=True, eq=False)
class _KeyLock:
    """The lock of one key in this process, and the number of requests that hold or await it."""

    lock: asyncio.Lock
    waiting: int

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0

    async def acquire(self, seconds: float) -> None:
        """Acquire the lock; raise `unavailable` if that takes too long."""
        try:
            async with asyncio.timeout(seconds):
                await self.lock.acquire()
        except TimeoutError as error:
            raise unavailable(
                "A request with the same idempotency key is still in progress; repeat this one later."
            ) from error
