# SPDX-License-Identifier: MIT
"""`endpoint.recover`: resend every message that failed in a time range and was never delivered.

The range is a range of attempt ids of one endpoint, fixed when the task starts. The task visits its attempts in order.
At the first failed attempt of a message it resends the message, unless a later attempt succeeded or the payload was
deleted. So the task keeps no list of messages, and sends each message once, however often it failed. Attempts that the
task itself causes are after the end of the range.
"""

import msgspec

from tidings import ids
from tidings.model.recovery import RecoverArgs
from tidings.model.task import RECOVER, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import key_ranges, recovery, replays
from tidings.storage.tables.key_ranges import Scanned
from tidings.storage.tables.replays import ReplayTarget
from tidings.tasks.key_ranges import RangeCursor
from tidings.tasks.resending import Resending


class Recover(Resending[RecoverArgs]):
    """Resends the failed messages of one endpoint."""

    kind = RECOVER
    rows = key_ranges.ATTEMPTS
    prefix = ids.ATTEMPT
    args = msgspec.json.Decoder(RecoverArgs)

    def owner(self, task: Task, args: RecoverArgs) -> str:
        del task
        return args.endpoint_id

    async def scan(self, read: Read, task: Task, cursor: RangeCursor, limit: int) -> Scanned:
        endpoint_id = self.args.decode(task.args).endpoint_id
        return await recovery.scan(
            read, endpoint_id, lower=cursor.lower, first=cursor.first, end=cursor.end, limit=limit
        )

    async def send(self, tx: Write, args: RecoverArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        del args
        return await replays.send_failed(tx, target, msg_ids)
