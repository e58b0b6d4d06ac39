# SPDX-License-Identifier: MIT
"""Accept: one transaction and one disk sync store a batch of messages with their deliveries.

A batch starts when the previous one is committed, and takes the messages that arrived in between. So a single message
does not wait, and batches grow with the load. The transaction writes idempotency records, event ids, messages and
deliveries. Callers get their responses after the commit. The deliveries are already leased to this process, so their
first attempts start from memory, without a claim.

Four conditions affect one message of a batch and leave the others untouched. If its application changed after its
routing was compiled, it is routed again before the commit. If its idempotency key is in use, the caller gets the
response of the first request. If its event id is taken, the caller gets a conflict. If its row cannot be written, the
batch is halved until that message is alone.

`accept_queue` has the waiting messages, `accept_batch` the transaction, and `prepared_deliveries` the deliveries.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from tidings import measures
from tidings.clock import Clock
from tidings.core import fan_out
from tidings.core.accept_batch import BatchWriter
from tidings.core.accept_queue import AcceptQueue, PendingMessage
from tidings.core.delivery_sink import NO_DELIVERY, DeliverySink
from tidings.core.prepared_deliveries import PreparedDeliveries
from tidings.core.routing import RoutingCache
from tidings.core.services import AcceptCallback, AcceptResult, HotRequest
from tidings.core.tuning import CoreTuning
from tidings.errors import AppError, not_found, unavailable
from tidings.failpoint import point
from tidings.ids import OrgId
from tidings.model.message import AcceptedMessage, Draft
from tidings.model.routing import Routing
from tidings.observe import RepeatedWork, count, failure
from tidings.storage.drivers.database import Busy, Database, Declined, StorageError, Unavailable, Write
from tidings.storage.drivers.store import Statements, statements

_RETRY_SECONDS: Final = 0.01
"""How long a message that waits for a lock pauses between two tries."""


def _no_callback(_result: AcceptResult) -> None:
    """Do nothing: the caller reads the result itself."""


class AcceptBatcher:
    """Accepts messages for one process."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        routing: RoutingCache,
        sink: DeliverySink = NO_DELIVERY,
        tuning: CoreTuning = CoreTuning(),
    ) -> None:
        self._db = db
        self._clock = clock
        self._routing = routing
        self._sink = sink
        self._tuning = tuning
        self._queue = AcceptQueue(tuning)
        self._writer = BatchWriter(clock, routing, tuning)
        self._statements = statements(db)
        self._work = RepeatedWork("accepting messages")
        self._small_since: int | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._retrying: set[asyncio.Task[None]] = set()

    async def accept(self, request: HotRequest, draft: Draft) -> AcceptedMessage:
        """Store a message with its deliveries; it is durable when this returns.

        Raises `AppError` (no such application, event id taken, database unavailable), and nothing is stored. After
        `unavailable` the message may be stored; repeating the request with the same idempotency key is safe.
        """
        first = self._queue.by_key.get(request.idempotency_key or "")
        if first is not None:
            return await self._await_first(first, request, draft)
        future: asyncio.Future[AcceptedMessage] = asyncio.get_running_loop().create_future()
        if not self.offer(request, draft, lambda result: _resolve(future, result)):
            await self._routing_of(request.org_id, request.app_ref)
            return await self.accept(request, draft)
        return await future

    def offer(self, request: HotRequest, draft: Draft, callback: AcceptCallback) -> bool:
        """Take a message without waiting; `callback` receives the result that `accept` would return or raise.

        Return False if the caller has to use `accept`: the application is not in the cache, or another request with
        the same idempotency key is in progress.
        """
        routing = self._routing.known(request.org_id, request.app_ref)
        if routing is None or request.idempotency_key in self._queue.by_key:
            return False
        item = PendingMessage(request, draft, routing, callback, self._clock.monotonic())
        if routing.is_filtered:
            item.receivers()  # parses the payload now, and not while a transaction is open
        self._queue.add(item)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return True

    async def fitting(self, org_id: OrgId, app_ref: str, drafts: Sequence[Draft]) -> int:
        """Return how many of these messages fit in one transaction, by their deliveries; at least one.

        Raises `AppError` if the request would create too many deliveries. The cached routing may be older than the
        one that the transaction reads; the bound need not be exact.
        """
        return fan_out.fitting(await self._routing_of(org_id, app_ref), drafts, self._tuning)

    def preparing(self) -> PreparedDeliveries:
        """Return a context manager for the deliveries of a transaction; their reservations end with the block."""
        return PreparedDeliveries(self._sink, self._clock)

    async def accept_many(
        self, tx: Write, org_id: OrgId, app_ref: str, drafts: Sequence[Draft], prepared: PreparedDeliveries
    ) -> list[AcceptResult]:
        """Store many messages of one application in an open transaction, each with its own result.

        Raises `AppError` if the application does not exist. The sink receives the deliveries after the commit; a
        retried transaction prepares them again.
        """
        routing = await self._routing_of(org_id, app_ref, tx)
        request, offered_at = HotRequest(org_id, app_ref, None), self._clock.monotonic()
        items = [PendingMessage(request, draft, routing, _no_callback, offered_at) for draft in drafts]
        stored = await self._writer.write(tx, items, prepared)
        tx.after_commit(lambda: _hand_over(stored, prepared))
        return [item.result for item in items]

    async def close(self) -> None:
        """Wait until every accepted message has its result."""
        while self._flushing is not None or self._retrying:
            running = {*self._retrying} if self._flushing is None else {*self._retrying, self._flushing}
            await asyncio.wait(running)

    async def _routing_of(self, org_id: OrgId, app_ref: str, tx: Write | None = None) -> Routing:
        """Return the routing of an application, from the cache if it is there; raise `not_found`."""
        routing = self._routing.known(org_id, app_ref) or await self._routing.load(org_id, app_ref, tx)
        if routing is None:
            raise not_found("Application not found")
        return routing

    async def _await_first(self, first: PendingMessage, request: HotRequest, draft: Draft) -> AcceptedMessage:
        """Wait for the result of the first request with this idempotency key; if it fails, accept this one."""
        future: asyncio.Future[AcceptedMessage] = asyncio.get_running_loop().create_future()
        first.others = [*(first.others or ()), future]
        try:
            async with asyncio.timeout(self._tuning.accept_wait_seconds):
                return await future
        except TimeoutError:
            raise unavailable(
                "A request with the same idempotency key is still in progress; repeat this one later."
            ) from None
        except AppError:
            return await self.accept(request, draft)

    async def _flush(self) -> None:
        try:
            while self._queue:
                await self._commit_or_split([])
        finally:
            self._flushing = None

    async def _commit_or_split(self, batch: list[PendingMessage]) -> None:
        """Commit a batch, or halve it if a message in it cannot be written; an empty batch takes waiting messages."""
        try:
            await self._commit(batch)
        except Unavailable as error:
            self._refuse(batch or self._queue.take_batch(), error)
        except Busy as error:
            await self._commit_later(batch or self._queue.take_batch(), error)
        except Exception as error:  # noqa: BLE001 - the error becomes the result of the message that causes it
            await self._commit_halves(batch or self._queue.take_batch(), error)

    async def _commit(self, batch: list[PendingMessage]) -> None:
        """Commit a batch; an empty batch takes the waiting messages once the transaction is open."""
        if not batch and self._statements is not None and self._queue.is_small(self._tuning.accept_small):
            with suppress(Declined):
                await self._commit_small(self._statements, batch)
                return
        with self.preparing() as prepared:
            async with self._db.write(lock_ms=self._tuning.accept_lock_ms) as tx:
                batch += [] if batch else self._queue.take_batch()
                stored = await self._writer.write(tx, batch, prepared)
                point("accept.before_commit")
            self._finish(batch, stored, prepared)

    async def _commit_small(self, statements: Statements, batch: list[PendingMessage]) -> None:
        """Fill a batch with the waiting messages, and commit it in one statement; raise `Declined` if it is not plain.

        Its ids are older than its transaction, so lists that are followed end before `oldest_message`.
        """
        try:
            with self.preparing() as prepared:
                async with statements() as statement:
                    batch += self._queue.take_batch(self._tuning.accept_small)
                    self._small_since = now = self._clock.now()
                    point("accept.before_commit")
                    stored = await self._writer.write_small(statement, batch, prepared, now)
                self._finish(batch, stored, prepared)
        finally:
            self._small_since = None

    def _finish(self, batch: Sequence[PendingMessage], stored: int, prepared: PreparedDeliveries) -> None:
        """Report the results of a committed batch, and hand over its deliveries."""
        point("accept.after_commit")
        self._work.passed()
        now = self._clock.monotonic()
        measures.accept.add_all([now - item.offered_at for item in batch])
        for item in batch:
            self._report(item, item.result)
        _hand_over(stored, prepared)

    def oldest_message(self) -> int | None:
        """Return the timestamp of the ids in a batch that is being committed in one statement, or None."""
        return self._small_since

    async def _commit_later(self, batch: list[PendingMessage], error: StorageError) -> None:
        """Split a batch that waits for another transaction's lock, so that only the affected message keeps waiting.

        If the lock affects all messages, such as a table lock, every half waits again, up to the deadline.
        """
        since = self._clock.monotonic() - self._tuning.accept_wait_seconds
        self._refuse([item for item in batch if item.offered_at <= since], error)
        batch = [item for item in batch if item.offered_at > since]
        if not batch:
            return
        if len(batch) > 1:
            await self._commit_halves(batch, error)
            return
        waiting = asyncio.create_task(self._retry(batch, error))
        self._retrying.add(waiting)
        waiting.add_done_callback(self._retrying.discard)

    async def _retry(self, batch: list[PendingMessage], error: StorageError) -> None:
        """Retry one message until the lock is released or the deadline passes, while other batches proceed."""
        while self._clock.monotonic() - batch[0].offered_at < self._tuning.accept_wait_seconds:
            await asyncio.sleep(_RETRY_SECONDS)
            try:
                await self._commit(batch)
            except Busy:
                continue
            except Exception as other:  # noqa: BLE001 - the error is the result of this message
                self._refuse(batch, other)
            return
        self._refuse(batch, error)

    async def _commit_halves(self, batch: list[PendingMessage], error: Exception) -> None:
        if len(batch) == 1:
            self._refuse(batch, error)
            return
        middle = len(batch) // 2
        await self._commit_or_split(batch[:middle])
        await self._commit_or_split(batch[middle:])

    def _refuse(self, batch: Sequence[PendingMessage], error: Exception) -> None:
        self._work.failed(error)
        now = self._clock.monotonic()
        measures.accept.add_all([now - item.offered_at for item in batch])
        count("messages.not_stored", len(batch))
        for item in batch:
            self._report(item, unavailable("The message could not be stored."))

    def _report(self, item: PendingMessage, result: AcceptResult) -> None:
        """Report the result to the caller; an error in its callback does not affect other messages."""
        if item.request.idempotency_key is not None:
            self._queue.by_key.pop(item.request.idempotency_key, None)
            for other in item.others or ():
                _resolve(other, result)
        try:
            item.callback(result)
        except Exception as error:  # noqa: BLE001 - the other callers still need their results
            failure("reporting the result of a message", error)


def _hand_over(stored: int, prepared: PreparedDeliveries) -> None:
    """Count the stored messages of a batch, and pass their deliveries to the sink."""
    count("messages.accepted", stored)
    prepared.hand_over()


def _resolve(future: asyncio.Future[AcceptedMessage], result: AcceptResult) -> None:
    """Pass a result to the request that awaits it, unless the request was canceled."""
    if future.done():
        return
    if isinstance(result, AppError):
        future.set_exception(result)
    else:
        future.set_result(result)
