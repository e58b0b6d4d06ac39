# SPDX-License-Identifier: MIT
"""Accept: many messages, one transaction, one wait for the disk; then the answer, then the first sends from memory.

A batch starts when the one before it has been committed, and takes what has come in meanwhile: a lone message waits
for nobody, and a flood fills batches by itself. In the transaction come the receipts of idempotency keys, event ids,
messages and deliveries, the last already leased to this process, so that the first send needs no claim.

Four things can go wrong with one message of a batch, and none touches the others: its application has changed since
it was compiled (it is routed anew, before the commit), its receipt is held (the answer given then is repeated), its
event id is taken, or its row cannot be written (the batch is halved until that one stands alone).
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tidings import ids
from tidings.clock import HOUR, Clock
from tidings.core.desk import Outcome, Told
from tidings.core.routing import RoutingCache
from tidings.errors import AppError, conflict, not_found, unavailable
from tidings.failpoint import point
from tidings.ids import MessageId, OrgId
from tidings.model.lease import Leases, new_node
from tidings.model.message import Accepted, Draft, Extras
from tidings.model.routing import Routing, Send
from tidings.observe import count, failure
from tidings.storage import deliveries, intake
from tidings.storage import routing as routings
from tidings.storage.database import Busy, Database, StorageError, Unavailable, Write
from tidings.storage.intake import NewMessage
from tidings.storage.marks import Known

BATCH: Final = 500
RECEIPT_KEPT_MS: Final = 12 * HOUR
PATIENCE_SECONDS: Final = 5.0
LOCK_MS: Final = 100
"""How long a batch waits for a key that another node is at work with, before it is split to find out which."""
_UNNAMED: Final = MessageId("")
EXPIRED: Final = b'{"expired":true}'


@dataclass(frozen=True, slots=True)
class Handover:
    """How accepted deliveries reach delivery. A process without that role has no room for any."""

    leases: Leases
    lease_ms: int
    room: Callable[[str], bool]
    """Whether another delivery to an endpoint fits into memory."""
    take: Callable[[list[Send]], None]
    """Called after the commit."""
    left: Callable[[list[str]], None]
    """Called after the commit with endpoints whose deliveries wait in the database."""
    later: Callable[[int], None]
    """Called after the commit with the first moment to which a delivery was put off."""


def _nobody(_outcome: Outcome) -> None:
    """Stand in for a caller who asks for the outcome himself."""


def _no_room(_endpoint_id: str) -> bool:
    return False


def _ignored(_: object) -> None:
    """Stand in for a delivery role that this process does not have."""


NO_DELIVERY: Final = Handover(Leases(new_node()), 0, _no_room, _ignored, _ignored, _ignored)


@dataclass(slots=True, eq=False)
class _Item:
    """One message on its way through a batch."""

    ref: str
    draft: Draft
    receipt: str | None
    routing: Routing
    id: MessageId
    told: Told
    started: float
    outcome: Outcome | None = None
    others: list[asyncio.Future[Accepted]] | None = None
    """Requests with the same receipt that wait for this one."""


@dataclass(slots=True)
class _Batch:
    """What a transaction has prepared for after its commit."""

    lease: int
    at: float
    """When the lease began, on the monotonic clock."""
    sends: list[Send] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    later: int | None = None


class AcceptBatcher:
    """Accepts messages for one process."""

    def __init__(self, db: Database, clock: Clock, routing: RoutingCache, handover: Handover = NO_DELIVERY) -> None:
        self._db = db
        self._clock = clock
        self._routing = routing
        self._handover = handover
        self._waiting: deque[_Item] = deque()
        self._under_way: dict[str, _Item] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._insisting: set[asyncio.Task[None]] = set()
        self._known = Known()

    async def accept(self, org_id: OrgId, app_ref: str, draft: Draft, receipt: str | None) -> Accepted:
        """Store a message with its deliveries; it is durable when this returns.

        Raises `AppError` (no such application, event id taken, database gone): then nothing is stored. After an
        `unavailable` it may be stored all the same; the same receipt finds out.
        """
        if receipt is not None and receipt in self._under_way:
            return await self._after_the_first(org_id, app_ref, draft, receipt)
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        if not self.offer(org_id, app_ref, draft, receipt, lambda outcome: _resolve(answer, outcome)):
            if await self._routing.load(org_id, app_ref) is None:
                raise not_found("Application not found")
            return await self.accept(org_id, app_ref, draft, receipt)
        return await answer

    def offer(self, org_id: str, app_ref: str, draft: Draft, receipt: str | None, told: Told) -> bool:
        """Take a message at once; `told` hears of it what `accept` returns or raises.

        False when that cannot be done without waiting: the application is not at hand, or another request with the
        same receipt is under way. Then `accept` is the way.
        """
        routing = self._routing.known(org_id, app_ref)
        if routing is None or receipt in self._under_way:
            return False
        item = _Item(app_ref, draft, receipt, routing, _UNNAMED, told, self._clock.monotonic())
        if receipt is not None:
            self._under_way[receipt] = item
        self._waiting.append(item)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return True

    async def accept_many(self, tx: Write, org_id: OrgId, app_ref: str, drafts: Sequence[Draft]) -> list[Outcome]:
        """Store many messages of one application in a transaction that is open, each with an outcome of its own.

        Raises `AppError` if there is no such application. Deliveries are handed over once the transaction commits.
        """
        routing = self._routing.known(org_id, app_ref) or await self._routing.load(org_id, app_ref, tx)
        if routing is None:
            raise not_found("Application not found")
        now, started = self._clock.now(), self._clock.monotonic()
        made = [MessageId(ids.new(ids.MESSAGE, now)) for _ in drafts]
        # Ids of one moment lie in no order; a list of messages is to be read in the order in which it was sent.
        items = [
            _Item(app_ref, draft, None, routing, msg_id, _nobody, started)
            for draft, msg_id in zip(drafts, sorted(made), strict=True)
        ]
        prepared = await self._write(tx, items)
        tx.after_commit(lambda: self._hand_over(items, prepared))
        return [item.outcome or _accepted(item) for item in items]

    async def close(self) -> None:
        """Wait until what was handed in is answered."""
        while self._flushing is not None or self._insisting:
            under_way = {*self._insisting} if self._flushing is None else {*self._insisting, self._flushing}
            await asyncio.wait(under_way)

    async def _after_the_first(self, org_id: OrgId, app_ref: str, draft: Draft, receipt: str) -> Accepted:
        """Wait for the request that came first with this receipt; if it fails, be the first."""
        first = self._under_way[receipt]
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        first.others = [*(first.others or ()), answer]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await answer
        except TimeoutError:
            raise unavailable("A request with the same idempotency key is still under way.") from None
        except AppError:
            return await self.accept(org_id, app_ref, draft, receipt)

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await self._settle([])
        finally:
            self._flushing = None

    def _taken(self) -> list[_Item]:
        """Take what waits, as far as it fits into a batch."""
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    async def _settle(self, batch: list[_Item]) -> None:
        """Commit a batch, halving it while something in it cannot be written; an empty one takes what waits."""
        try:
            await self._commit(batch)
        except Unavailable as error:
            self._refuse(batch or self._taken(), error)
        except Busy as error:
            await self._settle_later(batch or self._taken(), error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one message's, and is told to that one
            await self._settle_halves(batch or self._taken(), error)

    async def _settle_later(self, batch: list[_Item], error: StorageError) -> None:
        """Split a batch that waits for somebody else's lock, so that only one message goes on waiting.

        Where the lock is on all of them, as on a whole table, every half waits anew: nobody does so for long.
        """
        since = self._clock.monotonic() - PATIENCE_SECONDS
        self._refuse([item for item in batch if item.started <= since], error)
        batch = [item for item in batch if item.started > since]
        if not batch:
            return
        if len(batch) > 1:
            await self._settle_halves(batch, error)
            return
        waiting = asyncio.create_task(self._insist(batch, error))
        self._insisting.add(waiting)
        waiting.add_done_callback(self._insisting.discard)

    async def _insist(self, batch: list[_Item], error: StorageError) -> None:
        """Try one message again until somebody else's lock is gone, while the batches behind it go on."""
        while self._clock.monotonic() - batch[0].started < PATIENCE_SECONDS:
            await asyncio.sleep(0.01)
            try:
                await self._commit(batch)
            except Busy:
                continue
            except Exception as other:  # noqa: BLE001 - told to the one message that it belongs to
                self._refuse(batch, other)
            return
        self._refuse(batch, error)

    async def _settle_halves(self, batch: list[_Item], error: Exception) -> None:
        if len(batch) == 1:
            self._refuse(batch, error)
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle])
        await self._settle(batch[middle:])

    def _refuse(self, batch: Sequence[_Item], error: Exception) -> None:
        if not isinstance(error, StorageError):
            failure("accepting a message", error)
        for item in batch:
            self._answer(item, unavailable("The message could not be stored."))

    def _answer(self, item: _Item, outcome: Outcome) -> None:
        """Tell the caller, whose trouble with the answer is no other's."""
        if item.receipt is not None:
            self._under_way.pop(item.receipt, None)
            for other in item.others or ():
                _resolve(other, outcome)
        try:
            item.told(outcome)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the batch is accepted all the same
            failure("answering a message", error)

    async def _commit(self, batch: list[_Item]) -> None:
        """Commit a batch; an empty one is filled once the transaction is open, with what has come by then."""
        for item in batch:
            item.outcome = None
        async with self._db.write(lock_ms=LOCK_MS) as tx:
            batch += [] if batch else self._taken()
            self._name(batch)
            prepared = await self._write(tx, batch)
            point("accept.before_commit")
        point("accept.after_commit")
        for item in batch:
            self._answer(item, item.outcome or _accepted(item))
        self._hand_over(batch, prepared)

    def _name(self, batch: list[_Item]) -> None:
        """Give the messages their ids, no sooner than the transaction is open: whoever follows a list relies on it."""
        now = self._clock.now()
        for item in batch:
            item.id = MessageId(ids.new(ids.MESSAGE, now))

    def _hand_over(self, batch: Sequence[_Item], prepared: _Batch) -> None:
        """Give delivery what was committed."""
        count("messages.accepted", sum(item.outcome is None for item in batch))
        if prepared.sends:
            self._handover.take(prepared.sends)
        if prepared.left:
            self._handover.left(prepared.left)
        if prepared.later is not None:
            self._handover.later(prepared.later)

    async def _write(self, tx: Write, batch: list[_Item]) -> _Batch:
        now = self._clock.now()
        prepared = _Batch(self._handover.leases.next(), self._clock.monotonic())
        open_items = await self._routed(tx, batch)
        rows = {item.id: _row(item, now) for item in open_items}
        open_items = await self._claimed(tx, open_items, rows, now)
        if open_items:
            await intake.add(tx, [rows[item.id] for item in open_items], self._known)
            due = self._deliveries(open_items, prepared, now)
            if due:
                await deliveries.add(tx, due)
        return prepared

    async def _routed(self, tx: Write, batch: list[_Item]) -> list[_Item]:
        """Compare the routing of a batch with the database, and compile anew what has changed."""
        current = await routings.versions(tx, list({item.routing.app_id for item in batch}))
        for item in batch:
            app_id, version = item.routing.app_id, current.get(item.routing.app_id)
            if version == item.routing.version:
                continue
            fresh = self._routing.known(item.routing.org_id, item.ref)  # an item before this one may have compiled it
            if fresh is None or (fresh.app_id, fresh.version) != (app_id, version):
                fresh = await self._routing.load(item.routing.org_id, item.ref, tx)
            if fresh is None:
                self._routing.drop(item.routing.app_id)
                item.outcome = not_found("Application not found")
            else:
                item.routing = fresh
        return [item for item in batch if item.outcome is None]

    async def _claimed(self, tx: Write, items: list[_Item], rows: dict[MessageId, NewMessage], now: int) -> list[_Item]:
        """Claim receipts and event ids; whoever loses one is answered, and writes nothing."""
        mine = [rows[item.id] for item in items]
        held = await intake.claim_receipts(tx, mine, now=now, expires_at=now + RECEIPT_KEPT_MS)
        if held:
            told = await intake.stored(tx, list(held.values()))
            for item in items:
                if item.receipt is not None and item.receipt in held:
                    item.outcome = repeated(held[item.receipt], told.get(held[item.receipt]))
        items = [item for item in items if item.outcome is None]
        taken = await intake.claim_event_ids(tx, [rows[item.id] for item in items])
        if taken:
            lost = [item for item in items if item.id in taken]
            await intake.free_receipts(tx, [item.receipt for item in lost if item.receipt is not None])
            for item in lost:
                item.outcome = conflict()
        return [item for item in items if item.outcome is None]

    def _deliveries(
        self, items: list[_Item], prepared: _Batch, now: int
    ) -> list[tuple[str, str, str, str, int, int | None, int | None]]:
        """Return the delivery rows of a batch: leased where memory has room, else left for whoever claims them."""
        lease, until = prepared.lease, now + self._handover.lease_ms
        rows: list[tuple[str, str, str, str, int, int | None, int | None]] = []
        for item in items:
            routing, draft = item.routing, item.draft
            if draft.extras is not None and draft.extras.deliver_at is not None:
                rows += _put_off(item, draft.extras.deliver_at, prepared)
                continue
            for receiver in routing.match(draft.event_type, draft.channels):
                fits = not receiver.limits and self._handover.room(receiver.id)
                held = (lease, until) if fits else (None, None)
                rows.append((item.id, receiver.id, routing.app_id, routing.org_id, now, *held))
                if fits:
                    prepared.sends.append(Send(receiver, item.id, draft.payload, lease, prepared.at))
                else:
                    prepared.left.append(receiver.id)
        return rows


def _resolve(answer: asyncio.Future[Accepted], outcome: Outcome) -> None:
    """Hand an outcome to whoever waits for it, unless he went away."""
    if answer.done():
        return
    if isinstance(outcome, AppError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _put_off(
    item: _Item, due_at: int, prepared: _Batch
) -> list[tuple[str, str, str, str, int, int | None, int | None]]:
    """Return the delivery rows of a message that is to be sent later: nobody holds them meanwhile."""
    routing, draft = item.routing, item.draft
    prepared.later = due_at if prepared.later is None else min(prepared.later, due_at)
    receivers = routing.match(draft.event_type, draft.channels)
    return [(item.id, each.id, routing.app_id, routing.org_id, due_at, None, None) for each in receivers]


_as_json: Final = lru_cache(maxsize=1_024)(json.dumps)
"""Most messages go to few sets of channels."""


def _row(item: _Item, now: int) -> NewMessage:
    draft = item.draft
    return NewMessage(
        item.id,
        item.routing.app_id,
        item.routing.org_id,
        draft.event_type,
        draft.event_id,
        None if draft.channels is None else _as_json(draft.channels),
        draft.payload,
        draft.expires_at(now),
        item.receipt,
        draft.extras,
    )


def _accepted(item: _Item) -> Accepted:
    draft = item.draft
    return Accepted(item.id, draft.event_type, draft.payload, draft.event_id, draft.channels, draft.extras)


def repeated(msg_id: str | None, message: intake.StoredMessage | None) -> Outcome:
    """Return the answer that was given to the first request with this receipt."""
    if msg_id is None or message is None:
        return conflict("This idempotency key was used, and what it made is gone.")
    channels = None if message.channels is None else tuple(json.loads(message.channels))
    tags = None if message.tags is None else tuple(json.loads(message.tags))
    payload = EXPIRED if message.payload is None else message.payload
    extras = Extras(tags, message.deliver_at, is_raw=message.is_raw and message.payload is not None)
    return Accepted(MessageId(msg_id), message.event_type, payload, message.event_id, channels, extras)
