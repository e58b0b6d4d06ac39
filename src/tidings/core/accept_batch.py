# SPDX-License-Identifier: MIT
"""The transaction that stores a batch of messages: idempotency records, event ids, messages and deliveries."""

import asyncio
from collections.abc import Sequence

from tidings import ids
from tidings.clock import Clock
from tidings.core.accept_queue import PendingMessage
from tidings.core.idempotency import RETENTION_MS
from tidings.core.prepared_deliveries import PreparedDeliveries
from tidings.core.repeats import repeated
from tidings.core.routing import RoutingCache
from tidings.core.tuning import CoreTuning
from tidings.errors import conflict, not_found
from tidings.ids import MessageId
from tidings.storage.drivers.database import Declined, OneStatement, Write
from tidings.storage.tables import idempotency, intake
from tidings.storage.tables import routing as routings
from tidings.storage.tables.bucket_index import BucketIndexCache
from tidings.storage.tables.intake import DeliveryRow, SmallBatch


class BatchWriter:
    """Writes batches of messages in open transactions."""

    def __init__(self, clock: Clock, routing: RoutingCache, tuning: CoreTuning) -> None:
        self._clock = clock
        self._routing = routing
        self._chunk = tuning.accept_chunk
        self._skew_ms = tuning.accept_small_skew_ms
        self._bucket_cache = BucketIndexCache()

    async def write(self, tx: Write, batch: Sequence[PendingMessage], prepared: PreparedDeliveries) -> int:
        """Write a batch, and set the result of each message; return the number of messages that are stored.

        The results are valid once the transaction has committed.
        """
        now = self._clock.now()
        prepared.start()
        items = await self._route(tx, batch)
        _assign_ids(items, now)
        items = await _claim_keys(tx, items, now)
        items = await _claim_event_ids(tx, items)
        if items:
            await intake.add(tx, [item.message for item in items], self._bucket_cache)
            await self._add_deliveries(tx, items, prepared, now)
        for item in items:
            item.result = item.message
        return len(items)

    async def write_small(
        self, statement: OneStatement, batch: Sequence[PendingMessage], prepared: PreparedDeliveries, now: int
    ) -> int:
        """Write a batch in one statement, and set the results; return the number of messages, which are all stored.

        Raises `Declined` if the batch is not plain; then nothing is written.
        """
        versions: dict[str, int] = {item.routing.app_id: item.routing.version for item in batch}
        if any(item.routing.version != versions[item.routing.app_id] for item in batch):
            raise Declined("the routing of an application changed while its messages waited")
        prepared.start()
        _assign_ids(batch, now)
        small = SmallBatch(
            versions,
            _claims(batch),
            now + RETENTION_MS,
            [item.message for item in batch],
            [row for item in batch for row in prepared.rows(item.message, item.receivers(), now)],
            now,
        )
        await intake.add_small(statement, small, cache=self._bucket_cache, skew_ms=self._skew_ms)
        for item in batch:
            item.result = item.message
        return len(batch)

    async def _route(self, tx: Write, batch: Sequence[PendingMessage]) -> list[PendingMessage]:
        """Compare the routing of a batch with the database, recompile changed applications, return routed messages."""
        current = await routings.versions(tx, list({item.routing.app_id for item in batch}))
        routed: list[PendingMessage] = []
        for item in batch:
            if current.get(item.routing.app_id) == item.routing.version or await self._reroute(tx, item, current):
                routed.append(item)
            else:
                item.result = not_found("Application not found")
        return routed

    async def _reroute(self, tx: Write, item: PendingMessage, current: dict[str, int]) -> bool:
        """Recompile the routing of a message whose application changed; return False if the application is deleted."""
        app_id, request = item.routing.app_id, item.request
        fresh = self._routing.known(request.org_id, request.app_ref)  # an earlier item may have compiled it
        if fresh is None or (fresh.app_id, fresh.version) != (app_id, current.get(app_id)):
            fresh = await self._routing.load(request.org_id, request.app_ref, tx)
        if fresh is None:
            self._routing.drop(app_id)
            return False
        item.routing = fresh
        return True

    async def _add_deliveries(
        self, tx: Write, items: Sequence[PendingMessage], prepared: PreparedDeliveries, now: int
    ) -> None:
        """Add the deliveries of a batch in chunks, and yield to the event loop after each: a batch can have many.

        All chunks belong to one transaction: a batch is stored with all of its deliveries or not at all.
        """
        due: list[DeliveryRow] = []
        for item in items:
            due += prepared.rows(item.message, item.receivers(), now)
            if item.routing.is_filtered:
                await asyncio.sleep(0)
            while len(due) > self._chunk:
                await intake.add_deliveries(tx, due[: self._chunk])
                del due[: self._chunk]
                await asyncio.sleep(0)
        if due:
            await intake.add_deliveries(tx, due)


def _assign_ids(items: Sequence[PendingMessage], now: int) -> None:
    """Create the messages. Their ids are new while the transaction is open, as `tailing` requires for followed lists.

    Ids of one timestamp are in random order; sorted ids make lists show the messages in request order.
    """
    new_ids = sorted([ids.new(ids.MESSAGE, now) for _ in items])
    for item, new in zip(items, new_ids, strict=True):
        routing = item.routing
        item.message = item.draft.accepted(MessageId(new), routing.app_id, routing.org_id, now)


def _claims(items: Sequence[PendingMessage]) -> dict[str, str]:
    """Return the idempotency keys of messages, with the ids of the messages."""
    return {key: item.message.id for item in items if (key := item.request.idempotency_key) is not None}


async def _claim_keys(tx: Write, items: list[PendingMessage], now: int) -> list[PendingMessage]:
    """Claim idempotency keys; return the messages without a key or with a free one."""
    claims = _claims(items)
    held = await idempotency.claim_for_messages(tx, claims, now=now, expires_at=now + RETENTION_MS)
    if not held:
        return items
    stored = await intake.stored(tx, list(held.values()))
    free: list[PendingMessage] = []
    for item in items:
        msg_id = held.get(item.request.idempotency_key or "")
        if msg_id is None:
            free.append(item)
        else:
            item.result = repeated(stored.get(msg_id))
    return free


async def _claim_event_ids(tx: Write, items: list[PendingMessage]) -> list[PendingMessage]:
    """Claim event ids; return the messages without one or with a free one. The others release their keys."""
    taken = await intake.claim_event_ids(tx, [item.message for item in items])
    if not taken:
        return items
    lost = [item for item in items if item.message.id in taken]
    keys = [item.request.idempotency_key for item in lost]
    await idempotency.release(tx, [key for key in keys if key is not None])
    for item in lost:
        item.result = conflict()
    return [item for item in items if item.message.id not in taken]
