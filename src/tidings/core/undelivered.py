# SPDX-License-Identifier: MIT
"""Lists of undelivered messages, of an endpoint or an organization, each with its state and the reason for it."""

from dataclasses import dataclass

from tidings.core.services import Services
from tidings.ids import OrgId, timestamp_of
from tidings.model.app import App
from tidings.model.endpoint import Endpoint
from tidings.model.explanation import AttemptSummary, DeliveryFacts, DeliveryState, Explanation, MessageFacts, explain
from tidings.model.message import RETENTION_MS, Message
from tidings.model.page import Cursor, Order, Page
from tidings.model.undelivered import (
    UndeliveredFilter,
    UndeliveredKey,
    UndeliveredRow,
    UndeliveredRows,
    UndeliveredSummary,
)
from tidings.storage import lists
from tidings.storage.drivers.database import Read
from tidings.storage.lists import UndeliveredScope, UndeliveredWindow
from tidings.storage.tables import endpoints, messages


@dataclass(frozen=True, slots=True)
class UndeliveredDelivery:
    """A message that an endpoint has not received, without its payload, and the explanation of its state."""

    message: Message
    endpoint: Endpoint
    attempts: AttemptSummary | None
    """None before the first attempt."""
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class UndeliveredRequest:
    """The filters and the page of a list. The iterator of the cursor is the text of an `UndeliveredKey`."""

    filters: UndeliveredFilter
    cursor: Cursor
    attempts_max: int
    """The number of automatic attempts of a delivery, by the current retry schedule."""


UndeliveredPage = Page[UndeliveredDelivery]


async def page_of_endpoint(
    services: Services, app: App, ref: str, request: UndeliveredRequest
) -> tuple[UndeliveredPage, UndeliveredSummary | None]:
    """Return a page of the undelivered messages of an endpoint (id or uid), with the first page their number."""
    async with services.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        return await _page(read, UndeliveredScope(app.org_id, endpoint.id), request, services.clock.now())


async def page_of_organization(
    services: Services, org_id: OrgId, request: UndeliveredRequest
) -> tuple[UndeliveredPage, UndeliveredSummary | None]:
    """Return a page of the undelivered messages of an organization, with the first page their number.

    Exhausted deliveries of deleted endpoints and applications are left out.
    """
    async with services.db.read() as read:
        return await _page(read, UndeliveredScope(org_id), request, services.clock.now())


async def _page(
    read: Read, scope: UndeliveredScope, request: UndeliveredRequest, now: int
) -> tuple[UndeliveredPage, UndeliveredSummary | None]:
    cursor, window = request.cursor, request.cursor.window()
    if cursor.iterator is None and window.order is Order.ASCENDING:
        rows, whole = await lists.first_page_of_undelivered(read, scope, request.filters, window.rows, now)
        return await _explained(read, rows, request, now), whole
    position = None if cursor.key is None else UndeliveredKey.parse(cursor.key)
    found = await lists.page_of_undelivered(
        read, scope, request.filters, UndeliveredWindow(window.order, window.rows, position), now
    )
    is_first = cursor.iterator is None  # a count of thousands takes much longer than a page
    summary = await lists.summary_of_undelivered(read, scope, request.filters, now) if is_first else None
    return await _explained(read, found, request, now), summary


async def _explained(read: Read, found: UndeliveredRows, request: UndeliveredRequest, now: int) -> UndeliveredPage:
    """Return a page of the rows that were found, with their explanations."""
    cursor, shown = request.cursor, found.rows[: request.cursor.limit]
    pairs = [(row.key.msg_id, row.key.endpoint_id) for row in shown]
    by_id = await messages.by_ids(read, sorted({msg_id for msg_id, _ in pairs}))
    receivers = await endpoints.by_ids_with_deletion(read, sorted({endpoint_id for _, endpoint_id in pairs}))
    attempts = await messages.summaries_of_attempts(read, pairs)
    items: list[tuple[str, UndeliveredDelivery]] = []
    for row, pair in zip(shown, pairs, strict=True):
        message, receiver, tried = by_id.get(pair[0]), receivers.get(pair[1]), attempts.get(pair)
        has_ended = row.outstanding is None and (tried is None or tried.is_delivered)  # delivered or deleted since
        if message is not None and receiver is not None and not has_ended:
            facts = _facts(row, message, receiver, tried, request, now)
            items.append((row.key.text, _delivery(message, facts, request)))
    if cursor.is_back:
        items.reverse()
    has_more = len(found.rows) > cursor.limit
    edge = shown[-1].key if has_more else found.last
    return _assembled(items, cursor, edge, done=found.is_end and not has_more)


def _assembled(
    items: list[tuple[str, UndeliveredDelivery]], cursor: Cursor, edge: UndeliveredKey | None, *, done: bool
) -> UndeliveredPage:
    """Return a page. If the list goes on, the next page starts after `edge`, which need not be one of the items."""
    keys = tuple(key for key, _ in items)
    start, end = (keys[0], keys[-1]) if keys else (None, None)
    if not done and edge is not None:
        start, end = (edge.text, end) if cursor.is_back else (start, edge.text)
    return Page(
        items=tuple(item for _, item in items),
        iterator=end,
        prev_iterator=None if start is None else f"-{start}",
        done=done,
        keys=keys,
        is_back=cursor.is_back,
    )


def _facts(
    row: UndeliveredRow,
    message: Message,
    receiver: tuple[Endpoint, int | None],
    attempts: AttemptSummary | None,
    request: UndeliveredRequest,
    now: int,
) -> DeliveryFacts:
    """Return what explains a row. No task canceled it, and the endpoint's past does not matter: it was to be sent."""
    at = timestamp_of(message.id)
    subject = MessageFacts(
        at=at,
        event_type=message.event_type,
        channels=message.channels,
        deliver_at=message.deliver_at,
        has_payload=message.payload_bytes is not None,
        expires_at=at + RETENTION_MS,
    )
    return DeliveryFacts(
        subject=subject,
        endpoint=receiver[0],
        deleted_at=receiver[1],
        outstanding=row.outstanding,
        attempts=attempts,
        canceled_by=None,
        in_force=None,
        now=now,
        attempts_max=request.attempts_max,
    )


def _delivery(message: Message, facts: DeliveryFacts, request: UndeliveredRequest) -> UndeliveredDelivery:
    """Return a row with its reason. Its state is that of the list, also where an address was blocked."""
    found = explain(facts)
    state: DeliveryState = request.filters.state.of_delivery
    explanation = Explanation(state, found.reason, found.next_attempt_at, found.task_id)
    return UndeliveredDelivery(message, facts.endpoint, facts.attempts, explanation)
