# SPDX-License-Identifier: MIT
"""Use cases of connectors: create, replace, update, delete, get and list.

The built-in connectors come with the release: every organization sees them, and no request
changes them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tidings.core import built_in_connectors
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.transformations import compile_script
from tidings.errors import AppError, bad_request, conflict, not_found
from tidings.ids import CONNECTOR, ConnectorId, OrgId, new
from tidings.model.connector import (
    CONNECTORS_MAX,
    VERSIONS_KEPT,
    Connector,
    ConnectorDraft,
    ConnectorProduct,
    ConnectorVersion,
)
from tidings.model.page import Cursor, Order, Page, PageWindow
from tidings.model.token import Principal
from tidings.sandbox.pool import is_installed
from tidings.storage.drivers.database import Busy, Read, Write, retried
from tidings.storage.tables import connectors


@dataclass(frozen=True, slots=True)
class UpsertedConnector:
    """The connector that an upsert returns, and whether the upsert created it."""

    connector: Connector
    is_new: bool


@dataclass(frozen=True, slots=True)
class ConnectorEdit:
    """A change to a connector: its new state without its version and timestamps, as a function of the current one."""

    apply: Callable[[Connector], Connector]
    script: str | None
    """The script that the change sets, if any."""


async def create(
    services: Services,
    org_id: OrgId,
    draft: ConnectorDraft,
    *,
    idempotency_key: str | None,
    render: Callable[[Connector], Response],
) -> Response:
    """Create a connector; refuse a script that does not compile."""
    await require_compiling(services, org_id, draft.transformation)

    async def work(tx: Write) -> Connector:
        await require_room(tx, org_id, 1)
        connector = from_draft(org_id, draft, services.now())
        if not await connectors.add(tx, connector):
            raise conflict()
        return connector

    return await services.idempotency.once(idempotency_key, work, render)


async def put(
    services: Services,
    org_id: OrgId,
    ref: str,
    draft: ConnectorDraft,
    *,
    require_uid: Callable[[], None],
    render: Callable[[UpsertedConnector], Response],
) -> Response:
    """Replace a connector, except its uid and product; create it with the uid of the draft if it does not exist.

    `require_uid` raises the error for a uid that a new connector cannot have.
    """
    _refuse_built_in(org_id, ref)
    await require_compiling(services, org_id, draft.transformation)

    async def work(tx: Write) -> UpsertedConnector:
        before = await connectors.find_locked(tx, org_id, ref)
        if before is None:
            require_uid()
            await require_room(tx, org_id, 1)
            connector = from_draft(org_id, draft, services.now())
            if await connectors.add(tx, connector):
                return UpsertedConnector(connector, is_new=True)
            # Another request has just created it. A retry would lose to the next deletion.
            before = await connectors.find_locked(tx, org_id, ref)
        if before is None:
            raise Busy("another request has just deleted the connector")  # the retry creates it
        after = rewritten(before, overwritten(before, draft), services.now())
        await connectors.change(tx, before, after, kept=VERSIONS_KEPT)
        return UpsertedConnector(after, is_new=False)

    return await services.idempotency.once(None, work, render)


async def change(
    services: Services, org_id: OrgId, ref: str, edit: ConnectorEdit, *, render: Callable[[Connector], Response]
) -> Response:
    """Apply an edit to a connector."""
    _refuse_built_in(org_id, ref)
    if edit.script is not None:
        await require_compiling(services, org_id, edit.script)

    async def work(tx: Write) -> Connector:
        before = await connectors.find_locked(tx, org_id, ref)
        if before is None:
            raise not_found()
        after = rewritten(before, edit.apply(before), services.now())
        await connectors.change(tx, before, after, kept=VERSIONS_KEPT)
        return after

    return await services.idempotency.once(None, work, render)


async def delete(services: Services, org_id: OrgId, ref: str) -> None:
    """Delete a connector; endpoints keep the scripts that they got from it."""
    _refuse_built_in(org_id, ref)

    async def work() -> None:
        async with services.db.write() as tx:
            found = await connectors.find_locked(tx, org_id, ref)
            if found is None:
                raise not_found()
            await connectors.delete(tx, found.id)

    await retried(work)


async def get(services: Services, principal: Principal, ref: str) -> Connector:
    """Return a connector by its id or uid; raise `not_found` if the caller may not see it."""
    async with services.db.read() as read:
        return await visible(read, principal, ref)


async def visible(read: Read, principal: Principal, ref: str) -> Connector:
    """Return a connector like `get`, within a transaction."""
    connector = built_in_connectors.find(principal.org_id, ref) or await connectors.find(read, principal.org_id, ref)
    if connector is None or not principal.may_see(connector.feature_flags):
        raise not_found()
    return connector


async def versions(services: Services, org_id: OrgId, ref: str) -> list[ConnectorVersion]:
    """Return the scripts of a connector, the present one first."""
    built_in = built_in_connectors.find(org_id, ref)
    if built_in is not None:
        return [_present(built_in)]
    async with services.db.read() as read:
        connector = await connectors.find(read, org_id, ref)
        if connector is None:
            raise not_found()
        former = await connectors.versions(read, connector.id)
    return [_present(connector), *(each for each in former if each.version < connector.version)]


def _present(connector: Connector) -> ConnectorVersion:
    return ConnectorVersion(connector.version, connector.transformation, connector.transformation_updated_at)


async def page(
    services: Services, principal: Principal, cursor: Cursor, product: ConnectorProduct | None, *, has_built_in: bool
) -> Page[Connector]:
    """Return a page of the connectors that the caller may see, on request with the built-in ones among them."""
    flags = None if principal.app_id is None else sorted(principal.feature_flags)
    window = cursor.window()
    shipped = [
        each
        for each in built_in_connectors.every(principal.org_id)
        if has_built_in and product in (None, each.product_type) and _is_in(window, each.id)
    ]
    async with services.db.read() as read:
        stored = await connectors.page(read, principal.org_id, window, flags=flags, product=product)
    rows = sorted([*shipped, *stored], key=lambda each: each.id, reverse=window.order is Order.DESCENDING)
    return cursor.page(rows[: window.rows], lambda connector: connector.id)


def _is_in(window: PageWindow, connector_id: str) -> bool:
    return (window.above is None or connector_id > window.above) and (
        window.below is None or connector_id < window.below
    )


async def require_room(tx: Write, org_id: OrgId, added: int) -> None:
    """Refuse connectors over the limit of an organization."""
    if added and await connectors.count(tx, org_id) + added > CONNECTORS_MAX:
        raise limit_error()


def limit_error() -> AppError:
    """Return the error for connectors over the limit of an organization."""
    return bad_request("limit_reached", f"An organization has at most {CONNECTORS_MAX} connectors. Delete one first.")


async def require_compiling(services: Services, org_id: OrgId, script: str) -> None:
    """Refuse a script that does not compile. Without the extra that runs scripts, none is checked or used."""
    if is_installed():
        await compile_script(services, org_id, script, member="transformation")


def from_draft(org_id: OrgId, draft: ConnectorDraft, now: int) -> Connector:
    """Return a new connector."""
    return Connector(
        id=ConnectorId(new(CONNECTOR, now)),
        org_id=org_id,
        uid=draft.uid,
        name=draft.name,
        logo=draft.logo,
        description=draft.description,
        kind=draft.kind,
        instructions=draft.instructions,
        allowed_event_types=draft.allowed_event_types,
        feature_flags=draft.feature_flags,
        transformation=draft.transformation,
        version=1,
        product_type=draft.product_type,
        created_at=now,
        updated_at=now,
        transformation_updated_at=now,
    )


def overwritten(before: Connector, draft: ConnectorDraft) -> Connector:
    """Return a connector with the content of a draft, except the uid and the product."""
    return replace(
        before,
        name=draft.name,
        logo=draft.logo,
        description=draft.description,
        kind=draft.kind,
        instructions=draft.instructions,
        allowed_event_types=draft.allowed_event_types,
        feature_flags=draft.feature_flags,
        transformation=draft.transformation,
    )


def rewritten(before: Connector, edited: Connector, now: int) -> Connector:
    """Return an edited connector with its new timestamps; another script gets the next version."""
    if edited.transformation == before.transformation:
        return replace(edited, updated_at=now)
    return replace(edited, updated_at=now, version=before.version + 1, transformation_updated_at=now)


def _refuse_built_in(org_id: OrgId, ref: str) -> None:
    if built_in_connectors.find(org_id, ref) is not None:
        raise built_in_error()


def built_in_error() -> AppError:
    """Return the error for a change to a built-in connector."""
    return conflict(
        "A built-in connector cannot be changed or deleted. Create a connector with its script instead.",
        code="connector_built_in",
    )
