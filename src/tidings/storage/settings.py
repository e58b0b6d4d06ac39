# SPDX-License-Identifier: MIT
"""Values that a deployment makes for itself and keeps: the nodes that share a database share them."""

from typing import Final

from tidings.storage.database import Read, Write

_ADD: Final = "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"
_ADVANCE: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE setting.value < excluded.value"
)
_GET: Final = "SELECT value FROM setting WHERE name = :name"


async def find(tx: Read, name: str) -> str | None:
    """Return the value of a setting, if there is one."""
    row = await tx.row(_GET, name=name)
    return None if row is None else str(row["value"])


async def settled(tx: Write, name: str, value: str) -> str:
    """Return the value of a setting: the one given, unless another was there first."""
    await tx.run(_ADD, name=name, value=value)
    row = await tx.one(_GET, name=name)
    return str(row["value"])


async def advance(tx: Write, name: str, value: str) -> None:
    """Set a setting that only ever grows: of what several nodes write, the greatest stays."""
    await tx.run(_ADVANCE, name=name, value=value)
