# SPDX-License-Identifier: MIT
"""Lookup of the stored result of an accepted message, for a repeated request that would otherwise be refused.

Accept needs no lookup, because its transaction claims the idempotency key. Only refused requests use this one.
"""

from tidings.core.incoming import repeated
from tidings.core.services import AcceptResult, Services
from tidings.storage.tables import intake


async def find(services: Services, idempotency_key: str) -> AcceptResult | None:
    """Return the result of the first request with this idempotency key, or None if there was none."""
    async with services.db.read() as read:
        msg_id = await intake.holder(read, idempotency_key, now=services.now())
        if msg_id is None:
            return None
        found = await intake.stored(read, [msg_id])
    return repeated(msg_id, found.get(msg_id))
