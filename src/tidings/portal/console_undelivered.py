# SPDX-License-Identifier: MIT
"""The undelivered messages of an organization, with actions for selected ones and for all of an endpoint."""

from dataclasses import dataclass
from typing import Final

from tidings.core import access, attempts, lookup, tasks, undelivered
from tidings.core.idempotency import Response
from tidings.core.undelivered import UndeliveredDelivery, UndeliveredRequest
from tidings.errors import AppError, Fault, invalid
from tidings.ids import timestamp_of
from tidings.model.message import MessageFilter
from tidings.model.page import WINDOW_MS, Order
from tidings.model.resending import ReplayFilters
from tidings.model.task import Task
from tidings.model.undelivered import UndeliveredFilter, UndeliveredState
from tidings.portal.console_home import host
from tidings.portal.request import Form, PageRequest
from tidings.portal.response import Answer
from tidings.portal.starters import ResendForm
from tidings.portal.view import Scope, View

_BULK_REPLAY: Final = "endpoint.bulk-replay"
_ROWS: Final = 40
"""The rows of a page, which keep it below 60 KB."""
_ENDPOINTS_MAX: Final = 10
"""The endpoints of a page that offer to resend everything."""
_SELECTED_MAX: Final = 50
_FIELDS: Final = ("state", "type", "tag", "since", "until")
_STATES: Final = {each.value: each for each in UndeliveredState}
_TABS: Final = (UndeliveredState.EXHAUSTED, UndeliveredState.SCHEDULED, UndeliveredState.IN_FLIGHT)


@dataclass(frozen=True, slots=True)
class UndeliveredAtEndpoint:
    """An endpoint with undelivered messages on a page."""

    endpoint_id: str
    app_id: str
    host: str
    is_disabled: bool
    number: int


async def listed(page: PageRequest) -> Answer:
    """Show a page of the undelivered messages in one state."""
    filters = _filters(page.query)
    request = UndeliveredRequest(filters, page.cursor(Order.ASCENDING, _ROWS), page.context.attempts_max)
    found, summary = await undelivered.page_of_organization(page.services, page.org_id, request)
    names = await lookup.app_names(page.services, page.org_id, [each.endpoint.app_id for each in found.items])
    endpoints = _by_endpoint(found.items)
    return page.page(
        "console_undelivered.html",
        found=found,
        summary=summary,
        names=names,
        values={name: page.query[name] for name in _FIELDS} | {"state": filters.state.value},
        states=_TABS,
        endpoints=endpoints[:_ENDPOINTS_MAX],
        endpoint_count=len(endpoints),
        host=host,
        at=timestamp_of,
    )


def _by_endpoint(items: tuple[UndeliveredDelivery, ...]) -> list[UndeliveredAtEndpoint]:
    """Return the endpoints of a page, those with the most rows first."""
    numbers: dict[str, int] = {}
    for each in items:
        numbers[each.endpoint.id] = numbers.get(each.endpoint.id, 0) + 1
    endpoints = {each.endpoint.id: each.endpoint for each in items}
    return [
        UndeliveredAtEndpoint(each.id, each.app_id, host(each.url), each.disabled, numbers[each.id])
        for each in sorted(endpoints.values(), key=lambda each: -numbers[each.id])
    ]


def _filters(given: Form) -> UndeliveredFilter:
    """Return the filters in an address or a form; a value that is not valid matches nothing, or is left out."""
    event_type = given["type"]
    return UndeliveredFilter(
        state=_STATES.get(given["state"], UndeliveredState.EXHAUSTED),
        messages=MessageFilter(event_types=(event_type,) if event_type else (), tag=given["tag"] or None),
        since=_time(given, "since"),
        until=_time(given, "until"),
    )


def _time(given: Form, name: str) -> int | None:
    query = lookup.understood(given[name])
    if query.kind is lookup.QueryKind.NOTHING:
        return None
    if query.kind is not lookup.QueryKind.TIME:
        raise invalid(Fault(("body", name), "Give the time as 2026-11-30T14:00, in UTC."))
    return query.at


async def resend(page: PageRequest) -> Answer:
    """Send the selected messages now, each to its endpoint."""
    selected = page.form.all("pair")[:_SELECTED_MAX]
    refused = 0
    for place, pair in enumerate(selected):
        try:
            await _resend(page, pair, place)
        except AppError:
            refused += 1
    done = "nothing_selected" if not selected else "resent_all" if not refused else "resent_some"
    return page.redirect("delivery", **{name: page.form[name] for name in _FIELDS}, done=done)


async def _resend(page: PageRequest, pair: str, place: int) -> None:
    """Send one message; raise `AppError` if it is not one of this organization, or cannot be sent."""
    app_ref, _, rest = pair.partition(" ")
    msg_ref, _, endpoint_ref = rest.partition(" ")
    app = await access.application(page.services, page.principal, app_ref)
    key = page.idempotency_key()
    await attempts.resend(
        page.services,
        app,
        msg_ref=msg_ref,
        endpoint_ref=endpoint_ref,
        idempotency_key=None if key is None else f"{key}:{place}",
        render=lambda _: Response(202, b"{}"),
    )


async def replay(page: PageRequest) -> Answer:
    """Start a task that resends all messages of an endpoint that match the filters, and open it."""
    app_ref, _, endpoint_ref = page.form["target"].partition(" ")
    app = await access.application(page.services, page.principal, app_ref)
    filters = _filters(page.form)
    request = ResendForm(
        endpoint_ref=endpoint_ref,
        since=filters.since if filters.since is not None else max(0, page.now - WINDOW_MS),
        until=filters.until,
        filters=ReplayFilters(messages=filters.messages, state=filters.state),
    )
    build = page.context.starters.on_endpoint[_BULK_REPLAY](page.services, page.principal, app, request)

    def render(task: Task) -> Response:
        return Response(202, task.id.encode())

    key = page.idempotency_key(page.form["target"])  # the endpoints of a page share its form
    begun = await tasks.begin(page.services, build, idempotency_key=key, render=render)
    return page.redirect("app", app.id, "task", begun.body.decode(), done="started")


VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="/delivery", handler=listed),
    View(scope=Scope.ORGANIZATION, path="/delivery/resend", method="POST", handler=resend),
    View(scope=Scope.ORGANIZATION, path="/delivery/replay", method="POST", handler=replay),
)
