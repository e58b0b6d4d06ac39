# SPDX-License-Identifier: MIT
"""Making and finding endpoints."""

from collections.abc import Callable
from typing import Final

from tidings.core.desk import Desk
from tidings.core.receipts import Answer
from tidings.errors import Fault, conflict, invalid
from tidings.ids import ENDPOINT, EndpointId, OrgId, new
from tidings.model import signature
from tidings.model.app import App
from tidings.model.endpoint import Endpoint, EndpointDraft
from tidings.model.page import Cursor, Page
from tidings.storage import apps, endpoints, event_types
from tidings.storage.database import Read, Write

SYMMETRIC: Final = b"\x01"
"""What a stored symmetric secret begins with."""


async def create(
    desk: Desk, app: App, draft: EndpointDraft, *, receipt: str | None, render: Callable[[Endpoint], Answer]
) -> Answer:
    """Make an endpoint, with a fresh secret if none is given."""

    async def work(tx: Write) -> Endpoint:
        endpoint = _drafted(app, draft, desk.now())
        await apps.touch(tx, app.id, endpoint.created_at)
        await _refuse_unknown(tx, app.org_id, draft.event_types or ())
        if not await endpoints.add(tx, endpoint, SYMMETRIC + (draft.secret or signature.generate().raw)):
            raise conflict()
        tx.after_commit(lambda: desk.wake.routing(app.id))
        return endpoint

    return await desk.receipts.once(receipt, work, render)


async def _refuse_unknown(read: Read, org_id: OrgId, names: tuple[str, ...]) -> None:
    """Hold that an endpoint subscribes to event types in use; archiving one later changes no endpoint."""
    known = await event_types.known(read, org_id, names) if names else set()
    missing = [name for name in names if name not in known]
    if missing:
        wrong = f"The following event types don't exist: {', '.join(missing)}"
        raise invalid(Fault(("body", "eventTypes"), wrong))


def _drafted(app: App, draft: EndpointDraft, now: int) -> Endpoint:
    return Endpoint(
        id=EndpointId(new(ENDPOINT, now)),
        app_id=app.id,
        org_id=app.org_id,
        url=draft.url,
        description=draft.description,
        uid=draft.uid,
        version=draft.version,
        disabled=draft.disabled,
        event_types=draft.event_types,
        channels=draft.channels,
        throttle_rate=draft.throttle_rate,
        metadata=draft.metadata,
        headers=draft.headers,
        created_at=now,
        updated_at=now,
    )


async def get(desk: Desk, app: App, ref: str) -> Endpoint:
    """Return an endpoint by its id or uid."""
    async with desk.db.read() as read:
        return await endpoints.get(read, app.id, ref)


async def secret(desk: Desk, app: App, ref: str) -> str:
    """Return what a receiver checks signatures with, as `whsec_` text."""
    async with desk.db.read() as read:
        stored = await endpoints.secret(read, app.id, ref)
    return signature.SymmetricKey(stored[len(SYMMETRIC) :]).text


async def page(desk: Desk, app: App, cursor: Cursor) -> Page[Endpoint]:
    """Return a page of an application's endpoints."""
    async with desk.db.read() as read:
        rows = await endpoints.page(read, app.id, cursor.span())
    return cursor.page(rows, lambda endpoint: endpoint.id)
