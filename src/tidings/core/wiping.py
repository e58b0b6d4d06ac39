# SPDX-License-Identifier: MIT
"""Deleting for good what an organisation has, and messages of long ago: in chunks, beside whatever else goes on."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tidings.clock import HOUR
from tidings.core import retention
from tidings.ids import MESSAGE, OrgId, first_at
from tidings.storage import marks, partitions, wiping
from tidings.storage.database import Database, Write, retried

Result = TypeVar("Result")


async def wipe(db: Database, org_id: OrgId, *, chunk: int) -> Counter[str]:
    """Delete all that an organisation has; return how much of what it was. Repeated after a break, it goes on."""
    gone: Counter[str] = Counter()
    async with db.read() as read:
        apps = await wiping.applications(read, org_id)
    for app_id in apps:
        await _wipe_application(db, app_id, chunk, gone)
    while tasks := await _in_one(db, lambda tx: wiping.drop_tasks(tx, org_id, chunk)):
        gone["tasks"] += tasks
    await _in_one(db, lambda tx: wiping.drop_rest(tx, org_id))
    return gone


async def prune(db: Database, before: int, now: int, *, chunk: int) -> Counter[str]:
    """Delete the messages made before a moment, their attempts, and the payloads whose time is over of the rest."""
    gone = await _prune(db, before, chunk)
    ended = min(before, now) - HOUR  # nothing that is made now belongs there, whatever other clocks say
    await _prune_marks(db, ended, chunk)
    await partitions.drop_empty(db, ended)
    gone["payloads"] = await retention.expire(db, now)
    return gone


async def _prune(db: Database, before: int, chunk: int) -> Counter[str]:
    gone: Counter[str] = Counter()
    below = first_at(MESSAGE, before)
    while True:
        async with db.read() as read:
            found = await wiping.messages_below(read, below, chunk)
        if not found:
            return gone
        await _drop_messages(db, found, gone)


async def _prune_marks(db: Database, before: int, chunk: int) -> None:
    """Delete the marks of stretches that ended before a moment; what is written now is never of such a stretch."""
    first = marks.stretch_of(first_at(MESSAGE, before))
    last = ("", "", "")
    while True:
        async with db.read() as read:
            found = await marks.after(read, last, limit=chunk)
        if not found:
            return
        last = found[-1]
        await _drop_marks(db, [each for each in found if each[2] < first])


async def _drop_marks(db: Database, found: list[marks.Mark]) -> None:
    if found:
        await _in_one(db, lambda tx: marks.drop(tx, found))


async def _wipe_application(db: Database, app_id: str, chunk: int, gone: Counter[str]) -> None:
    while True:
        async with db.read() as read:
            found = await wiping.messages_of(read, app_id, chunk)
            endpoints = await wiping.endpoints(read, app_id)
        if not found:
            break
        await _drop_messages(db, found, gone)
    for endpoint_id in endpoints:
        await _drop_attempts(db, endpoint_id, chunk, gone)
    for owner in (app_id, *endpoints):
        await _wipe_marks(db, owner, chunk)
    await _in_one(db, lambda tx: wiping.drop_application(tx, app_id, endpoints))
    gone["applications"] += 1
    gone["endpoints"] += len(endpoints)


async def _wipe_marks(db: Database, owner: str, chunk: int) -> None:
    while True:
        async with db.read() as read:
            found = await marks.of_owner(read, owner, limit=chunk)
        if not found:
            return
        await _drop_marks(db, found)


async def _drop_attempts(db: Database, endpoint_id: str, chunk: int, gone: Counter[str]) -> None:
    while left := await _in_one(db, lambda tx: wiping.drop_attempts(tx, endpoint_id, chunk)):
        gone["attempts"] += left


async def _drop_messages(db: Database, msg_ids: list[str], gone: Counter[str]) -> None:
    attempts, messages = await _in_one(db, lambda tx: wiping.drop_messages(tx, msg_ids))
    gone["attempts"] += attempts
    gone["messages"] += messages


async def _in_one(db: Database, work: Callable[[Write], Awaitable[Result]]) -> Result:
    """Do something in a transaction of its own."""

    async def done() -> Result:
        async with db.write() as tx:
            return await work(tx)

    return await retried(done)
