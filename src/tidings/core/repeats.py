# SPDX-License-Identifier: MIT
"""The answer to a message that was accepted before, for a repetition that would be refused.

An accepted message needs no look-up: its transaction claims the idempotency key. So the key is looked up only here.
"""

from tidings.core.incoming import repeated
from tidings.core.services import Outcome, Services
from tidings.storage import intake


async def find(services: Services, receipt: str) -> Outcome | None:
    """Return what the first request with this idempotency key got, or None if there was none."""
    async with services.db.read() as read:
        msg_id = await intake.holder(read, receipt, now=services.now())
        if msg_id is None:
            return None
        found = await intake.stored(read, [msg_id])
    return repeated(msg_id, found.get(msg_id))
