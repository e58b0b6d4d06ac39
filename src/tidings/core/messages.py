# SPDX-License-Identifier: MIT
"""Finding messages; making them is the business of `accept`."""

from tidings.core.desk import Desk
from tidings.ids import MESSAGE
from tidings.model.app import App
from tidings.model.message import Message, MessageFilter
from tidings.model.page import Cursor, Page
from tidings.storage import messages


async def get(desk: Desk, app: App, ref: str, *, with_payload: bool) -> Message:
    """Return a message by its id or event id."""
    async with desk.db.read() as read:
        return await messages.get(read, app.id, ref, with_payload=with_payload)


async def page(desk: Desk, app: App, cursor: Cursor, wanted: MessageFilter, *, with_payload: bool) -> Page[Message]:
    """Return a page of an application's messages."""
    span = cursor.span_in_time(MESSAGE, desk.now())
    async with desk.db.read() as read:
        rows = await messages.page(read, app.id, span, wanted, with_payload=with_payload)
    return cursor.page(rows, lambda message: message.id)
