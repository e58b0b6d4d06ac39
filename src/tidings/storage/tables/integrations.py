# SPDX-License-Identifier: MIT
"""Integrations of applications. Their keys are rows of `api_key`."""

from typing import Final

from tidings.ids import AppId
from tidings.model.integration import Integration
from tidings.model.page import PageWindow
from tidings.storage.drivers.database import (
    Read,
    Row,
    Value,
    Write,
    assigned,
    from_row,
    named,
    names_of,
    names_text,
    to_values,
)
from tidings.storage.tables.key_ranges import bounds_of, end_of

_COLUMNS: Final = "id, org_id, app_id, name, feature_flags, created_at, updated_at"
_FROM: Final = f"SELECT {_COLUMNS} FROM integration WHERE app_id = :app"
_GET: Final = f"{_FROM} AND id = :id"
_LOCK: Final = f"{_GET} FOR UPDATE"
_COUNT: Final = "SELECT count(*) AS n FROM integration WHERE app_id = :app"
_ADD: Final = f"INSERT INTO integration ({_COLUMNS}) VALUES ({named(_COLUMNS)})"
_CHANGE: Final = f"UPDATE integration SET {assigned('name, feature_flags, updated_at')} WHERE id = :id"
_DELETE: Final = "DELETE FROM integration WHERE app_id = :app AND id = :id"
_DELETE_ALL: Final = "DELETE FROM integration WHERE app_id = :app"


async def page(read: Read, app_id: AppId, window: PageWindow) -> list[Integration]:
    """Return a page of the integrations of an application, ordered by id."""
    rows = await read.rows(_FROM + end_of(window, "id"), app=app_id, **bounds_of(window))
    return [_integration(row) for row in rows]


async def get(read: Read, app_id: AppId, integration_id: str) -> Integration | None:
    """Return an integration of an application, or None."""
    row = await read.row(_GET, app=app_id, id=integration_id)
    return None if row is None else _integration(row)


async def lock(tx: Write, app_id: AppId, integration_id: str) -> Integration | None:
    """Return an integration like `get`, and lock its row until the transaction ends."""
    row = await tx.row(_LOCK, app=app_id, id=integration_id)
    return None if row is None else _integration(row)


async def count(read: Read, app_id: AppId) -> int:
    """Return the number of integrations of an application."""
    return int((await read.one(_COUNT, app=app_id))["n"])


async def add(tx: Write, integration: Integration) -> None:
    """Add an integration."""
    await tx.run(_ADD, **_values(integration))


async def change(tx: Write, integration: Integration) -> None:
    """Update the name and the feature flags of an integration."""
    await tx.run(_CHANGE, **_values(integration))


async def delete(tx: Write, app_id: AppId, integration_id: str) -> bool:
    """Delete an integration of an application; return whether there was one."""
    return await tx.run(_DELETE, app=app_id, id=integration_id) == 1


async def delete_all(tx: Write, app_id: AppId) -> None:
    """Delete all integrations of an application."""
    await tx.run(_DELETE_ALL, app=app_id)


def _values(integration: Integration) -> dict[str, Value]:
    return to_values(integration, feature_flags=names_text(integration.feature_flags))


def _integration(row: Row) -> Integration:
    return from_row(Integration, row, feature_flags=names_of(row["feature_flags"]))
