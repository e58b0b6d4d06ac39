# SPDX-License-Identifier: MIT
"""Previews of filters: which recent messages an endpoint would have received with filters that are not saved yet."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tidings.core.services import Services
from tidings.ids import MESSAGE
from tidings.model.app import App
from tidings.model.message import EVERY_MESSAGE, Message
from tidings.model.page import Cursor, Order
from tidings.model.payload_filter import PayloadFilter, document_of
from tidings.model.routing import Mismatch, mismatch
from tidings.storage import lists
from tidings.storage.tables import messages

MESSAGES_MAX: Final = 50
"""The most messages of one preview."""
_GROUPS_MAX: Final = 4


class PreviewResult(Enum):
    """Whether an endpoint with the filters would have received a message."""

    MATCHES = "matches"
    """Every filter matches."""
    EXCLUDED = "excluded"
    """A filter excludes the message."""
    UNKNOWN = "unknown"
    """The payload, on which it depends, is not kept."""


@dataclass(frozen=True, slots=True)
class PreviewFilters:
    """The filters of an endpoint; None is not set."""

    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    filter: PayloadFilter | None


@dataclass(frozen=True, slots=True)
class PreviewedMessage:
    """A message without its payload, and whether the filters match it, with the reason as a sentence."""

    message: Message
    result: PreviewResult
    detail: str | None


async def preview(services: Services, app: App, filters: PreviewFilters, limit: int) -> list[PreviewedMessage]:
    """Return the latest messages of an application, at most `limit`, each with its result.

    The list ends earlier where the payloads are large.
    """
    window = Cursor(Order.DESCENDING, limit).window_in_time(MESSAGE, services.now())
    async with services.db.read() as read:
        found = (await lists.page_of_messages(read, app.id, window, EVERY_MESSAGE))[:limit]
    shown: list[PreviewedMessage] = []
    for group in _groups(found, services.tuning.preview_bytes):
        async with services.db.read() as read:
            payloads = await messages.payloads(read, group)
        shown += [_previewed(each, filters, payloads.get(each.id)) for each in group]
        await asyncio.sleep(0)
    return shown


def _groups(found: Sequence[Message], most_bytes: int) -> Iterator[list[Message]]:
    """Yield messages in groups by the size of their payloads, up to the most groups."""
    rest = list(found)
    for _ in range(_GROUPS_MAX):
        total, count = 0, 0
        while count < len(rest):
            total += rest[count].payload_bytes or 0
            if total > most_bytes and count:
                break
            count += 1
        if count:
            yield rest[:count]
        rest = rest[count:]


def _previewed(message: Message, filters: PreviewFilters, payload: bytes | None) -> PreviewedMessage:
    document = None if payload is None else document_of(payload, (filters.filter,))
    found = mismatch(filters, message.event_type, message.channels, document)
    if found is Mismatch.EVENT_TYPE:
        return PreviewedMessage(message, PreviewResult.EXCLUDED, "The event type is not among the chosen ones.")
    if found is Mismatch.CHANNEL:
        return PreviewedMessage(message, PreviewResult.EXCLUDED, "The message has none of the channels.")
    if filters.filter is None:
        return PreviewedMessage(message, PreviewResult.MATCHES, None)
    if document is None:
        return PreviewedMessage(message, PreviewResult.UNKNOWN, "The payload of the message is not kept.")
    detail = filters.filter.why_not(document)
    return PreviewedMessage(message, PreviewResult.MATCHES if detail is None else PreviewResult.EXCLUDED, detail)
