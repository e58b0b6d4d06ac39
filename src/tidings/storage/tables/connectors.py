# SPDX-License-Identifier: MIT
"""Queries and writes of the connectors of an organization, with the former versions of their scripts."""

from collections.abc import Sequence
from typing import Final

from tidings.ids import CONNECTOR, ConnectorId, OrgId
from tidings.model.connector import Connector, ConnectorKind, ConnectorProduct, ConnectorVersion
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

_COLUMNS: Final = (
    "id, org_id, uid, name, logo, description, kind, instructions, allowed_event_types, feature_flags, transformation,"
    " version, product_type, created_at, updated_at, transformation_updated_at"
)
_CHANGED: Final = (
    "name, logo, description, kind, instructions, allowed_event_types, feature_flags, transformation, version,"
    " product_type, updated_at, transformation_updated_at"
)
_OF_ORG: Final = f"SELECT {_COLUMNS} FROM connector WHERE org_id = :org"
_BY_ID: Final = f"{_OF_ORG} AND id = :ref"
_BY_UID: Final = f"{_OF_ORG} AND uid = :ref"
_LOCKED: Final = " FOR UPDATE"
# The connectors that a caller with these feature flags sees: those without flags, and those with one of them.
_FLAGGED: Final = (
    " AND (feature_flags IS NULL OR feature_flags = '[]' OR EXISTS (SELECT 1 FROM"
    " items_of(connector.feature_flags) AS flag WHERE flag.value IN :flags))"
)
_OF_PRODUCT: Final = " AND product_type = :product"
_COUNT: Final = "SELECT count(*) AS n FROM connector WHERE org_id = :org"
_ADD: Final = f"""
INSERT INTO connector ({_COLUMNS}) VALUES ({named(_COLUMNS)})
ON CONFLICT (org_id, uid) WHERE uid IS NOT NULL DO NOTHING
"""
_CHANGE: Final = f"UPDATE connector SET {assigned(_CHANGED)} WHERE id = :id"
_DELETE: Final = "DELETE FROM connector WHERE id = :id"
_DELETE_VERSIONS: Final = "DELETE FROM connector_version WHERE connector_id = :id"
_KEEP: Final = (
    "INSERT INTO connector_version (connector_id, version, transformation, created_at)"
    " VALUES (:id, CAST(:version AS INTEGER), :transformation, CAST(:created_at AS BIGINT))"
)
_FORGET: Final = "DELETE FROM connector_version WHERE connector_id = :id AND version <= CAST(:last AS INTEGER)"
_VERSIONS: Final = (
    "SELECT version, transformation, created_at FROM connector_version WHERE connector_id = :id ORDER BY version DESC"
)


async def find(read: Read, org_id: OrgId, ref: str) -> Connector | None:
    """Return a connector by its id or uid, or None. The prefix of `ref` decides which of the two it is."""
    row = await read.row(_by(ref), org=org_id, ref=ref)
    return None if row is None else _connector(row)


async def find_locked(tx: Write, org_id: OrgId, ref: str) -> Connector | None:
    """Return a connector like `find`, and lock its row until the transaction ends."""
    row = await tx.row(_by(ref) + _LOCKED, org=org_id, ref=ref)
    return None if row is None else _connector(row)


def _by(ref: str) -> str:
    return _BY_ID if ref.startswith(CONNECTOR) else _BY_UID


async def page(
    read: Read, org_id: OrgId, window: PageWindow, *, flags: Sequence[str] | None, product: ConnectorProduct | None
) -> list[Connector]:
    """Return a page of an organization's connectors, ordered by id.

    `flags` are the feature flags of the caller; None disables that filter, as it does for `product`.
    """
    conditions = ("" if flags is None else _FLAGGED) + ("" if product is None else _OF_PRODUCT)
    values: dict[str, Value] = {} if product is None else {"product": product.value}
    rows = await read.rows(
        _OF_ORG + conditions + end_of(window, "id"), org=org_id, flags=list(flags or ()), **values, **bounds_of(window)
    )
    return [_connector(row) for row in rows]


async def of_org(tx: Read, org_id: OrgId) -> list[Connector]:
    """Return all connectors of an organization, ordered by id; their number is limited."""
    return [_connector(row) for row in await tx.rows(f"{_OF_ORG} ORDER BY id", org=org_id)]


async def count(read: Read, org_id: OrgId) -> int:
    """Count the connectors of an organization."""
    return int((await read.one(_COUNT, org=org_id))["n"])


async def add(tx: Write, connector: Connector) -> bool:
    """Add a connector and return whether its uid was free."""
    return await tx.run(_ADD, **_values(connector)) == 1


async def change(tx: Write, before: Connector, after: Connector, *, kept: int) -> None:
    """Update a connector. If its script changes, store the former one, and keep the newest `kept` of those."""
    await tx.run(_CHANGE, **_values(after))
    if before.version != after.version:
        await tx.run(
            _KEEP,
            id=before.id,
            version=before.version,
            transformation=before.transformation,
            created_at=before.transformation_updated_at,
        )
        await tx.run(_FORGET, id=before.id, last=before.version - kept)


async def delete(tx: Write, connector_id: ConnectorId) -> None:
    """Delete a connector with its former scripts."""
    await tx.run(_DELETE, id=connector_id)
    await tx.run(_DELETE_VERSIONS, id=connector_id)


async def versions(read: Read, connector_id: ConnectorId) -> list[ConnectorVersion]:
    """Return the former scripts of a connector, the newest first."""
    return [from_row(ConnectorVersion, row) for row in await read.rows(_VERSIONS, id=connector_id)]


def _values(connector: Connector) -> dict[str, Value]:
    return to_values(
        connector,
        kind=connector.kind.value,
        product_type=connector.product_type.value,
        allowed_event_types=names_text(connector.allowed_event_types),
        feature_flags=names_text(connector.feature_flags),
    )


def _connector(row: Row) -> Connector:
    return from_row(
        Connector,
        row,
        kind=ConnectorKind(row["kind"]),
        product_type=ConnectorProduct(row["product_type"]),
        allowed_event_types=names_of(row["allowed_event_types"]),
        feature_flags=names_of(row["feature_flags"]),
    )
