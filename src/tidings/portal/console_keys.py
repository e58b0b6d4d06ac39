# SPDX-License-Identifier: MIT
"""API keys in the console: list, create and revoke them. The text of a new key is shown once."""

from dataclasses import dataclass
from typing import Any, Final

from tidings.clock import DAY
from tidings.core import api_keys
from tidings.core.api_keys import KeyDraft, KeyRights, NewKey
from tidings.errors import AppError, ErrorKind, Fault, forbidden
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.model import api_key
from tidings.model.api_key import KeyScope
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer, Html
from tidings.portal.view import Scope, View

_TEMPLATE: Final = "console_keys.html"
_LIFETIMES: Final = {"30": 30 * DAY, "90": 90 * DAY, "365": 365 * DAY, "": None}
_EMPTY: Final = {"name": "", "scope": "organization", "app": "", "days": "365", "read_only": ""}


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The values of the form, and the key that it made."""

    values: dict[str, str]
    made: NewKey | None = None


async def listed(page: PageRequest) -> Answer:
    """Show a page of the keys of an organization, and the form of a new one."""
    return await _rendered(page, KeyForm(_EMPTY))


async def _rendered(page: PageRequest, form: KeyForm, *faults: Fault) -> Html:
    found = await api_keys.page(page.services.db, _org(page), page.cursor())
    values: dict[str, Any] = {"found": found, "form": form.values, "made": form.made}
    if faults:
        return page.invalid(_TEMPLATE, faults, **values)
    return page.page(_TEMPLATE, **values, faults={})


def _org(page: PageRequest) -> OrgId:
    """Return the organization; raise `forbidden` for that of operators, whose keys the command line manages."""
    if page.org_id == MANAGEMENT_ORG:
        raise forbidden()
    return page.org_id


async def create(page: PageRequest) -> Answer:
    """Create a key, and show its text."""
    values = {name: page.form[name] for name in _EMPTY}
    faults = _faults(values)
    if faults:
        return await _rendered(page, KeyForm(values), *faults)
    caller = page.principal
    draft = KeyDraft(
        _org(page),
        values["name"],
        _rights(values),
        created_by=caller.creator if caller.author or caller.key is None else caller.key.id,
        lifetime_ms=_LIFETIMES[values["days"]],
    )
    try:
        made = await api_keys.create_once(page.services, draft, page.idempotency_key())
    except AppError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return await _rendered(page, KeyForm(values), Fault(("body", "app"), "This application does not exist."))
    return await _rendered(page, KeyForm(_EMPTY, made))


def _rights(values: dict[str, str]) -> KeyRights:
    is_app = values["scope"] == KeyScope.APPLICATION.value
    scope = KeyScope.APPLICATION if is_app else KeyScope.ORGANIZATION
    return KeyRights(scope, values["app"] if is_app else None, is_read_only=bool(values["read_only"]))


def _faults(values: dict[str, str]) -> list[Fault]:
    wrong = {
        "name": api_key.name_error(values["name"]),
        "scope": None if values["scope"] in ("organization", "application") else "Choose a scope.",
        "days": None if values["days"] in _LIFETIMES else "Choose an expiry.",
    }
    if values["scope"] == "application" and not api_key.is_reference(values["app"]):
        wrong["app"] = "Give the id or the uid of the application."
    return [Fault(("body", name), message) for name, message in wrong.items() if message is not None]


async def revoke(page: PageRequest) -> Answer:
    """Revoke a key; every node refuses it within two seconds."""
    services = page.services
    await api_keys.revoke(
        services.db, _org(page), page.path["key_id"], services.clock.now(), changed=services.notifier.keys
    )
    return page.redirect("key", done="revoked")


VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="/key", handler=listed),
    View(scope=Scope.ORGANIZATION, path="/key", method="POST", handler=create),
    View(scope=Scope.ORGANIZATION, path="/key/{key_id}/revoke", method="POST", handler=revoke),
)
