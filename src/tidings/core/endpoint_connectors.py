# SPDX-License-Identifier: MIT
"""Use cases that give an endpoint the script of a connector.

The script is copied into the transformation of the endpoint, with the number of its version. A change of the connector
changes no endpoint: a person or a program applies the new version.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidings.core import built_in_connectors, endpoints, releases
from tidings.core.endpoints import refresh_after_commit
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import Fault, invalid
from tidings.model.app import App
from tidings.model.connector import Connector, ConnectorProduct
from tidings.model.endpoint import Endpoint, EndpointDraft
from tidings.model.token import Principal
from tidings.sandbox.pool import MISSING, is_installed
from tidings.storage.drivers.database import Write
from tidings.storage.tables import apps, endpoint_connectors
from tidings.storage.tables import connectors as connector_rows
from tidings.storage.tables import endpoints as endpoint_rows
from tidings.storage.tables import transformations as transformation_rows
from tidings.storage.tables.endpoint_connectors import AppliedConnector
from tidings.storage.tables.transformations import StoredTransformation


@dataclass(frozen=True, slots=True)
class ConnectorUse:
    """The connector of an endpoint: as it is now, and what the endpoint has of it."""

    connector: Connector
    version: int
    """The version whose script the endpoint got."""
    applied_at: int
    is_modified: bool
    """Whether the endpoint has another script by now, or none in use."""


@dataclass(frozen=True, slots=True)
class ConnectorApplication:
    """A request to give an endpoint the script of a connector."""

    connector: Connector
    variables: Mapping[str, str] | None = None
    """The variables of the script; None keeps those that the endpoint has."""
    require: Callable[[str], None] | None = None
    """Gets the script that the endpoint has, and raises an error if the caller expects another one."""


async def create(
    services: Services,
    app: App,
    connector: Connector,
    draft: EndpointDraft,
    *,
    idempotency_key: str | None,
    render: Callable[[Endpoint], Response],
) -> Response:
    """Create an endpoint with the script of a connector, so that no message is ever sent without it."""
    _require_usable(connector)
    refuse_types(connector, draft.event_types)

    async def use(tx: Write, endpoint: Endpoint) -> None:
        await _apply(tx, services, endpoint, connector, None)

    return await endpoints.create(services, app, draft, idempotency_key=idempotency_key, render=render, finish=use)


async def apply(
    services: Services,
    app: App,
    ref: str,
    application: ConnectorApplication,
    *,
    render: Callable[[ConnectorUse], Response],
) -> Response:
    """Give an endpoint the script of a connector as it is now, and enable it."""
    connector, require = application.connector, application.require
    _require_usable(connector)

    async def work(tx: Write) -> ConnectorUse:
        await apps.advance_routing_version(tx, app.id, services.now())
        endpoint = await endpoint_rows.get(tx, app.id, ref)
        refuse_types(connector, endpoint.event_types)
        if require is not None:
            stored = await transformation_rows.find(tx, endpoint.id)
            require("" if stored is None else stored.code or "")
        await _apply(tx, services, endpoint, connector, application.variables)
        refresh_after_commit(tx, services, endpoint)
        return ConnectorUse(connector, connector.version, services.now(), is_modified=False)

    return await services.idempotency.once(None, work, render)


async def of_endpoint(services: Services, principal: Principal, app: App, ref: str) -> ConnectorUse | None:
    """Return the connector that an endpoint got its script from.

    None if it got none, or if the connector was deleted or is hidden from the caller.
    """
    async with services.db.read() as read:
        endpoint = await endpoint_rows.get(read, app.id, ref)
        applied = await endpoint_connectors.find(read, endpoint.id)
        if applied is None:
            return None
        connector = built_in_connectors.find(app.org_id, applied.connector_id) or await connector_rows.find(
            read, app.org_id, applied.connector_id
        )
        if connector is None or not principal.may_see(connector.feature_flags):
            return None
        stored = await transformation_rows.find(read, endpoint.id)
    is_same = stored is not None and stored.enabled and digest_of(stored.code or "") == applied.digest
    return ConnectorUse(connector, applied.version, applied.applied_at, is_modified=not is_same)


def refuse_types(connector: Connector, chosen: tuple[str, ...] | None) -> None:
    """Refuse event types that the connector does not allow."""
    allowed = connector.allowed_event_types
    if allowed is None:
        return
    wrong = [name for name in chosen or () if name not in allowed]
    if chosen is None or wrong:
        shown = "all" if chosen is None else ", ".join(wrong[:_SHOWN])
        detail = f"The connector is for these event types only: {', '.join(allowed[:_SHOWN])}. Not for: {shown}."
        raise invalid(Fault(("body", "eventTypes"), detail))


_SHOWN = 20


def _require_usable(connector: Connector) -> None:
    if connector.product_type is not ConnectorProduct.DISPATCH:
        raise invalid(Fault(("body", "connectorId"), "The connector is for streams. Choose one for endpoints."))
    if not is_installed():
        raise invalid(Fault(("body", "connectorId"), MISSING))


async def _apply(
    tx: Write, services: Services, endpoint: Endpoint, connector: Connector, variables: Mapping[str, str] | None
) -> None:
    await releases.require(tx, releases.DISPATCH, "A connector")
    before = await transformation_rows.find(tx, endpoint.id)
    if variables is not None or before is None:
        stored = services.encryption.encode_headers(variables or {})
    else:
        stored = before.variables
    now = services.now()
    script = connector.transformation
    await transformation_rows.put(tx, endpoint.id, StoredTransformation(script, stored, enabled=True, updated_at=now))
    applied = AppliedConnector(connector.id, connector.version, digest_of(script), now)
    await endpoint_connectors.put(tx, endpoint.id, applied)


def digest_of(script: str) -> str:
    """Return the hash by which the script of an endpoint is compared with that of its connector."""
    return hashlib.sha256(script.encode()).hexdigest()
