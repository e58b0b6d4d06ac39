# SPDX-License-Identifier: MIT
"""The stored result of an accepted message, for a repeated request that would otherwise be refused.

Accept needs no `find`, because its transaction claims the idempotency key. Only refused requests use it.
"""

from tidings.core.services import AcceptResult, Services
from tidings.errors import conflict
from tidings.model.message import AcceptedMessage
from tidings.storage.tables import idempotency, intake


async def find(services: Services, idempotency_key: str) -> AcceptResult | None:
    """Return the result of the first request with this idempotency key, or None if there was none."""
    async with services.db.read() as read:
        msg_id = await idempotency.message_of(read, idempotency_key, now=services.now())
        if msg_id is None:
            return None
        found = await intake.stored(read, [msg_id])
    return repeated(found.get(msg_id))


def repeated(first: AcceptedMessage | None) -> AcceptResult:
    """Return the result of a request whose idempotency key a message has; None means that it was deleted since."""
    if first is None:
        return conflict("This idempotency key was used for a message that was deleted since; use a new key.")
    return first
