# SPDX-License-Identifier: MIT
"""The statement that purges the payloads of an application's messages, one range of ids at a time."""

from typing import Final

from tidings.storage.drivers.database import Write

_PURGE: Final = (
    "UPDATE message SET payload = NULL WHERE app_id = :app AND id >= :first AND id <= :last AND payload IS NOT NULL"
)


async def purge(tx: Write, app_id: str, first: str, last: str) -> int:
    """Delete the payloads of the messages with `first <= id <= last`; return how many there were."""
    return await tx.run(_PURGE, app=app_id, first=first, last=last)
