# SPDX-License-Identifier: MIT
"""Use cases of messages: get, list and expunge them. `accept` creates them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.tailing import committed_window
from tidings.ids import MESSAGE
from tidings.model.app import App
from tidings.model.message import Message, MessageFilter
from tidings.model.page import Cursor, Page
from tidings.storage import lists
from tidings.storage.drivers.database import Write, retried
from tidings.storage.tables import messages, routing


async def get(services: Services, app: App, ref: str, *, with_payload: bool) -> Message:
    """Return a message by its id or event id."""
    async with services.db.read() as read:
        return await messages.get(read, app.id, ref, with_payload=with_payload)


async def page(
    services: Services, app: App, cursor: Cursor, filters: MessageFilter, *, with_payload: bool
) -> Page[Message]:
    """Return a page of an application's messages."""
    window = cursor.window_in_time(MESSAGE, services.now())
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, window, MESSAGE)
        found = cursor.page(await lists.page_of_messages(read, app.id, window, filters), lambda message: message.id)
        if not with_payload:
            return found
        found = found.within([message.payload_bytes or 0 for message in found.items])
        payloads = await messages.payloads(read, found.items)
    return found.mapped(lambda message: replace(message, payload=payloads.get(message.id)))


async def has_receivers(services: Services, app: App, event_type: str, channels: tuple[str, ...] | None) -> bool:
    """Return whether an endpoint would receive a message with this event type and these channels.

    The payload is not known, so an endpoint with a payload filter counts.
    """
    async with services.db.read() as read:
        found = await routing.find_by_id(read, app.id, services.encryption)
    return found is not None and bool(found.match(event_type, channels))


async def expunge(services: Services, app: App, ref: str) -> None:
    """Delete the payload of a message; its pending deliveries are discarded."""

    async def work() -> None:
        async with services.db.write() as tx:
            message = await messages.get(tx, app.id, ref, with_payload=False)
            await messages.expunge(tx, [message.id])

    await retried(work)


async def expunge_many(
    services: Services,
    app: App,
    refs: Sequence[str],
    *,
    idempotency_key: str | None,
    render: Callable[[dict[str, bool]], Response],
) -> Response:
    """Delete the payloads of messages; the response states for each reference whether the message exists."""

    async def work(tx: Write) -> dict[str, bool]:
        found = await messages.resolve(tx, app.id, refs)
        await messages.expunge(tx, sorted(set(found.values())))
        return {ref: ref in found for ref in refs}

    return await services.idempotency.once(idempotency_key, work, render)
