# SPDX-License-Identifier: MIT
"""Notifications in chats: operational endpoints for changes of state, whose requests a built-in connector makes.

The script of the connector is copied when the endpoint is created. The rate limit of one request a second is the one
that the chats accept.
"""

import json
from dataclasses import dataclass, replace
from typing import Final

from tidings.clock import rfc3339
from tidings.core import built_in_connectors, endpoints, examples, operational, operational_endpoints, releases
from tidings.core.examples import ExampleRequest
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import Fault, invalid, not_found
from tidings.ids import EndpointId, OrgId
from tidings.model.connector import BUILT_IN
from tidings.model.endpoint import Endpoint, EndpointDraft
from tidings.model.page import Cursor, Page
from tidings.sandbox.pool import MISSING, is_installed
from tidings.storage.drivers.database import Write
from tidings.storage.tables import transformations
from tidings.storage.tables.transformations import StoredTransformation

KINDS: Final = {"slack": "Slack", "discord": "Discord", "teams": "Microsoft Teams"}
"""The chats, by the name of their connector."""
_KIND: Final = "tidings.chat"
_VERSION: Final = "tidings.connector-version"
_PER_SECOND: Final = 1
_SAMPLE: Final = {"appId": "app_test", "appUid": "test", "endpointId": "ep_test", "endpointUid": "test"}


@dataclass(frozen=True, slots=True)
class ChatDraft:
    """A chat to notify: one of `KINDS`, the normalized URL of its webhook, and a description."""

    kind: str
    url: str
    description: str


def kind_of(endpoint: Endpoint) -> str | None:
    """Return which of `KINDS` an operational endpoint is; None if it is no chat."""
    kind = endpoint.metadata.get(_KIND)
    return kind if kind in KINDS else None


async def page(services: Services, org_id: OrgId, cursor: Cursor) -> Page[Endpoint]:
    """Return a page of the operational endpoints of an organization; those that are no chats are left out of it."""
    app = await operational_endpoints.find(services, org_id)
    if app is None:
        return cursor.page([], lambda endpoint: endpoint.id)
    found = await endpoints.page(services, app, cursor)
    return replace(found, items=tuple(each for each in found.items if kind_of(each)))


async def add(services: Services, org_id: OrgId, draft: ChatDraft, idempotency_key: str | None) -> EndpointId:
    """Notify a chat from now on; return its endpoint. Raises `invalid` if this process cannot run scripts."""
    connector = built_in_connectors.find(org_id, BUILT_IN + draft.kind)
    if draft.kind not in KINDS or connector is None:
        raise invalid(Fault(("body", "kind"), "Choose a chat."))
    if not is_installed():
        raise invalid(Fault(("body", "kind"), MISSING))
    script = connector.transformation

    async def with_script(tx: Write, endpoint: Endpoint) -> None:
        await releases.require(tx, releases.DISPATCH, "A notification in a chat")
        stored = StoredTransformation(
            script, services.encryption.encode_headers({}), enabled=True, updated_at=endpoint.created_at
        )
        await transformations.put(tx, endpoint.id, stored)

    made = await operational_endpoints.with_application(
        services,
        org_id,
        lambda app: endpoints.create(
            services,
            app,
            _endpoint_of(draft, connector.version),
            idempotency_key=idempotency_key,
            render=lambda endpoint: Response(201, json.dumps(endpoint.id).encode()),
            finish=with_script,
        ),
    )
    return EndpointId(json.loads(made.body))


def _endpoint_of(draft: ChatDraft, version: int) -> EndpointDraft:
    return EndpointDraft(
        url=draft.url,
        description=draft.description,
        uid=None,
        version=1,
        disabled=False,
        event_types=operational.STATE_CHANGES,
        channels=None,
        throttle_rate=_PER_SECOND,
        metadata={_KIND: draft.kind, _VERSION: str(version)},
        headers={},
        secret=None,
    )


async def remove(services: Services, org_id: OrgId, endpoint_id: str) -> None:
    """Stop notifying a chat. Raises `not_found` if it is no chat of the organization."""
    app = await operational_endpoints.get(services, org_id)
    await _require_chat(services, org_id, endpoint_id)
    await endpoints.delete(services, app, endpoint_id)


async def send_test(services: Services, org_id: OrgId, endpoint_id: str, idempotency_key: str | None) -> None:
    """Send a sample of a notification to one chat. Raises `conflict` if its endpoint is disabled."""
    app = await operational_endpoints.get(services, org_id)
    await _require_chat(services, org_id, endpoint_id)
    data = _SAMPLE | {"failSince": rfc3339(services.now())}
    payload = operational.payload(operational.ENDPOINT_FAILING, data).encode()
    request = ExampleRequest(operational.ENDPOINT_FAILING, 0, payload)
    await examples.send(
        services,
        app,
        endpoint_id,
        request,
        idempotency_key=idempotency_key,
        render=lambda message: Response(202, json.dumps(message.id).encode()),
    )


async def _require_chat(services: Services, org_id: OrgId, endpoint_id: str) -> None:
    app = await operational_endpoints.get(services, org_id)
    if kind_of(await endpoints.get(services, app, endpoint_id)) is None:
        raise not_found()
