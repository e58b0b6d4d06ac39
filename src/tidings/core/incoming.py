# SPDX-License-Identifier: MIT
"""Messages that are being accepted, and the rows that store them."""

import asyncio
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tidings.core.delivery_sink import Prepared
from tidings.core.services import AcceptCallback, AcceptResult
from tidings.errors import conflict
from tidings.ids import MessageId
from tidings.model.message import AcceptedMessage, Draft, MessageExtras
from tidings.model.routing import Routing
from tidings.storage.tables import intake
from tidings.storage.tables.intake import NewMessage

EXPIRED: Final = b'{"expired":true}'
_FEW: Final = 8
"""For an application with at most this many endpoints, `fan_out` returns this bound instead of a count."""

DueRow = tuple[str, str, str, str, int, int | None, int | None]
"""A row of `deliveries.add`: message, endpoint, application, organization, due time, lease, lease expiry."""


@dataclass(slots=True, eq=False)
class PendingMessage:
    """A message that waits for its batch to commit."""

    ref: str
    draft: Draft
    idempotency_key: str | None
    routing: Routing
    id: MessageId
    callback: AcceptCallback
    started: float
    result: AcceptResult | None = None
    others: list[asyncio.Future[AcceptedMessage]] | None = None
    """Requests with the same idempotency key that wait for the result of this message."""


def fan_out(routing: Routing, draft: Draft) -> int:
    """Return the number of deliveries of a message; small numbers are an upper bound."""
    if len(routing.receivers) <= _FEW:
        return _FEW
    return len(routing.match(draft.event_type, draft.channels))


def scheduled_rows(item: PendingMessage, due_at: int, prepared: Prepared) -> list[DueRow]:
    """Return the delivery rows of a message with a `deliverAt` time, without a lease."""
    routing, draft = item.routing, item.draft
    earliest = prepared.scheduled_at
    prepared.scheduled_at = due_at if earliest is None else min(earliest, due_at)
    receivers = routing.match(draft.event_type, draft.channels)
    return [(item.id, each.id, routing.app_id, routing.org_id, due_at, None, None) for each in receivers]


_as_json: Final = lru_cache(maxsize=1_024)(json.dumps)
"""Cached because most messages have one of a few sets of channels."""


def row(item: PendingMessage, now: int) -> NewMessage:
    """Return the row that stores the message."""
    draft = item.draft
    return NewMessage(
        item.id,
        item.routing.app_id,
        item.routing.org_id,
        draft.event_type,
        draft.event_id,
        None if draft.channels is None else _as_json(draft.channels),
        draft.payload,
        draft.expires_at(now),
        item.idempotency_key,
        draft.extras,
    )


def accepted(item: PendingMessage) -> AcceptedMessage:
    """Return the message as the caller receives it."""
    draft = item.draft
    return AcceptedMessage(item.id, draft.event_type, draft.payload, draft.event_id, draft.channels, draft.extras)


def repeated(msg_id: str | None, message: intake.StoredMessage | None) -> AcceptResult:
    """Return the result of the first request with this idempotency key."""
    if msg_id is None or message is None:
        return conflict("This idempotency key was used for a message that was deleted since; use a new key.")
    channels = None if message.channels is None else tuple(json.loads(message.channels))
    tags = None if message.tags is None else tuple(json.loads(message.tags))
    payload = EXPIRED if message.payload is None else message.payload
    extras = MessageExtras(tags, message.deliver_at, is_raw=message.is_raw and message.payload is not None)
    return AcceptedMessage(MessageId(msg_id), message.event_type, payload, message.event_id, channels, extras)
