# SPDX-License-Identifier: MIT
"""The sample of `tidings dev`: an application with an endpoint that leads to the inbox, event types, and messages.

It is created once. Later starts only lead the endpoint to the present address of the server, and create the endpoint
if it was deleted; whatever else the developer changed stays.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from tidings.clock import rfc3339
from tidings.core import apps, endpoints, event_types, signing
from tidings.core.idempotency import Response
from tidings.core.services import Acceptor, HotRequest, Services
from tidings.errors import AppError, ErrorKind
from tidings.ids import OrgId
from tidings.model.app import App, AppDraft
from tidings.model.endpoint import Endpoint, EndpointDraft
from tidings.model.event_type import EventTypeDraft
from tidings.model.message import RETENTION_MS, AcceptedMessage, Draft
from tidings.model.signature import Key

APP_UID: Final = "acme"
ENDPOINT_UID: Final = "inbox"
_APP_NAME: Final = "Acme Inc. (sample)"
_DONE: Final = Response(200)
_FIRST_TIME: Final = "2026-01-31T12:00:00Z"


@dataclass(frozen=True, slots=True)
class SampleType:
    """An event type of the sample: its description, and the data of its example."""

    name: str
    description: str
    data: dict[str, Any]

    def payload(self, timestamp: str) -> dict[str, Any]:
        """Return a payload in the form that Standard Webhooks recommends."""
        return {"type": self.name, "timestamp": timestamp, "data": self.data}

    @property
    def schemas(self) -> str:
        """The JSON Schema of version 1, with an example."""
        data = {
            "type": "object",
            "required": list(self.data),
            "properties": {name: {"type": _TYPES[type(value)]} for name, value in self.data.items()},
        }
        schema = {
            "title": self.name,
            "type": "object",
            "required": ["type", "timestamp", "data"],
            "properties": {
                "type": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
                "data": data,
            },
            "examples": [self.payload(_FIRST_TIME)],
        }
        return json.dumps({"1": schema})


_TYPES: Final = {str: "string", int: "integer", bool: "boolean"}
SAMPLE_TYPES: Final = (
    SampleType("invoice.paid", "A customer paid an invoice", {"id": "inv_1042", "customer": "cus_77", "amount": 4900}),
    SampleType(
        "invoice.payment_failed",
        "The payment of an invoice was declined",
        {"id": "inv_1043", "customer": "cus_12", "reason": "card_declined"},
    ),
    SampleType("user.created", "A user signed up", {"id": "usr_314", "email": "ada@example.com", "verified": False}),
)


class Sample:
    """The sample of one organization."""

    def __init__(self, services: Services, acceptor: Acceptor, org_id: OrgId) -> None:
        self._services = services
        self._acceptor = acceptor
        self._org_id = org_id
        self._app: App | None = None

    @property
    def app(self) -> App:
        """The application, once it is prepared."""
        assert self._app is not None  # noqa: S101 - pages are served after `prepare`
        return self._app

    async def prepare(self, url: str) -> bool:
        """Create the sample or lead its endpoint to the inbox's URL; return whether the endpoint is new."""
        services = self._services
        draft = AppDraft(name=_APP_NAME, uid=APP_UID, metadata={})
        self._app = app = await apps.get_or_create(services, self._org_id, draft)
        found = await self._endpoint()
        if found is None:
            for each in SAMPLE_TYPES:
                await _add_type(services, self._org_id, each)
            await endpoints.create(services, app, _endpoint_draft(url), idempotency_key=None, render=lambda _: _DONE)
            return True
        if found.url != url:
            edit = endpoints.EndpointEdit(lambda endpoint: replace(endpoint, url=url), ())
            await endpoints.change(services, app, ENDPOINT_UID, edit, render=lambda _: _DONE)
        return False

    async def keys(self) -> tuple[Key, ...]:
        """Return the key that signs the messages to the inbox; none if its endpoint was deleted."""
        try:
            return (await signing.key_of(self._services, self.app, ENDPOINT_UID),)
        except AppError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return ()
            raise

    async def send(self, event_type: SampleType) -> AcceptedMessage:
        """Send the example of an event type to the application."""
        payload = json.dumps(event_type.payload(rfc3339(self._services.now()))).encode()
        draft = Draft(event_type.name, payload, None, None, RETENTION_MS)
        return await self._acceptor.accept(HotRequest(self._org_id, self.app.id, None), draft)

    async def _endpoint(self) -> Endpoint | None:
        try:
            return await endpoints.get(self._services, self.app, ENDPOINT_UID)
        except AppError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise


async def _add_type(services: Services, org_id: OrgId, sample: SampleType) -> None:
    draft = EventTypeDraft(
        name=sample.name,
        description=sample.description,
        archived=False,
        deprecated=False,
        schemas=sample.schemas,
        feature_flags=None,
        group_name=None,
    )
    try:
        await event_types.create(services, org_id, draft, idempotency_key=None, render=lambda _: _DONE)
    except AppError as error:
        if error.kind is not ErrorKind.CONFLICT:  # it exists
            raise


def _endpoint_draft(url: str) -> EndpointDraft:
    return EndpointDraft(
        url=url,
        description="Inbox of tidings dev",
        uid=ENDPOINT_UID,
        version=1,
        disabled=False,
        event_types=None,
        channels=None,
        throttle_rate=None,
        metadata={},
        headers={},
        secret=None,
    )
