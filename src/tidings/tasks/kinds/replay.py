# SPDX-License-Identifier: MIT
"""`endpoint.replay` and `endpoint.bulk-replay`: send messages that an endpoint missed, or resend its messages.

Both kinds visit the messages of an application in a fixed range, in the order of their ids, each once.
`endpoint.replay` sends a message that matches the current filters of the endpoint and has neither an attempt nor an
outstanding delivery. `endpoint.bulk-replay` resends a message that has at least one attempt, successful or not, and
matches the filters of the request. Messages whose payload was deleted are recorded as skipped.
"""

import msgspec

from tidings import ids
from tidings.model.resending import ReplayArgs
from tidings.model.task import BULK_REPLAY, REPLAY, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import key_ranges, replays
from tidings.storage.tables.key_ranges import Scanned
from tidings.storage.tables.replays import MessageRange, ReplayTarget
from tidings.tasks.key_ranges import RangeCursor
from tidings.tasks.resending import Resending


class Replay(Resending[ReplayArgs]):
    """Sends the messages that one endpoint was never sent."""

    kind = REPLAY
    rows = key_ranges.MESSAGES
    prefix = ids.MESSAGE
    args = msgspec.json.Decoder(ReplayArgs)

    def owner(self, task: Task, args: ReplayArgs) -> str:
        del args
        return task.app_id or ""

    async def scan(self, read: Read, task: Task, cursor: RangeCursor, limit: int) -> Scanned:
        part = MessageRange(task.app_id or "", cursor.first, cursor.end, limit)
        return await self.scan_messages(read, self.args.decode(task.args), part)

    async def scan_messages(self, read: Read, args: ReplayArgs, part: MessageRange) -> Scanned:
        """Scan the next messages of the application."""
        return await replays.missing(read, args.endpoint_id, part)

    async def send(self, tx: Write, args: ReplayArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        del args
        return await replays.send_missing(tx, target, msg_ids)


class BulkReplay(Replay):
    """Resends messages that one endpoint was sent before."""

    kind = BULK_REPLAY

    async def scan_messages(self, read: Read, args: ReplayArgs, part: MessageRange) -> Scanned:
        return await replays.sent(read, args.endpoint_id, part, args.filters)

    async def send(self, tx: Write, args: ReplayArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        return await replays.send_any(tx, target, msg_ids, args.filters.status)
