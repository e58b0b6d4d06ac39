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
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tidings import ids
from tidings.clock import Clock
from tidings.core.delivery_sink import NO_DELIVERY, DeliverySink, Prepared
from tidings.core.idempotency import RETENTION_MS
from tidings.core.incoming import DueRow, PendingMessage, accepted, fan_out, repeated, row, scheduled_rows
from tidings.core.routing import RoutingCache
from tidings.core.services import AcceptCallback, AcceptResult
from tidings.errors import AppError, bad_request, conflict, not_found, unavailable
from tidings.failpoint import point
from tidings.ids import MessageId, OrgId
from tidings.model.delivery import Delivery
from tidings.model.message import AcceptedMessage, Draft
from tidings.model.routing import Receiver
from tidings.observe import count, failure
from tidings.storage.drivers.database import Busy, Database, StorageError, Unavailable, Write
from tidings.storage.tables import deliveries, intake
from tidings.storage.tables import routing as routings
from tidings.storage.tables.bucket_index import BucketIndexCache
from tidings.storage.tables.intake import NewMessage

BATCH: Final = 500
WAIT_SECONDS: Final = 5.0
LOCK_MS: Final = 100
"""How long a batch waits for an idempotency key that another node holds, before it is split to isolate the message."""
_UNNAMED: Final = MessageId("")
CHUNK: Final = 2_000
"""Deliveries written in one iteration of the event loop."""
FAN_OUT_MAX: Final = 500_000
"""The most deliveries that the messages of one request may create."""
FAN_OUT: Final = 10_000
"""A batch with this many deliveries takes no further message."""


def _no_callback(_result: AcceptResult) -> None:
    """Do nothing: the caller reads the result itself."""


class AcceptBatcher:
    """Accepts messages for one process."""

    def __init__(self, db: Database, clock: Clock, routing: RoutingCache, sink: DeliverySink = NO_DELIVERY) -> None:
        self._db = db
        self._clock = clock
        self._routing = routing
        self._sink = sink
        self._waiting: deque[PendingMessage] = deque()
        self._by_key: dict[str, PendingMessage] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._retrying: set[asyncio.Task[None]] = set()
        self._bucket_cache = BucketIndexCache()

    async def accept(self, org_id: OrgId, app_ref: str, draft: Draft, idempotency_key: str | None) -> AcceptedMessage:
        """Store a message with its deliveries; it is durable when this returns.

        Raises `AppError` (no such application, event id taken, database unavailable), and nothing is stored. After
        `unavailable` the message may be stored; repeating the request with the same idempotency key is safe.
        """
        if idempotency_key is not None and idempotency_key in self._by_key:
            return await self._await_first(org_id, app_ref, draft, idempotency_key)
        future: asyncio.Future[AcceptedMessage] = asyncio.get_running_loop().create_future()
        if not self.offer(org_id, app_ref, draft, idempotency_key, lambda result: _resolve(future, result)):
            if await self._routing.load(org_id, app_ref) is None:
                raise not_found("Application not found")
            return await self.accept(org_id, app_ref, draft, idempotency_key)
        return await future

    def offer(
        self, org_id: str, app_ref: str, draft: Draft, idempotency_key: str | None, callback: AcceptCallback
    ) -> bool:
        """Take a message without waiting; `callback` receives the result that `accept` would return or raise.

        Return False if the caller has to use `accept`: the application is not in the cache, or another request with
        the same idempotency key is in progress.
        """
        routing = self._routing.known(org_id, app_ref)
        if routing is None or idempotency_key in self._by_key:
            return False
        item = PendingMessage(app_ref, draft, idempotency_key, routing, _UNNAMED, callback, self._clock.monotonic())
        if idempotency_key is not None:
            self._by_key[idempotency_key] = item
        self._waiting.append(item)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return True

    async def fitting(self, org_id: OrgId, app_ref: str, drafts: Sequence[Draft]) -> int:
        """Return how many of these messages fit in one transaction, by their deliveries; at least one.

        Raises `AppError` if the request would create too many deliveries. The cached routing may be older than the
        one that the transaction reads; the bound need not be exact.
        """
        routing = self._routing.known(org_id, app_ref) or await self._routing.load(org_id, app_ref)
        if routing is None:
            raise not_found("Application not found")
        fan_outs = [fan_out(routing, draft) for draft in drafts]
        _require_bounded(sum(fan_outs))
        total = 0
        for index, deliveries_of_message in enumerate(fan_outs):
            total += deliveries_of_message
            if total > FAN_OUT and index:
                return index
        return len(drafts)

    @contextmanager
    def preparing(self) -> Iterator[Prepared]:
        """Yield the deliveries that a transaction prepares; their reservations end with the block."""
        prepared = Prepared()
        try:
            yield prepared
        finally:
            self._release(prepared)

    async def accept_many(
        self, tx: Write, org_id: OrgId, app_ref: str, drafts: Sequence[Draft], prepared: Prepared
    ) -> list[AcceptResult]:
        """Store many messages of one application in an open transaction, each with its own result.

        Raises `AppError` if the application does not exist. The sink receives the deliveries after the commit; a
        retried transaction prepares them again.
        """
        self._release(prepared)
        routing = self._routing.known(org_id, app_ref) or await self._routing.load(org_id, app_ref, tx)
        if routing is None:
            raise not_found("Application not found")
        now, started = self._clock.now(), self._clock.monotonic()
        made = [MessageId(ids.new(ids.MESSAGE, now)) for _ in drafts]
        # Ids of one timestamp are in random order; sorted ids make lists show the messages in request order.
        items = [
            PendingMessage(app_ref, draft, None, routing, msg_id, _no_callback, started)
            for draft, msg_id in zip(drafts, sorted(made), strict=True)
        ]
        await self._write(tx, items, prepared)
        tx.after_commit(lambda: self._enqueue(items, prepared))
        return [item.result or accepted(item) for item in items]

    async def close(self) -> None:
        """Wait until every accepted message has its result."""
        while self._flushing is not None or self._retrying:
            running = {*self._retrying} if self._flushing is None else {*self._retrying, self._flushing}
            await asyncio.wait(running)

    async def _await_first(self, org_id: OrgId, app_ref: str, draft: Draft, idempotency_key: str) -> AcceptedMessage:
        """Wait for the result of the first request with this idempotency key; if it fails, accept this one."""
        first = self._by_key[idempotency_key]
        future: asyncio.Future[AcceptedMessage] = asyncio.get_running_loop().create_future()
        first.others = [*(first.others or ()), future]
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await future
        except TimeoutError:
            raise unavailable(
                "A request with the same idempotency key is still in progress; repeat this one later."
            ) from None
        except AppError:
            return await self.accept(org_id, app_ref, draft, idempotency_key)

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await self._commit_or_split([])
        finally:
            self._flushing = None

    def _next_batch(self) -> list[PendingMessage]:
        """Take waiting messages, up to the batch limits on messages and deliveries."""
        waiting = self._waiting
        limit = min(BATCH, len(waiting))
        deliveries = taken = 0
        while taken < limit and deliveries < FAN_OUT:
            deliveries += fan_out(waiting[taken].routing, waiting[taken].draft)
            taken += 1
        return [waiting.popleft() for _ in range(taken)]

    async def _commit_or_split(self, batch: list[PendingMessage]) -> None:
        """Commit a batch, or halve it if a message in it cannot be written; an empty batch takes waiting messages."""
        try:
            await self._commit(batch)
        except Unavailable as error:
            self._refuse(batch or self._next_batch(), error)
        except Busy as error:
            await self._commit_later(batch or self._next_batch(), error)
        except Exception as error:  # noqa: BLE001 - the error becomes the result of the message that causes it
            await self._commit_halves(batch or self._next_batch(), error)

    async def _commit_later(self, batch: list[PendingMessage], error: StorageError) -> None:
        """Split a batch that waits for another transaction's lock, so that only the affected message keeps waiting.

        If the lock affects all messages, such as a table lock, every half waits again, up to the deadline.
        """
        since = self._clock.monotonic() - WAIT_SECONDS
        self._refuse([item for item in batch if item.started <= since], error)
        batch = [item for item in batch if item.started > since]
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
        while self._clock.monotonic() - batch[0].started < WAIT_SECONDS:
            await asyncio.sleep(0.01)
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
        if not isinstance(error, StorageError):
            failure("accepting a message", error)
        for item in batch:
            self._report(item, unavailable("The message could not be stored."))

    def _report(self, item: PendingMessage, result: AcceptResult) -> None:
        """Report the result to the caller; an error in its callback does not affect other messages."""
        if item.idempotency_key is not None:
            self._by_key.pop(item.idempotency_key, None)
            for other in item.others or ():
                _resolve(other, result)
        try:
            item.callback(result)
        except Exception as error:  # noqa: BLE001 - the other callers still need their results
            failure("reporting the result of a message", error)

    async def _commit(self, batch: list[PendingMessage]) -> None:
        """Commit a batch; an empty batch takes the waiting messages once the transaction is open."""
        for item in batch:
            item.result = None
        with self.preparing() as prepared:
            async with self._db.write(lock_ms=LOCK_MS) as tx:
                batch += [] if batch else self._next_batch()
                self._assign_ids(batch)
                await self._write(tx, batch, prepared)
                point("accept.before_commit")
            point("accept.after_commit")
            for item in batch:
                self._report(item, item.result or accepted(item))
            self._enqueue(batch, prepared)

    def _assign_ids(self, batch: list[PendingMessage]) -> None:
        """Assign ids while the transaction is open, as `tailing` requires for clients that follow a list."""
        now = self._clock.now()
        for item in batch:
            item.id = MessageId(ids.new(ids.MESSAGE, now))

    def _enqueue(self, batch: Sequence[PendingMessage], prepared: Prepared) -> None:
        """Pass the committed deliveries to the sink."""
        count("messages.accepted", sum(item.result is None for item in batch))
        sends, spilled, scheduled_at = prepared.sends, prepared.spilled, prepared.scheduled_at
        self._release(prepared)
        if sends:
            self._sink.enqueue(sends)
        if spilled:
            self._sink.notify_backlog(list(spilled))
        if scheduled_at is not None:
            self._sink.schedule_at(scheduled_at)

    def _release(self, prepared: Prepared) -> None:
        """Release the reservations of a batch and clear its sends."""
        if prepared.sends or prepared.payload_bytes:
            self._sink.release(len(prepared.sends), prepared.payload_bytes)
        prepared.clear()

    async def _write(self, tx: Write, batch: list[PendingMessage], prepared: Prepared) -> None:
        now = self._clock.now()
        prepared.lease, prepared.at = self._sink.leases.next(), self._clock.monotonic()
        open_items = await self._route(tx, batch)
        rows = {item.id: row(item, now) for item in open_items}
        open_items = await self._claim(tx, open_items, rows, now)
        if open_items:
            await intake.add(tx, [rows[item.id] for item in open_items], self._bucket_cache)
            await self._add_deliveries(tx, open_items, prepared, now)

    async def _add_deliveries(self, tx: Write, items: list[PendingMessage], prepared: Prepared, now: int) -> None:
        """Add the deliveries of a batch in chunks, and yield to the event loop after each: a batch can have many.

        All chunks belong to one transaction: a batch is stored with all of its deliveries or not at all.
        """
        due: list[DueRow] = []
        for item in items:
            due += self._deliveries(item, prepared, now)
            while len(due) > CHUNK:
                await deliveries.add(tx, due[:CHUNK])
                del due[:CHUNK]
                await asyncio.sleep(0)
        if due:
            await deliveries.add(tx, due)

    async def _route(self, tx: Write, batch: list[PendingMessage]) -> list[PendingMessage]:
        """Compare the routing of a batch with the database, recompile changed applications, return routed messages."""
        current = await routings.versions(tx, list({item.routing.app_id for item in batch}))
        for item in batch:
            app_id, version = item.routing.app_id, current.get(item.routing.app_id)
            if version == item.routing.version:
                continue
            fresh = self._routing.known(item.routing.org_id, item.ref)  # an earlier item may have compiled it
            if fresh is None or (fresh.app_id, fresh.version) != (app_id, version):
                fresh = await self._routing.load(item.routing.org_id, item.ref, tx)
            if fresh is None:
                self._routing.drop(item.routing.app_id)
                item.result = not_found("Application not found")
            else:
                item.routing = fresh
        return [item for item in batch if item.result is None]

    async def _claim(
        self, tx: Write, items: list[PendingMessage], rows: dict[MessageId, NewMessage], now: int
    ) -> list[PendingMessage]:
        """Claim idempotency keys and event ids; return the messages that hold theirs."""
        mine = [rows[item.id] for item in items]
        held = await intake.claim_idempotency_keys(tx, mine, now=now, expires_at=now + RETENTION_MS)
        if held:
            stored = await intake.stored(tx, list(held.values()))
            for item in items:
                if item.idempotency_key is not None and item.idempotency_key in held:
                    item.result = repeated(held[item.idempotency_key], stored.get(held[item.idempotency_key]))
        items = [item for item in items if item.result is None]
        taken = await intake.claim_event_ids(tx, [rows[item.id] for item in items])
        if taken:
            lost = [item for item in items if item.id in taken]
            await intake.release_idempotency_keys(
                tx, [item.idempotency_key for item in lost if item.idempotency_key is not None]
            )
            for item in lost:
                item.result = conflict()
        return [item for item in items if item.result is None]

    def _deliveries(self, item: PendingMessage, prepared: Prepared, now: int) -> list[DueRow]:
        """Return the delivery rows of a message: leased if the sink has capacity, otherwise spilled to the database."""
        lease, until = prepared.lease, now + self._sink.lease_ms
        routing, draft = item.routing, item.draft
        if draft.extras is not None and draft.extras.deliver_at is not None:
            return scheduled_rows(item, draft.extras.deliver_at, prepared)
        receivers = routing.match(draft.event_type, draft.channels)
        is_large = len(draft.payload) > self._sink.large
        has_capacity = not is_large or (bool(receivers) and self._has_capacity(draft, prepared))
        rows: list[DueRow] = []
        for receiver in receivers:
            fits = has_capacity and not receiver.limits and self._sink.has_capacity(receiver.id)
            if fits and is_large:
                fits = self._has_capacity_for_copy(draft, receiver, prepared)
            held = (lease, until) if fits else (None, None)
            rows.append((item.id, receiver.id, routing.app_id, routing.org_id, now, *held))
            if fits:
                prepared.sends.append(Delivery(receiver, item.id, draft.payload, lease, prepared.at))
            else:
                prepared.spilled.add(receiver.id)
        return rows

    def _has_capacity(self, draft: Draft, prepared: Prepared) -> bool:
        """Reserve memory for a large payload that all its deliveries share; return whether it fits."""
        reserved = self._sink.reserve_payload(len(draft.payload))
        prepared.payload_bytes += reserved or 0
        return reserved is not None

    def _has_capacity_for_copy(self, draft: Draft, receiver: Receiver, prepared: Prepared) -> bool:
        """Reserve memory for the encrypted copy of a large payload; if it does not fit, release the delivery's slot."""
        reserved = self._sink.reserve_copy(len(draft.payload), receiver)
        prepared.payload_bytes += reserved or 0
        if reserved is None:
            self._sink.release(1, 0)
        return reserved is not None


def _require_bounded(found: int) -> None:
    """Refuse a request with too many deliveries, because memory and one transaction hold them all."""
    if found > FAN_OUT_MAX:
        raise bad_request(
            "too_many_deliveries",
            f"The batch would create {found:,} deliveries, and one request creates at most {FAN_OUT_MAX:,}."
            " Send fewer messages in each batch.",
        )


def _resolve(future: asyncio.Future[AcceptedMessage], result: AcceptResult) -> None:
    """Pass a result to the request that awaits it, unless the request was canceled."""
    if future.done():
        return
    if isinstance(result, AppError):
        future.set_exception(result)
    else:
        future.set_result(result)
