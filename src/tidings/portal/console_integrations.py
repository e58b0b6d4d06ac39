# SPDX-License-Identifier: MIT
"""The integrations of an application in the console: list, create, change and delete them, and rotate their keys.

Only the organization manages them, so the portal has no such page. The text of a new key is shown in the answer to the
form that made it, and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidings.core import integrations
from tidings.core.idempotency import Response
from tidings.core.integrations import IntegrationDraft
from tidings.errors import AppError, Fault, conflict
from tidings.model.faults import flag_faults, text_faults, unique
from tidings.model.integration import Integration
from tidings.model.page import Order
from tidings.portal.connector_form import names_in
from tidings.portal.faults import explained
from tidings.portal.request import CONSOLE, Form, PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Handler, Scope, View

_LIST: Final = "console_integrations.html"
_ONE: Final = "console_integration.html"
_CHANGED: Final = "changed_meanwhile"
_LOST: Final = (
    "This form made a key before the secret of the service changed. It cannot be shown again; make another one."
)


@dataclass(frozen=True, slots=True)
class _Fields:
    """The values of the form as texts, as the user typed them."""

    name: str = ""
    flags: str = ""
    seen: str = ""
    """When the integration that the form shows was last changed."""

    @classmethod
    def given(cls, form: Form) -> "_Fields":
        return cls(form["name"], form["flags"], form["seen"])

    @classmethod
    def of(cls, found: Integration) -> "_Fields":
        return cls(found.name, " ".join(found.feature_flags or ()), str(found.updated_at))

    def faults(self) -> list[Fault]:
        """Return a fault for each value that breaks a rule."""
        if not self.name:
            return [Fault(("body", "name"), "Give the integration a name.")]
        return [*text_faults("name", self.name), *flag_faults("flags", names_in(self.flags))]

    def drafted(self) -> IntegrationDraft:
        """Return the integration that the form describes; the form has no faults."""
        return IntegrationDraft(self.name, unique(names_in(self.flags)))


async def listed(page: PageRequest) -> Answer:
    """Show a page of the integrations, and the form of a new one."""
    return await _list(page, _Fields())


async def _list(page: PageRequest, fields: _Fields, faults: Sequence[Fault] = ()) -> Answer:
    found = await integrations.page(page.services, page.app, page.cursor(Order.ASCENDING))
    keys = await integrations.keys(page.services, page.app, found.items)
    values: dict[str, Any] = {"found": found, "keys": keys, "fields": fields}
    return page.invalid(_LIST, faults, **values) if faults else page.page(_LIST, **values)


async def create(page: PageRequest) -> Answer:
    """Create an integration with its first key, and show the text of the key."""
    fields = _Fields.given(page.form)
    faults = fields.faults()
    if faults:
        return await _list(page, fields, faults)
    try:
        made = await integrations.create(
            page.services,
            page.app,
            fields.drafted(),
            idempotency_key=page.idempotency_key(),
            render=lambda integration: Response(201, integration.id.encode()),
        )
    except AppError as error:
        return await _list(page, fields, explained(error, "name"))
    return await _with_new_key(page, made.body.decode())


async def one(page: PageRequest) -> Answer:
    """Show an integration with the form that changes it."""
    return await _one(page, page.path["integ_id"])


async def _one(
    page: PageRequest, integ_id: str, fields: _Fields | None = None, faults: Sequence[Fault] = (), text: str = ""
) -> Answer:
    found = await integrations.get(page.services, page.app, integ_id)
    values: dict[str, Any] = {
        "integration": found,
        "fields": fields or _Fields.of(found),
        "key": (await integrations.keys(page.services, page.app, [found])).get(found.id),
        "text": text,
    }
    return page.invalid(_ONE, faults, **values) if faults else page.page(_ONE, **values)


async def change(page: PageRequest) -> Answer:
    """Change the name and the feature flags; the key has the new flags within two seconds."""
    integ_id, fields = page.path["integ_id"], _Fields.given(page.form)
    faults = fields.faults()
    if faults:
        return await _one(page, integ_id, fields, faults)

    def require_seen(before: Integration) -> None:
        if fields.seen != str(before.updated_at):
            raise conflict("The integration was changed since this page was opened.", code=_CHANGED)

    try:
        await integrations.change(page.services, page.app, integ_id, fields.drafted(), require=require_seen)
    except AppError as error:
        if error.code != _CHANGED:
            raise
        now = _Fields.of(await integrations.get(page.services, page.app, integ_id))
        detail = f"{error.detail} Check the values and save them again."
        return await _one(
            page, integ_id, _Fields(fields.name, fields.flags, now.seen), [Fault(("body", "form"), detail)]
        )
    return page.redirect("integration", integ_id, done="saved")


async def rotate(page: PageRequest) -> Answer:
    """Give an integration a new key, and show its text; the previous key ends within two seconds."""
    return await _with_new_key(page, page.path["integ_id"])


async def _with_new_key(page: PageRequest, integ_id: str) -> Answer:
    caller = page.principal
    try:
        text = await integrations.rotate_key(
            page.services,
            page.app,
            integ_id,
            signer=page.context.signer,
            created_by=caller.creator if caller.author or caller.key is None else caller.key.id,
            idempotency_key=page.idempotency_key("key"),
        )
    except AppError as error:
        if error.code != "conflict":
            raise
        return await _one(page, integ_id, faults=[Fault(("body", "form"), _LOST)])
    return await _one(page, integ_id, text=text)


async def delete(page: PageRequest) -> Answer:
    """Delete an integration, and end its key."""
    await integrations.delete(page.services, page.app, page.path["integ_id"])
    return page.redirect("integration", done="integration_deleted")


def _view(path: str, handler: Handler, method: str = "GET") -> View:
    return View(scope=Scope.APPLICATION, path=path, method=method, handler=handler, shell=CONSOLE)


_PATH: Final = "/integration/{integ_id}"

VIEWS: Final = (
    _view("/integration", listed),
    _view("/integration", create, "POST"),
    _view(_PATH, one),
    _view(_PATH, change, "POST"),
    _view(f"{_PATH}/rotate", rotate, "POST"),
    _view(f"{_PATH}/delete", delete, "POST"),
)
