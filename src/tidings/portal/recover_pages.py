# SPDX-License-Identifier: MIT
"""The wizard that resends messages: choose an endpoint and a period, see what would be sent, and start the task.

Each step is an address that can be opened again: `recover` has the form, `recover/check` the dry run. Only the last
step, a form, changes something.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from tidings import ids
from tidings.core import dry_run, endpoints, messages, tasks
from tidings.core.dry_run import Estimate
from tidings.core.idempotency import Response
from tidings.core.tasks import BuildTask
from tidings.errors import AppError, ErrorKind, Fault, forbidden
from tidings.model.endpoint import Endpoint
from tidings.model.health import failing_since
from tidings.model.message import Message
from tidings.model.page import Cursor, Order
from tidings.model.token import Capability
from tidings.portal import recover_form
from tidings.portal.recover_form import KINDS, WHAT, Choice
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer, Redirect
from tidings.portal.view import Scope, View

_LISTED: Final = 100
"""The endpoints in the list of the form."""
_FIELDS: Final = {"endpoint_id": "endpoint", "since": "since", "until": "until", "ratePerSecond": "rate"}
"""The fields of the form, by the names of the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What the form shows."""

    choice: Choice
    listed: tuple[Endpoint, ...]
    """The endpoints to choose from."""
    chosen: Endpoint | None
    outage_since: int | None
    """Since when the chosen endpoint fails, without a success in between."""
    faults: dict[str, str] = field(default_factory=dict)


async def choose(page: PageRequest) -> Answer:
    """Show the form: the endpoint, what to resend, the period and the rate."""
    _require_right(page)
    return page.page("recover.html", **_values(await _form(page)))


async def of_endpoint(page: PageRequest) -> Answer:
    """Open the form for an endpoint."""
    return Redirect(page.url("recover", endpoint=page.path["endpoint_id"]))


async def check(page: PageRequest) -> Answer:
    """Show what the task would send, without starting it."""
    _require_right(page)
    form = await _form(page)
    faults = _own_faults(form)
    if not faults:
        try:
            estimate = await dry_run.estimate_of(page.services, page.context.estimate, _build(page, form))
        except AppError as error:
            faults = _faults_of(error)
        else:
            sample = await _sample(page, estimate)
            values = _values(form) | {"back": page.url("recover", **form.choice.fields)}
            return page.page("recover_check.html", **values, estimate=estimate, sample=sample)
    return page.page("recover.html", status=422, **_values(replace(form, faults=faults)))


async def start(page: PageRequest) -> Answer:
    """Start the task, once for each form, and open its page."""
    form = await _form(page)
    faults = _own_faults(form)
    if not faults:
        try:
            response = await tasks.begin(
                page.services,
                _build(page, form),
                idempotency_key=page.idempotency_key(),
                render=lambda task: Response(202, task.id.encode()),
            )
        except AppError as error:
            faults = _faults_of(error)
        else:
            return page.redirect("task", response.body.decode())
    return page.page("recover.html", status=422, **_values(replace(form, faults=faults)))


def _require_right(page: PageRequest) -> None:
    """Raise `forbidden` for a session that could not start the task, a read-only one among them."""
    if not page.may(Capability.CREATE_ATTEMPTS):
        raise forbidden()


def _values(form: _Form) -> dict[str, Any]:
    return {
        "choice": form.choice,
        "listed": form.listed,
        "chosen": form.chosen,
        "outage_since": form.outage_since,
        "faults": form.faults,
        "what": WHAT,
        "periods": recover_form.PERIODS,
        "outcomes": recover_form.OUTCOMES,
        "classes": recover_form.CLASSES,
    }


async def _form(page: PageRequest) -> _Form:
    given = page.form if page.form.has("csrf") else page.query
    found = await endpoints.page(page.services, page.app, Cursor(Order.DESCENDING, _LISTED))
    chosen = await _endpoint(page, given["endpoint"]) if given["endpoint"] else None
    if chosen is None and not given["endpoint"] and len(found.items) == 1:
        chosen = found.items[0]
    listed = found.items if chosen is None or chosen.id in found.keys else (chosen, *found.items)
    began = None if chosen is None else _outage(chosen)
    choice, faults = recover_form.read(given, page.now, began)
    if chosen is not None:
        choice = replace(choice, endpoint=chosen.id)
    return _Form(choice=choice, listed=listed, chosen=chosen, outage_since=began, faults=faults)


async def _endpoint(page: PageRequest, ref: str) -> Endpoint | None:
    try:
        return await endpoints.get(page.services, page.app, ref)
    except AppError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return None


def _outage(endpoint: Endpoint) -> int | None:
    record = endpoint.record
    return failing_since(record, endpoint.recent) or record.unreachable_since or record.disabled_at


def _own_faults(form: _Form) -> dict[str, str]:
    """Return the faults that the form itself shows: before anything is asked of the database."""
    found = dict(form.faults)
    if form.chosen is None:
        found["endpoint"] = (
            "This endpoint does not exist. Choose another one."
            if form.choice.endpoint
            else "Choose the endpoint that missed messages."
        )
    elif form.chosen.disabled:
        found["endpoint"] = "This endpoint is disabled, so nothing can be sent to it. Enable it first."
    return found


def _build(page: PageRequest, form: _Form) -> BuildTask:
    kind = KINDS[form.choice.what]
    return page.context.starters.on_endpoint[kind](page.services, page.principal, page.app, form.choice.request)


def _faults_of(error: AppError) -> dict[str, str]:
    """Return the faults of a refused request by the fields of the form; raise an error that no field explains."""
    if error.kind is ErrorKind.TOO_MANY:
        return {"form": error.detail}
    if error.kind is not ErrorKind.INVALID:
        raise error
    return {_field(fault): fault.msg for fault in reversed(error.faults)}


def _field(fault: Fault) -> str:
    return _FIELDS.get(fault.loc[-1] if len(fault.loc) < 3 else fault.loc[1], "form")  # noqa: PLR2004 - body, field, item


async def _sample(page: PageRequest, estimate: Estimate) -> list[tuple[str, int, Message | None]]:
    """Return the first messages of an estimate: id, time, and the message unless it was deleted meanwhile."""
    found = []
    for msg_id in estimate.sample:
        try:
            message = await messages.get(page.services, page.app, msg_id, with_payload=False)
        except AppError:
            message = None
        found.append((msg_id, ids.timestamp_of(msg_id), message))
    return found


VIEWS: Final = (
    View(scope=Scope.APPLICATION, path="/recover", needs=Capability.CREATE_ATTEMPTS, handler=choose),
    View(scope=Scope.APPLICATION, path="/recover/check", needs=Capability.CREATE_ATTEMPTS, handler=check),
    View(scope=Scope.APPLICATION, path="/recover", method="POST", needs=Capability.CREATE_ATTEMPTS, handler=start),
    View(
        scope=Scope.APPLICATION,
        path="/endpoint/{endpoint_id}/recover",
        needs=Capability.CREATE_ATTEMPTS,
        handler=of_endpoint,
    ),
)
