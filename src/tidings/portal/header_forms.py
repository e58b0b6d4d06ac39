# SPDX-License-Identifier: MIT
"""The form for the headers that every request to an endpoint carries."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tidings.core import endpoints
from tidings.errors import AppError, Fault, invalid
from tidings.model.endpoint import header_faults, is_redacted, merged
from tidings.model.token import Capability
from tidings.portal.faults import explained
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View


async def editing(page: PageRequest) -> Answer:
    """Show the headers with their values, without the values of sensitive ones."""
    return await _form(page, "", "")


async def _form(page: PageRequest, name: str, value: str, faults: Sequence[Fault] = ()) -> Answer:
    endpoint = await endpoints.get(page.services, page.app, page.path["endpoint_id"])
    found = await endpoints.headers(page.services, page.app, endpoint.id)
    headers = [(each, None if is_redacted(each) else found[each]) for each in sorted(found, key=str.lower)]
    values: dict[str, Any] = {"endpoint": endpoint, "headers": headers, "name": name, "value": value}
    if faults:
        return page.invalid("endpoint_headers.html", faults, **values)
    return page.page("endpoint_headers.html", **values)


async def set_one(page: PageRequest) -> Answer:
    """Set one header; a header of the same name in any case is replaced."""
    name, value = page.form["name"], page.form["value"]

    def edited(headers: Mapping[str, str]) -> Mapping[str, str]:
        found = merged(headers, {name: value}, ())
        faults = header_faults({name: value}) or header_faults(found)
        if faults:
            raise invalid(*faults)
        return found

    try:
        await endpoints.set_headers(page.services, page.app, page.path["endpoint_id"], edited)
    except AppError as error:
        return await _form(page, name, "" if is_redacted(name) else value, explained(error, "headers"))
    return page.redirect("endpoint", page.path["endpoint_id"], "header", done="saved")


async def delete_one(page: PageRequest) -> Answer:
    """Delete one header."""
    name = page.form["name"]
    await endpoints.set_headers(
        page.services, page.app, page.path["endpoint_id"], lambda headers: merged(headers, {}, (name,))
    )
    return page.redirect("endpoint", page.path["endpoint_id"], "header", done="deleted")


_PATH: Final = "/endpoint/{endpoint_id}/header"
_NEEDS: Final = Capability.MANAGE_ENDPOINT

VIEWS: Final = (
    View(scope=Scope.APPLICATION, path=_PATH, handler=editing, needs=_NEEDS),
    View(scope=Scope.APPLICATION, path=_PATH, method="POST", handler=set_one, needs=_NEEDS),
    View(scope=Scope.APPLICATION, path=f"{_PATH}/delete", method="POST", handler=delete_one, needs=_NEEDS),
)
