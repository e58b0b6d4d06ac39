# SPDX-License-Identifier: MIT
"""`message.broadcast`: create the same message in every application that existed when the task started.

A chunk creates the messages of some applications and their deliveries, without leases, in one transaction. After the
commit it wakes the dispatcher. An application that already has a message with the event id, or that was deleted
meanwhile, is recorded as skipped with the reason.
"""

import json
from collections.abc import Mapping
from typing import Final

import msgspec

from tidings import ids
from tidings.clock import Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.ids import AppId, MessageId
from tidings.model.broadcast import APPLICATION_DELETED, EVENT_ID_TAKEN, BroadcastArgs
from tidings.model.message import AcceptedMessage, Draft
from tidings.model.results import CREATED, SKIPPED
from tidings.model.task import BROADCAST, Batch, ChunkResult, Plan, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import broadcasts, intake, task_items, usage
from tidings.storage.tables.key_ranges import APPLICATIONS
from tidings.tasks import key_ranges
from tidings.tasks.handler import ReadsAhead
from tidings.tasks.key_ranges import OwnedRange, RangeCursor

CHUNK_BYTES: Final = 1024 * 1024
"""The most bytes of payload in one chunk, unless the chunk has only one application."""

CHUNK_DELIVERIES: Final = 5_000
"""The most deliveries in one chunk, unless the chunk has only one application."""

_args: Final = msgspec.json.Decoder(BroadcastArgs)


class Broadcast(ReadsAhead):
    """Creates one message in many applications."""

    kind = BROADCAST

    def __init__(self, clock: Clock, notifier: Notifier) -> None:
        self._clock = clock
        self._notifier = notifier

    async def plan(self, read: Read, task: Task) -> Plan:
        mark = _args.decode(task.args).high_water_mark
        last = mark if mark is not None else await APPLICATIONS.high_water_mark(read, task.org_id)
        found = OwnedRange(APPLICATIONS, task.org_id, "", key_ranges.after(last))
        return Plan(RangeCursor("", "", last).text, *await found.total(read, limit=key_ranges.COUNT_LIMIT))

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = key_ranges.decode(task.cursor or "")
        payload = await task_items.input_of(read, task.id)
        limit = min(limit, max(1, CHUNK_BYTES // max(1, len(payload))))
        page = await usage.applications(read, task.org_id, after=cursor.first, last=cursor.end, limit=limit)
        is_last = len(page) < limit
        found = [each.id for each in page]
        taken = _fitting(found, await broadcasts.count_enabled_endpoints(read, found))
        after = found[taken - 1] if taken else cursor.first
        following = RangeCursor(after, cursor.lower, cursor.end).text
        return Batch(
            [(each, payload) for each in found[:taken]], taken, following, last=is_last and taken == len(found)
        )

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        args, now = _args.decode(task.args), self._clock.now()
        app_ids = [app_id for app_id, _ in batch.items]
        existing = await broadcasts.existing_apps(tx, app_ids)
        drafted = [_message(task, args, app_id, payload, now) for app_id, payload in batch.items if app_id in existing]
        taken = await intake.claim_event_ids(tx, drafted)
        created: dict[str, str] = {each.app_id: each.id for each in drafted if each.id not in taken}
        if created:
            await intake.add(tx, [each for each in drafted if each.id not in taken])
        await self._send(tx, task, args, created, now)
        failed = {app_id: _reason(app_id in existing) for app_id in app_ids if app_id not in created}
        await task_items.add(tx, [(task.id, app, CREATED, _created_item(app, msg)) for app, msg in created.items()])
        await task_items.add(tx, [(task.id, app, SKIPPED, reason) for app, reason in failed.items()])
        return ChunkResult(len(created), list(failed.items()))

    async def _send(self, tx: Write, task: Task, args: BroadcastArgs, created: dict[str, str], now: int) -> None:
        endpoints = await broadcasts.enabled_endpoints(tx, list(created))
        matching = [each for each in endpoints if each.matches(args.event_type, args.channels)]
        owner = task.org_id
        rows = [(created[each.app_id], each.id, each.app_id, owner, now, task.id) for each in matching]
        await broadcasts.add_deliveries(tx, rows)
        if matching:
            woken = [each.id for each in matching]
            notify_after_commit(tx, lambda: self._notifier.deliveries(woken))

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0


def _fitting(app_ids: list[str], endpoints: Mapping[str, int]) -> int:
    """Return the number of applications in the next chunk: at least one, and within `CHUNK_DELIVERIES`."""
    deliveries = 0
    for count, app_id in enumerate(app_ids):
        deliveries += endpoints.get(app_id, 0)
        if deliveries > CHUNK_DELIVERIES and count:
            return count
    return len(app_ids)


def _message(task: Task, args: BroadcastArgs, app_id: str, payload: bytes, now: int) -> AcceptedMessage:
    draft = Draft(args.event_type, payload, args.event_id, args.channels, args.retention_ms)
    return draft.accepted(MessageId(ids.new(ids.MESSAGE, now)), AppId(app_id), task.org_id, now)


def _reason(exists: bool) -> str:  # noqa: FBT001 - private, with two calls
    return EVENT_ID_TAKEN if exists else APPLICATION_DELETED


def _created_item(app_id: str, msg_id: str) -> str:
    return json.dumps({"appId": app_id, "msgId": msg_id})
