# SPDX-License-Identifier: MIT
"""Finding attempts, and asking for one more."""

from collections.abc import Callable
from dataclasses import replace

from tidings.core.desk import Desk
from tidings.core.receipts import Answer
from tidings.errors import bad_request, conflict, not_found
from tidings.ids import ATTEMPT
from tidings.model.app import App
from tidings.model.attempt import Attempt, AttemptFilter
from tidings.model.delivery import Lane, Mode
from tidings.model.endpoint import Endpoint
from tidings.model.page import Cursor, Page
from tidings.storage import attempts, deliveries, endpoints, messages
from tidings.storage.database import Read, Write


async def get(desk: Desk, app: App, msg_ref: str, attempt_id: str) -> Attempt:
    """Return an attempt of a message."""
    async with desk.db.read() as read:
        message = await messages.get(read, app.id, msg_ref, with_payload=False)
        attempt = await attempts.find(read, app.id, message.id, attempt_id)
    if attempt is None:
        raise not_found()
    return attempt


async def page_of_endpoint(
    desk: Desk, app: App, ref: str, cursor: Cursor, wanted: AttemptFilter, *, with_message: bool
) -> Page[Attempt]:
    """Return a page of the attempts to an endpoint."""
    async with desk.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        narrowed = replace(wanted, endpoint_id=endpoint.id)
        return await _page(desk, read, app, cursor, narrowed, with_message=with_message)


async def page_of_message(
    desk: Desk, app: App, ref: str, cursor: Cursor, wanted: AttemptFilter, *, endpoint_ref: str | None
) -> Page[Attempt]:
    """Return a page of the attempts of a message, to one endpoint or to all."""
    async with desk.db.read() as read:
        message = await messages.get(read, app.id, ref, with_payload=False)
        endpoint = None if endpoint_ref is None else await endpoints.get(read, app.id, endpoint_ref)
        narrowed = replace(wanted, msg_id=message.id, endpoint_id=None if endpoint is None else endpoint.id)
        return await _page(desk, read, app, cursor, narrowed)


async def _page(
    desk: Desk, read: Read, app: App, cursor: Cursor, wanted: AttemptFilter, *, with_message: bool = False
) -> Page[Attempt]:
    span = cursor.span_in_time(ATTEMPT, desk.now())
    rows = await attempts.page(read, app.id, span, wanted, with_message=with_message)
    return cursor.page(rows, lambda attempt: attempt.id)


async def resend(
    desk: Desk,
    app: App,
    *,
    msg_ref: str,
    endpoint_ref: str,
    receipt: str | None,
    render: Callable[[Endpoint], Answer],
) -> Answer:
    """Have a message sent to an endpoint once more, whatever came of it so far and whatever the endpoint filters."""

    async def work(tx: Write) -> Endpoint:
        message = await messages.get(tx, app.id, msg_ref)
        if message.payload is None:
            raise bad_request("missing_payload", "Unable to resend message. Payload is missing (probably expired).")
        endpoint = await endpoints.get(tx, app.id, endpoint_ref)
        if endpoint.disabled:
            raise conflict("The endpoint is disabled. Enable it, then resend the message.", code="endpoint_disabled")
        wish = deliveries.Again(
            msg_id=message.id,
            endpoint_id=endpoint.id,
            app_id=app.id,
            org_id=app.org_id,
            lane=Lane.LIVE,
            mode=Mode.ALWAYS,
            task_id=None,
        )
        await deliveries.send_again(tx, [wish], desk.now())
        tx.after_commit(lambda: desk.wake.deliveries([endpoint.id]))
        return endpoint

    return await desk.receipts.once(receipt, work, render)
