# SPDX-License-Identifier: MIT
"""Apply the present version of its connector to an endpoint, after a page that shows what changes."""

from collections.abc import Sequence
from typing import Any, Final

from tidings.core import endpoint_connectors, endpoints, transformations
from tidings.core.endpoint_connectors import ConnectorApplication, ConnectorUse, digest_of
from tidings.core.idempotency import Response
from tidings.errors import AppError, Fault, conflict, not_found
from tidings.model.token import Capability
from tidings.portal import script_diff
from tidings.portal.faults import explained
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_CHANGED: Final = "The connector or the script has changed since this page was opened. See what changes now."


async def reviewing(page: PageRequest) -> Answer:
    """Show what the present version of the connector changes in the script of the endpoint."""
    return await _review(page)


async def _review(page: PageRequest, faults: Sequence[Fault] = ()) -> Answer:
    services, ref = page.services, page.path["endpoint_id"]
    use = await _use(page)
    present = await transformations.get(services, page.app, ref)
    script = present.code or ""
    values: dict[str, Any] = {
        "endpoint": await endpoints.get(services, page.app, ref),
        "use": use,
        "is_enabled": present.enabled,
        "lines": script_diff.lines_of(script, use.connector.transformation),
        "seen": _seen(use, script),
    }
    if faults:
        return page.invalid("connector_update.html", faults, **values)
    return page.page("connector_update.html", **values)


async def _use(page: PageRequest) -> ConnectorUse:
    found = await endpoint_connectors.of_endpoint(page.services, page.principal, page.app, page.path["endpoint_id"])
    if found is None:
        raise not_found()
    return found


def _seen(use: ConnectorUse, script: str) -> str:
    """Return the name of what a page shows: the version of the connector and the script of the endpoint."""
    return f"{use.connector.id} {use.connector.version} {digest_of(script)}"


async def apply(page: PageRequest) -> Answer:
    """Give the endpoint the script of the connector, if both are still those that the page showed."""
    use, ref = await _use(page), page.path["endpoint_id"]

    def require_seen(script: str) -> None:
        if page.form["seen"] != _seen(use, script):
            raise conflict(_CHANGED)

    try:
        await endpoint_connectors.apply(
            page.services,
            page.app,
            ref,
            ConnectorApplication(use.connector, require=require_seen),
            render=lambda _: Response(200, b"{}"),
        )
    except AppError as error:
        faults = [Fault(("body", "form"), fault.msg) for fault in explained(error, "form")]
        return await _review(page, faults)
    return page.redirect("endpoint", ref, done="connector_applied")


_PATH: Final = "/endpoint/{endpoint_id}/connector"
_NEEDS: Final = Capability.MANAGE_TRANSFORMATIONS

VIEWS: Final = (
    View(scope=Scope.APPLICATION, path=_PATH, handler=reviewing, needs=_NEEDS),
    View(scope=Scope.APPLICATION, path=_PATH, method="POST", handler=apply, needs=_NEEDS),
)
