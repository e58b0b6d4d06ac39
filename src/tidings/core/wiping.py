# SPDX-License-Identifier: MIT
"""Wiping an organization and pruning old messages, in chunks that do not block other writes."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tidings.clock import HOUR
from tidings.core import retention, rollups
from tidings.ids import MANAGEMENT_ORG, MESSAGE, OrgId, first_at, timestamp_of
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Database, Write, retried
from tidings.storage.tables import api_keys, apps, bucket_index, deletion
from tidings.storage.tables import rollups as rollup_rows

Result = TypeVar("Result")


async def wipe(db: Database, org_id: OrgId, *, chunk: int) -> Counter[str]:
    """Delete an organization and everything in it; return the counts. A repeated call resumes an interrupted wipe."""
    deleted: Counter[str] = Counter()
    # First, so that the programs of the organization write nothing more meanwhile.
    await _in_transaction(db, lambda tx: api_keys.delete_of_org(tx, org_id))
    async with db.read() as read:
        own = await deletion.applications(read, org_id)
    for app_id in own:
        await _wipe_application(db, app_id, chunk, deleted)
    while await _in_transaction(db, lambda tx: rollup_rows.delete_of_org(tx, org_id, limit=chunk)):
        pass
    while tasks := await _in_transaction(db, lambda tx: deletion.delete_tasks(tx, org_id, chunk)):
        deleted["tasks"] += tasks
    await _in_transaction(db, lambda tx: deletion.delete_rest(tx, org_id))
    # After its events, which could become messages of this application.
    async with db.read() as read:
        operational = await apps.find(read, MANAGEMENT_ORG, org_id)
    if operational is not None:
        app_id = operational.id
        while await _in_transaction(db, lambda tx: rollup_rows.delete_of_app(tx, MANAGEMENT_ORG, app_id, limit=chunk)):
            pass
        await _wipe_application(db, app_id, chunk, Counter())
    return deleted


@dataclass(slots=True)
class PruneCount:
    """The messages, attempts and deliveries from before a timestamp, and the messages with pending deliveries."""

    messages: int = 0
    attempts: int = 0
    deliveries: Counter[str] = field(default_factory=Counter)
    """Pending deliveries by endpoint."""
    with_deliveries: int = 0


async def count_prunable(db: Database, before: int, *, chunk: int) -> PruneCount:
    """Count the rows that `prune` would delete or keep, without writing."""
    before = await _limited_by_mark(db, before)
    old = PruneCount()
    async for found in _messages_before(db, before, chunk):
        async with db.read() as read:
            old.attempts += await deletion.count_attempts(read, found)
            old.deliveries.update(await deletion.count_deliveries(read, found))
            old.with_deliveries += len(await deletion.with_deliveries(read, found))
        old.messages += len(found)
    return old


async def prune(db: Database, before: int, now: int, *, chunk: int, deliveries: bool = False) -> Counter[str]:
    """Delete messages created before a timestamp with their attempts, and expired payloads of all other messages.

    Messages with pending deliveries stay unless `deliveries` is set; the count `kept` has their number. Messages of
    the last hours stay until rollups have their attempts.
    """
    before = await _limited_by_mark(db, before)
    deleted: Counter[str] = Counter()
    oldest_kept = None
    async for found in _messages_before(db, before, chunk):
        kept = await _prune_messages(db, found, deleted, deliveries=deliveries)
        oldest_kept = min([*kept, oldest_kept] if oldest_kept else kept, default=None)
    ended = min(before, now) - HOUR  # an hour covers the clock skew, so no new row belongs there
    # The bucket index must keep the entries of the remaining messages and of their attempts, which are newer.
    await prune_bucket_index(db, ended if oldest_kept is None else min(ended, timestamp_of(oldest_kept)), chunk)
    await store.drop_empty_partitions(db, ended)
    deleted["payloads"] = await retention.expire(db, now)
    return deleted


async def _limited_by_mark(db: Database, before: int) -> int:
    async with db.read() as read:
        return await rollups.limited_by_mark(read, before)


async def _messages_before(db: Database, before: int, chunk: int) -> AsyncIterator[list[str]]:
    """Yield the ids of messages created before a timestamp, in order, in chunks."""
    below, after = first_at(MESSAGE, before), ""
    while True:
        async with db.read() as read:
            found = await deletion.messages_below(read, below, chunk, after=after)
        if not found:
            return
        yield found
        after = found[-1]


async def _prune_messages(db: Database, found: list[str], deleted: Counter[str], *, deliveries: bool) -> set[str]:
    """Delete messages, those with pending deliveries only if `deliveries` is set; return the remaining ones."""

    async def work(tx: Write) -> tuple[dict[str, int], set[str]]:
        kept = set() if deliveries else await deletion.with_deliveries(tx, found)
        return await deletion.delete_messages(tx, [each for each in found if each not in kept]), kept

    removed, kept = await _in_transaction(db, work)
    deleted.update(removed)
    deleted["kept"] += len(kept)
    return kept


async def prune_bucket_index(db: Database, before: int, chunk: int) -> None:
    """Delete the entries of time buckets that ended before a timestamp; new rows never belong to such a bucket."""
    first = bucket_index.bucket_of(first_at(MESSAGE, before))
    last = ("", "", "")
    while True:
        async with db.read() as read:
            found = await bucket_index.after(read, last, limit=chunk)
        if not found:
            return
        last = found[-1]
        await _delete_entries(db, [each for each in found if each[2] < first])


async def _delete_entries(db: Database, found: list[bucket_index.Entry]) -> None:
    if found:
        await _in_transaction(db, lambda tx: bucket_index.delete(tx, found))


async def _wipe_application(db: Database, app_id: str, chunk: int, deleted: Counter[str]) -> None:
    while True:
        async with db.read() as read:
            found = await deletion.messages_of(read, app_id, chunk)
            endpoints = await deletion.endpoints(read, app_id)
        if not found:
            break
        await _delete_messages(db, found, deleted)
    for endpoint_id in endpoints:
        await _delete_attempts(db, endpoint_id, chunk, deleted)
    for owner in (app_id, *endpoints):
        await _wipe_bucket_index(db, owner, chunk)
    await _in_transaction(db, lambda tx: deletion.delete_application(tx, app_id, endpoints))
    deleted["applications"] += 1
    deleted["endpoints"] += len(endpoints)


async def _wipe_bucket_index(db: Database, owner: str, chunk: int) -> None:
    while True:
        async with db.read() as read:
            found = await bucket_index.of_owner(read, owner, limit=chunk)
        if not found:
            return
        await _delete_entries(db, found)


async def _delete_attempts(db: Database, endpoint_id: str, chunk: int, deleted: Counter[str]) -> None:
    while count := await _in_transaction(db, lambda tx: deletion.delete_attempts(tx, endpoint_id, chunk)):
        deleted["attempts"] += count


async def _delete_messages(db: Database, msg_ids: list[str], deleted: Counter[str]) -> None:
    deleted.update(await _in_transaction(db, lambda tx: deletion.delete_messages(tx, msg_ids)))


async def _in_transaction(db: Database, work: Callable[[Write], Awaitable[Result]]) -> Result:
    """Run work in a transaction of its own, with retries."""

    async def transaction() -> Result:
        async with db.write(background=True) as tx:
            return await work(tx)

    return await retried(transaction)
