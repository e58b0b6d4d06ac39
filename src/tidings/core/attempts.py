# SPDX-License-Identifier: MIT
"""Use cases of attempts: get, list, count and expunge them, and resend a message."""

from collections.abc import Callable
from dataclasses import replace

from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.tailing import committed_window
from tidings.errors import bad_request, conflict, not_found
from tidings.ids import ATTEMPT, MESSAGE
from tidings.model.app import App
from tidings.model.attempt import Attempt, AttemptedMessage, AttemptFilter, Destination
from tidings.model.delivery import Lane, Mode
from tidings.model.endpoint import Endpoint
from tidings.model.message import EVERY_MESSAGE
from tidings.model.page import Cursor, Order, Page, PageWindow
from tidings.storage import lists
from tidings.storage.drivers.database import Write, retried
from tidings.storage.tables import attempts, deliveries, endpoints, messages


async def get(services: Services, app: App, msg_ref: str, attempt_id: str) -> Attempt:
    """Return an attempt of a message."""
    async with services.db.read() as read:
        message = await messages.get(read, app.id, msg_ref, with_payload=False)
        attempt = await attempts.find(read, app.id, message.id, attempt_id)
    if attempt is None:
        raise not_found()
    return attempt


async def page_of_endpoint(
    services: Services, app: App, ref: str, cursor: Cursor, filters: AttemptFilter, *, with_message: bool
) -> Page[Attempt]:
    """Return a page of an endpoint's attempts."""
    window = cursor.window_in_time(ATTEMPT, services.now())
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, window, ATTEMPT)
        endpoint = await endpoints.get(read, app.id, ref)
        rows = await lists.page_of_attempts(read, app.id, endpoint.id, window, filters)
        if with_message:
            rows = await attempts.with_messages(read, rows)
    return cursor.page(rows, lambda attempt: attempt.id)


async def page_of_application(
    services: Services, app: App, cursor: Cursor, filters: AttemptFilter, *, endpoints_max: int
) -> Page[Attempt] | None:
    """Return a page of the attempts at all endpoints of an application, with their messages.

    It costs a query for each endpoint, so it returns None if there are more than `endpoints_max` endpoints.
    """
    window = cursor.window_in_time(ATTEMPT, services.now())
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, window, ATTEMPT)
        found = await endpoints.page(read, app.id, PageWindow(Order.ASCENDING, endpoints_max + 1))
        if len(found) > endpoints_max:
            return None
        rows: list[Attempt] = []
        for endpoint in found:
            rows += await lists.page_of_attempts(read, app.id, endpoint.id, window, filters)
        rows.sort(key=lambda attempt: attempt.id, reverse=window.order is Order.DESCENDING)
        rows = await attempts.with_messages(read, rows[: window.rows])
    return cursor.page(rows, lambda attempt: attempt.id)


async def page_of_message(
    services: Services, app: App, ref: str, cursor: Cursor, filters: AttemptFilter, *, endpoint_ref: str | None
) -> Page[Attempt]:
    """Return a page of a message's attempts, to one endpoint or to all."""
    window = cursor.window_in_time(ATTEMPT, services.now())
    rows: list[Attempt] = []
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, window, ATTEMPT)
        message = await messages.get(read, app.id, ref, with_payload=False)
        endpoint = None if endpoint_ref is None else await endpoints.get(read, app.id, endpoint_ref)
        if filters.message.matches(message):
            filtered = replace(filters, endpoint_id=None if endpoint is None else endpoint.id)
            rows = await attempts.page_of_message(read, message.id, window, filtered)
    return cursor.page(rows, lambda attempt: attempt.id)


async def page_of_messages(
    services: Services,
    app: App,
    ref: str,
    cursor: Cursor,
    filters: AttemptFilter,
    *,
    with_payload: bool,
) -> Page[AttemptedMessage]:
    """Return a page of the messages that were attempted at an endpoint."""
    window = cursor.window_in_time(MESSAGE, services.now())
    async with services.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        rows = await lists.page_of_attempted_messages(read, app.id, endpoint.id, window, filters)
        found = cursor.page(rows, lambda row: row.message.id)
        if not with_payload:
            return found
        found = found.within([row.message.payload_bytes or 0 for row in found.items])
        payloads = await messages.payloads(read, [row.message for row in found.items])
    return found.mapped(lambda row: replace(row, message=replace(row.message, payload=payloads.get(row.message.id))))


async def page_of_destinations(services: Services, app: App, ref: str, cursor: Cursor) -> Page[Destination]:
    """Return a page of the endpoints at which a message was attempted."""
    async with services.db.read() as read:
        message = await messages.get(read, app.id, ref, with_payload=False)
        rows = await attempts.destinations_of(read, message.id, cursor.window())
        found = await endpoints.by_ids(read, [endpoint_id for endpoint_id, _ in rows])
    destinations = [Destination(found[endpoint_id], status) for endpoint_id, status in rows if endpoint_id in found]
    return cursor.page(destinations, lambda destination: destination.endpoint.id)


async def count(services: Services, app: App, ref: str, cursor: Cursor, filters: AttemptFilter) -> tuple[int, bool]:
    """Return the number of an endpoint's attempts, and whether there are more than the count reads."""
    window, most = cursor.window_in_time(ATTEMPT, services.now()), services.tuning.counted_attempts
    async with services.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        looked_at = await lists.count_attempts(
            read, endpoint.id, window, replace(filters, message=EVERY_MESSAGE), limit=most + 1
        )
        found = min(looked_at, most)
        if not filters.message.is_empty:
            found = await lists.count_attempts(read, endpoint.id, window, filters, limit=most)
    return found, looked_at > most


async def expunge(services: Services, app: App, msg_ref: str, attempt_id: str) -> None:
    """Delete the response body of an attempt; as in the Svix API, the 404 names the missing resource."""

    async def work() -> None:
        async with services.db.write() as tx:
            message = await messages.find(tx, app.id, msg_ref, with_payload=False)
            if message is None:
                raise not_found("Message not found")
            attempt = await attempts.find(tx, app.id, message.id, attempt_id)
            if attempt is None:
                raise not_found("Message attempt not found")
            await attempts.expunge(tx, attempt)

    await retried(work)


async def resend(
    services: Services,
    app: App,
    *,
    msg_ref: str,
    endpoint_ref: str,
    idempotency_key: str | None,
    render: Callable[[Endpoint], Response],
) -> Response:
    """Schedule one manual attempt of a message to an endpoint, regardless of earlier attempts and of its filters."""

    async def work(tx: Write) -> Endpoint:
        message = await messages.get(tx, app.id, msg_ref)
        if message.payload is None:
            raise bad_request(
                "missing_payload",
                "Cannot resend the message: its payload has expired or was deleted. Create a new message.",
            )
        endpoint = await endpoints.get(tx, app.id, endpoint_ref)
        if endpoint.disabled:
            raise conflict("The endpoint is disabled. Enable it, then resend the message.", code="endpoint_disabled")
        resend = deliveries.ManualSend(
            msg_id=message.id,
            endpoint_id=endpoint.id,
            app_id=app.id,
            org_id=app.org_id,
            lane=Lane.LIVE,
            mode=Mode.ALWAYS,
            task_id=None,
        )
        await deliveries.schedule_manual_sends(tx, [resend], services.now())
        tx.after_commit(lambda: services.notifier.deliveries([endpoint.id]))
        return endpoint

    return await services.idempotency.once(idempotency_key, work, render)
