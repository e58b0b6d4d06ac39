# SPDX-License-Identifier: MIT
"""The endpoints of an application: their list, one endpoint, and what may be done with it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from tidings import ids
from tidings.core import attempts, endpoint_connectors, endpoints, health, rollups, signing, transformations
from tidings.core.idempotency import Response
from tidings.errors import AppError, Fault
from tidings.model.attempt import AttemptFilter, MessageStatus
from tidings.model.endpoint import Endpoint
from tidings.model.endpoint_rules import key_of, secret_faults
from tidings.model.page import Cursor, Order
from tidings.model.rotation import GRACE_DEFAULT, GRACE_MAX
from tidings.model.token import Capability
from tidings.portal import listing
from tidings.portal.faults import explained
from tidings.portal.overview import bars_of
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Handler, Scope, View

_FAILURES: Final = 5
_HOUR_SECONDS: Final = 3_600
GRACES: Final = {
    "1 day": GRACE_DEFAULT,
    "7 days": GRACE_MAX,
    "1 hour": _HOUR_SECONDS,
    "None: the old secret ends now": 0,
}
"""How long an old secret may remain valid, in seconds, by the words for it."""


async def listed(page: PageRequest) -> Answer:
    """List the endpoints, oldest first."""
    await page.watch()
    position = listing.cursor(page, ids.ENDPOINT, Order.ASCENDING)
    return page.page("endpoints.html", found=await endpoints.page(page.services, page.app, position))


async def shown(page: PageRequest) -> Answer:
    """Show an endpoint."""
    await page.watch()
    return await _show(page)


async def _show(page: PageRequest, *, secret: str | None = None, faults: Sequence[Fault] = ()) -> Answer:
    services, app = page.services, page.app
    endpoint = await endpoints.get(services, app, page.path["endpoint_id"])
    failed = await attempts.page_of_endpoint(
        services,
        app,
        endpoint.id,
        Cursor(Order.DESCENDING, _FAILURES),
        AttemptFilter(status=MessageStatus.FAIL),
        with_message=True,
    )
    totals = await rollups.totals_of_endpoints(services, app, [endpoint.id])
    values: dict[str, Any] = {
        "endpoint": endpoint,
        "total": totals[endpoint.id].sum,
        "bars": bars_of(totals[endpoint.id].hours),
        "failures": failed.items,
        "headers": sorted(await endpoints.headers(services, app, endpoint.id)),
        "connector": await endpoint_connectors.of_endpoint(services, page.principal, app, endpoint.id),
        "limited_since": await health.throttled_since(services, app, endpoint.id),
        "transformation": await transformations.get(services, app, endpoint.id) if _may_transform(page) else None,
        "secret": secret,
        "graces": GRACES,
    }
    if faults:
        return page.invalid("endpoint.html", faults, **values)
    return page.page("endpoint.html", **values)


def _may_transform(page: PageRequest) -> bool:
    return page.may(Capability.MANAGE_TRANSFORMATIONS)


async def reveal(page: PageRequest) -> Answer:
    """Show an endpoint with its secret; a form asks for it, so that no address leads to it."""
    return await _show(page, secret=await signing.secret_of(page.services, page.app, page.path["endpoint_id"]))


async def rotate(page: PageRequest) -> Answer:
    """Replace the secret; the old one signs as well for the chosen time."""
    given, seconds = page.form["key"] or None, page.form["grace"]
    faults = list(secret_faults("key", given))
    if not seconds.isascii() or not seconds.isdigit() or len(seconds) > len(str(GRACE_MAX)) or int(seconds) > GRACE_MAX:
        faults.append(Fault(("body", "grace"), "Duration must be between 0 and 7 days"))
    if not faults:
        try:
            await signing.rotate(
                page.services,
                page.app,
                page.path["endpoint_id"],
                signing.Rotation(key_of(given), int(seconds)),
                idempotency_key=page.idempotency_key(),
            )
        except AppError as error:
            faults += explained(error, "key")
    if faults:
        return await _show(page, faults=faults)
    return page.redirect("endpoint", page.path["endpoint_id"], done="secret_rotated")


async def enable(page: PageRequest) -> Answer:
    """Enable an endpoint; on request, start the tasks that resend what it missed."""
    catching_up = page.context.catching_up if page.form.has("recover") and page.may(Capability.CREATE_ATTEMPTS) else ()
    await health.enable(
        page.services,
        page.app,
        page.path["endpoint_id"],
        health.EnableOptions(catching_up=catching_up, created_by=page.principal.creator),
        idempotency_key=page.idempotency_key(),
        render=lambda _enabled: Response(204),
    )
    done = "enabled_catching_up" if catching_up else "enabled"
    return page.redirect("endpoint", page.path["endpoint_id"], done=done)


async def disable(page: PageRequest) -> Answer:
    """Disable an endpoint: it receives nothing until it is enabled."""
    await endpoints.change(
        page.services,
        page.app,
        page.path["endpoint_id"],
        endpoints.EndpointEdit(_disabled, ()),
        render=lambda _endpoint: Response(204),
    )
    return page.redirect("endpoint", page.path["endpoint_id"], done="disabled")


def _disabled(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, disabled=True)


async def ask_delete(page: PageRequest) -> Answer:
    """Ask before an endpoint is deleted."""
    endpoint = await endpoints.get(page.services, page.app, page.path["endpoint_id"])
    return page.page("endpoint_delete.html", endpoint=endpoint)


async def delete(page: PageRequest) -> Answer:
    """Delete an endpoint; its pending deliveries are discarded."""
    await endpoints.delete(page.services, page.app, page.path["endpoint_id"])
    return page.redirect("endpoint", done="endpoint_deleted")


_ONE: Final = "/endpoint/{endpoint_id}"


def _form(path: str, handler: Handler, needs: Capability = Capability.MANAGE_ENDPOINT) -> View:
    return View(scope=Scope.APPLICATION, path=_ONE + path, method="POST", handler=handler, needs=needs)


VIEWS: Final = (
    View(scope=Scope.APPLICATION, path="/endpoint", handler=listed),
    View(scope=Scope.APPLICATION, path=_ONE, handler=shown),
    View(scope=Scope.APPLICATION, path=f"{_ONE}/delete", handler=ask_delete, needs=Capability.MANAGE_ENDPOINT),
    _form("/delete", delete),
    _form("/enable", enable),
    _form("/disable", disable),
    _form("/secret", reveal, Capability.VIEW_ENDPOINT_SECRET),
    _form("/secret/rotate", rotate, Capability.MANAGE_ENDPOINT_SECRET),
)
