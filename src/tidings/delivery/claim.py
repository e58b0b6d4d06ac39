# SPDX-License-Identifier: MIT
"""Claim: lease due rows from the database into memory, and know when to look again.

There is no polling. The claimer sleeps until a moment that it knows (the next due row, the next lapsing lease), until
it is woken (a manual send, a line that has room again), or, on PostgreSQL, until the pulse says that there is work.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.clock import SECOND, Clock
from tidings.core.routing import RoutingCache
from tidings.delivery.queue import Queue
from tidings.delivery.settle import Outcome, SettleBatcher
from tidings.model.delivery import Lane
from tidings.model.routing import Receiver, Send
from tidings.observe import count, failure
from tidings.storage import deliveries, intake
from tidings.storage.database import Busy, Database, Row, Unavailable, Write

_ENDPOINTS: Final = 200
"""Endpoints looked at in one transaction."""
_LAPSED: Final = 500
_BATCH: Final = 1_000
_REPLAY_SHARE: Final = 10
"""One in so many claims is for the replay lane while the live lane has work."""
_PAUSE_SECONDS: Final = 1.0
_LONGEST_SLEEP: Final = 3600.0


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What one pass took."""

    sends: list[Send]
    dropped: list[Send]
    drained: list[str]
    behind: list[str]
    more: bool


class Claimer:
    """Keeps one process's memory filled from the database."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        routing: RoutingCache,
        queue: Queue,
        settler: SettleBatcher,
        *,
        lease_ms: int,
    ) -> None:
        self._db = db
        self._clock = clock
        self._routing = routing
        self._queue = queue
        self._settler = settler
        self._lease_ms = lease_ms
        self._work = asyncio.Event()
        self._next_at: int | None = None
        self._after = ""
        self._urgent = True  # what the process before us left behind
        self._closed = False

    def wake(self) -> None:
        """Look now."""
        self._urgent = True
        self._work.set()

    def due_at(self, moment: int) -> None:
        """Look no later than at a moment."""
        if self._next_at is None or moment < self._next_at:
            self._next_at = moment
            self._work.set()

    def close(self) -> None:
        """Claim nothing more."""
        self._closed = True
        self._work.set()

    async def run(self) -> None:
        """Claim until closed."""
        while not self._closed:
            wait = self._wait()
            if wait > 0:
                await self._sleep(wait)
                continue
            self._urgent = False
            try:
                await self._look()
            except (Unavailable, Busy) as error:
                failure("claiming deliveries", error)
                self._next_at = self._clock.now() + int(_PAUSE_SECONDS * SECOND)

    def _wait(self) -> float:
        """Return how long there is nothing to do, in seconds."""
        if self._urgent:
            return 0
        if self._next_at is None:
            return _LONGEST_SLEEP
        return min((self._next_at - self._clock.now()) / SECOND, _LONGEST_SLEEP)

    async def _sleep(self, seconds: float) -> None:
        self._work.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._work.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        """Claim everything that is due and fits, then learn when there is more."""
        while not self._closed:
            self._next_at = None
            async with self._db.read() as read:
                outlook = await deliveries.outlook(read, self._clock.now())
            if outlook.next_at is not None:
                self.due_at(outlook.next_at)
            if not outlook.due:
                return
            claimed = await self._pass()
            self._queue.take(claimed.sends)
            for send in claimed.dropped:
                self._settler.add(Outcome(send, dropped=True))
            for endpoint_id in claimed.drained:
                self._queue.catch_up(endpoint_id)
            self._queue.fall_behind(claimed.behind)
            if not claimed.more:
                return

    async def _pass(self) -> _Claimed:
        now = self._clock.now()
        async with self._db.write() as tx:
            lapsed = await deliveries.return_lapsed(tx, before=now, now=now, limit=_LAPSED)
            found = await deliveries.due_endpoints(tx, now, after=self._after, limit=_ENDPOINTS)
            wrapped = not found and self._after != ""
            self._after = found[-1][0] if len(found) == _ENDPOINTS else ""
            receivers, abandoned = await self._receivers(tx, found)
            wanted = [(each, room) for each in receivers if (room := self._queue.room(each))]
            rows, lease = await self._lease(tx, wanted, now)
            at = self._clock.monotonic()
            sends, dropped = await self._loaded(tx, rows, receivers, lease, at)
        count("deliveries.claimed", len(sends))
        taken: dict[str, int] = {}
        for row in rows:
            taken[row["endpoint_id"]] = taken.get(row["endpoint_id"], 0) + 1
        drained = [endpoint_id for endpoint_id, room in wanted if taken.get(endpoint_id, 0) < room]
        behind = [each for each in receivers if each not in drained]
        more = bool(rows) or bool(lapsed) or abandoned or wrapped or self._after != ""
        return _Claimed(sends, dropped, drained, behind, more)

    async def _receivers(self, tx: Write, found: Sequence[tuple[str, str, str]]) -> tuple[dict[str, Receiver], bool]:
        """Return who can be sent to; what waits for anybody else is removed, a chunk at a time."""
        receivers = {}
        abandoned = 0
        for endpoint_id, app_id, _ in found:
            receiver = await self._routing.receiver(endpoint_id, app_id, tx)
            if receiver is None:
                abandoned += await deliveries.abandon(tx, endpoint_id, limit=_BATCH)
            else:
                receivers[endpoint_id] = receiver
        count("deliveries.abandoned", abandoned)
        return receivers, abandoned > 0

    async def _lease(self, tx: Write, wanted: list[tuple[str, int]], now: int) -> tuple[list[Row], int]:
        """Lease live rows first; the replay lane gets what is left of each room, and never nothing."""
        lease, until = secrets.randbits(62) + 1, now + self._lease_ms
        if not wanted:
            return [], lease
        live = await deliveries.claim(tx, wanted, lane=Lane.LIVE, lease=lease, now=now, until=until)
        taken: dict[str, int] = {}
        for row in live:
            taken[row["endpoint_id"]] = taken.get(row["endpoint_id"], 0) + 1
        rest = [
            (endpoint_id, max(room - taken.get(endpoint_id, 0), -(-room // _REPLAY_SHARE)))
            for endpoint_id, room in wanted
        ]
        replay = await deliveries.claim(tx, rest, lane=Lane.REPLAY, lease=lease, now=now, until=until)
        return [*live, *replay], lease

    async def _loaded(
        self, tx: Write, rows: list[Row], receivers: dict[str, Receiver], lease: int, at: float
    ) -> tuple[list[Send], list[Send]]:
        """Join claimed rows with their payloads; a message whose payload is gone can never be sent."""
        messages = await intake.stored(tx, list({row["msg_id"] for row in rows})) if rows else {}
        sends: list[Send] = []
        dropped: list[Send] = []
        for row in rows:
            message = messages.get(row["msg_id"])
            payload = None if message is None else message.payload
            send = Send(
                receivers[row["endpoint_id"]],
                row["msg_id"],
                payload or b"",
                lease,
                at,
                row["attempts"],
                bool(row["manual"]),
                row["retry_at"],
                row["task_id"],
            )
            (dropped if payload is None else sends).append(send)
        return sends, dropped
