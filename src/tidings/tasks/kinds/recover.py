# SPDX-License-Identifier: MIT
"""`endpoint.recover`: send every message again that failed in a window and never got through.

The range is a stretch of attempt ids of one endpoint, closed when the task begins. Each attempt in it is visited in
order; a message is sent again at the first of its failures, unless it has succeeded since or its payload is gone.
So no list of messages is kept, a message comes once however often it failed, and attempts that the task itself
causes lie behind the end of the range.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from tidings import ids
from tidings.clock import Clock
from tidings.core.wake import Wake
from tidings.model.delivery import Lane, Mode
from tidings.model.recovery import MESSAGES_SENT, RecoverArgs
from tidings.model.task import RECOVER, Batch, Permanent, Plan, Tally, Task
from tidings.storage import deliveries, recovery
from tidings.storage.database import Read, Write
from tidings.storage.deliveries import Again
from tidings.storage.recovery import Verdict

COUNTED_AT_MOST: Final = 200_000
"""Attempts that are counted one by one when a task begins; what is more is estimated."""

PAYLOAD_GONE: Final = "payload_expired"


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The range `[lower, beyond)` of attempt ids, and the place reached in it."""

    first: str
    lower: str
    beyond: str


_args: Final = msgspec.json.Decoder(RecoverArgs)
_cursor: Final = msgspec.json.Decoder(_Cursor)


def _text(cursor: _Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


def _behind(identifier: str) -> str:
    """Return the least text that sorts behind an id: a longer one, which no id is."""
    return identifier + "0"


class Recover:
    """Sends failed messages of one endpoint again."""

    kind = RECOVER

    def __init__(self, clock: Clock, wake: Wake) -> None:
        self._clock = clock
        self._wake = wake

    async def plan(self, read: Read, task: Task) -> Plan:
        args = _args.decode(task.args)
        lower = ids.first_at(ids.ATTEMPT, args.since)
        if args.until is not None:
            beyond = ids.first_at(ids.ATTEMPT, args.until)
        else:
            edge = args.edge if args.edge is not None else await recovery.edge(read, args.endpoint_id)
            beyond = _behind(edge)
        counted, last = await recovery.count(read, args.endpoint_id, lower, beyond, limit=COUNTED_AT_MOST)
        cursor = _text(_Cursor(lower, lower, beyond))
        if counted < COUNTED_AT_MOST or last is None:
            return Plan(cursor, counted, exact=True)
        return Plan(cursor, _estimate(counted, lower, last, beyond))

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        place = _cursor.decode(task.cursor or "")
        found = await recovery.scan(
            read,
            _args.decode(task.args).endpoint_id,
            lower=place.lower,
            first=place.first,
            beyond=place.beyond,
            limit=limit,
        )
        first = place.first if found.last_id is None else _behind(found.last_id)
        cursor = _text(_Cursor(first, place.lower, place.beyond))
        return Batch(found.asking, found.count, cursor, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> Tally:
        endpoint_id = _args.decode(task.args).endpoint_id
        await _require_receiver(tx, endpoint_id)
        sent = await self._send(tx, task, endpoint_id, [msg_id for msg_id, does in batch.items if does is Verdict.SEND])
        skipped = [(msg_id, PAYLOAD_GONE) for msg_id, does in batch.items if does is Verdict.GONE]
        return Tally(batch.scanned - len(skipped), skipped, {MESSAGES_SENT: sent}, made=sent)

    async def _send(self, tx: Write, task: Task, endpoint_id: str, msg_ids: Sequence[str]) -> int:
        if not msg_ids:
            return 0
        missing = await recovery.undelivered(tx, endpoint_id, msg_ids)
        sends = [
            Again(
                msg_id=msg_id,
                endpoint_id=endpoint_id,
                app_id=task.app_id or "",
                org_id=task.org_id,
                lane=Lane.REPLAY,
                mode=Mode.UNLESS_DELIVERED,
                task_id=task.id,
            )
            for msg_id in missing
        ]
        await deliveries.send_again(tx, sends, self._clock.now())
        tx.after_commit(lambda: self._wake.deliveries([endpoint_id]))
        return len(sends)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await deliveries.backlog(read, _args.decode(task.args).endpoint_id, limit=limit)


async def _require_receiver(tx: Write, endpoint_id: str) -> None:
    disabled = await recovery.is_disabled(tx, endpoint_id)
    if disabled is None:
        raise Permanent("endpoint_deleted", "The endpoint was deleted while the task was under way.")
    if disabled:
        raise Permanent("endpoint_disabled", "The endpoint was disabled while the task was under way.")


def _estimate(counted: int, lower: str, last: str, beyond: str) -> int:
    """Guess how many there are in all, as if they were spread evenly in time."""
    since = ids.moment_of(lower)
    whole = ids.moment_of(beyond[: len(lower)]) - since
    part = max(ids.moment_of(last) - since, ids.STEP_MS)
    return max(counted, round(counted * whole / part))
