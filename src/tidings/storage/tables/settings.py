# SPDX-License-Identifier: MIT
"""Values that an installation generates and stores, shared by all nodes on the database."""

from typing import Final

from tidings.storage.drivers.database import Read, Write

_ADD: Final = "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"
_ADVANCE: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE setting.value < excluded.value"
)
_GET: Final = "SELECT value FROM setting WHERE name = :name"


async def find(tx: Read, name: str) -> str | None:
    """Return the value of a setting, or None."""
    row = await tx.row(_GET, name=name)
    return None if row is None else str(row["value"])


async def get_or_set(tx: Write, name: str, value: str) -> str:
    """Store the value of a setting unless it has one; return the stored value."""
    await tx.run(_ADD, name=name, value=value)
    row = await tx.one(_GET, name=name)
    return str(row["value"])


async def advance(tx: Write, name: str, value: str) -> None:
    """Raise the value of a setting that never decreases: if several nodes write it, the greatest value remains."""
    await tx.run(_ADVANCE, name=name, value=value)
