# SPDX-License-Identifier: MIT
"""The editor of an endpoint's transformation: a script, its variables, and a test with a message."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tidings.core import connectors, endpoints, messages, transformations
from tidings.core.transformations import Transformation
from tidings.errors import AppError, ErrorKind, Fault, conflict
from tidings.model.connector import ConnectorProduct
from tidings.model.message import Message, MessageFilter
from tidings.model.page import Cursor, Order
from tidings.model.token import Capability
from tidings.model.transformation import VARIABLES_MAX, Transformed, Webhook, code_faults, variable_faults
from tidings.portal.faults import explained
from tidings.portal.json_text import indented
from tidings.portal.request import Form, PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_RECENT: Final = 20
"""The messages that the form offers for a test; any other one is found by its id."""
_TEMPLATES: Final = 100
_EMPTY_ROWS: Final = 2
"""The rows for new variables."""
_FORM_BYTES: Final = 512 * 1024
_STARTER: Final = """\
// Called with each message before it is sent. What it returns is what the endpoint receives.
// webhook: method, url, headers, eventType, channels, payload, env (the variables), cancel.
function handler(webhook) {
  return webhook;
}
"""
_CHANGED: Final = "This transformation has changed since the page was opened. Open it again, and repeat your changes."


@dataclass(frozen=True, slots=True)
class _Fields:
    """What the form holds."""

    code: str
    variables: tuple[tuple[str, str], ...]
    is_enabled: bool
    seen: str
    """The version that the form was made from."""
    message: str = ""
    """The id or the event id of the message of the test."""

    @classmethod
    def of_form(cls, form: Form) -> "_Fields":
        names, values = form.rows("name"), form.rows("value")
        given = zip((each.strip() for each in names), values, strict=False)
        return cls(
            _lines(form.raw("code")),
            tuple((name, _lines(value)) for name, value in given if name or value),
            form.has("enabled"),
            form["seen"],
            form["other"] or form["message"],
        )

    @classmethod
    def of(cls, found: Transformation, message: str) -> "_Fields":
        is_enabled = found.enabled or found.code is None  # a first script is written to be used
        return cls(found.code or _STARTER, tuple(found.variables.items()), is_enabled, _version(found), message)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The variables, and empty rows for more."""
        return [*self.variables, *[("", "")] * min(_EMPTY_ROWS, VARIABLES_MAX - len(self.variables))]

    def faults(self) -> list[Fault]:
        """Return the faults of the form itself."""
        found = [*code_faults(self.code), *variable_faults(dict(self.variables))]
        names = [name for name, _ in self.variables]
        if "" in names:
            found.append(Fault(("body", "variables"), "Give each variable a name."))
        elif len(set(names)) < len(names):
            found.append(Fault(("body", "variables"), "Two variables have the same name."))
        return found

    def applied(self, to: Transformation) -> Transformation:
        """Return the transformation of the form; raise `conflict` if the form was made from another version."""
        if self.seen != _version(to):
            raise conflict(_CHANGED)
        return replace(to, code=self.code, variables=dict(self.variables), enabled=self.is_enabled)


@dataclass(frozen=True, slots=True)
class _Test:
    """A message before and after the script."""

    message: Message
    result: Transformed

    @property
    def before(self) -> str:
        return indented(self.message.payload or b"")

    @property
    def after(self) -> str:
        return indented(self.result.payload)


def _version(found: Transformation) -> str:
    return str(found.updated_at or "")


def _lines(text: str) -> str:
    """Return a text of a form with the line ends that were typed."""
    return text.replace("\r\n", "\n")


async def editing(page: PageRequest) -> Answer:
    """Show the script and the variables; with `connector` in the query, the script of a connector instead."""
    found = await transformations.get(page.services, page.app, page.path["endpoint_id"])
    fields = _Fields.of(found, page.query["message"])
    if page.query["connector"]:
        chosen = await connectors.get(page.services, page.principal, page.query["connector"])
        fields = replace(fields, code=chosen.transformation, is_enabled=True)
        return await _form(page, fields, chosen=chosen)
    return await _form(page, fields)


async def _form(page: PageRequest, fields: _Fields, faults: Sequence[Fault] = (), **more: Any) -> Answer:  # noqa: ANN401
    cursor = Cursor(Order.ASCENDING, _TEMPLATES)
    offered = await connectors.page(page.services, page.principal, cursor, ConnectorProduct.DISPATCH, has_built_in=True)
    recent = await messages.page(
        page.services, page.app, Cursor(Order.DESCENDING, _RECENT), MessageFilter(), with_payload=False
    )
    values: dict[str, Any] = {
        "endpoint": await endpoints.get(page.services, page.app, page.path["endpoint_id"]),
        "fields": fields,
        "is_available": transformations.is_available(),
        "connectors": offered.items,
        "recent": recent.items,
        "chosen": None,
        "test": None,
        **more,
    }
    if faults:
        return page.invalid("transformation.html", faults, **values)
    return page.page("transformation.html", **values)


async def sent(page: PageRequest) -> Answer:
    """Save the form, or test its script with a message: whichever button was used."""
    fields = _Fields.of_form(page.form)
    faults = fields.faults()
    if faults:
        return await _form(page, fields, faults)
    try:
        if page.form["do"] == "test":
            return await _form(page, fields, test=await _test(page, fields))
        await transformations.change(page.services, page.app, page.path["endpoint_id"], fields.applied)
    except AppError as error:
        return await _form(page, fields, explained(error, "form"))
    return page.redirect("endpoint", page.path["endpoint_id"], "transformation", done="saved")


async def _test(page: PageRequest, fields: _Fields) -> _Test:
    message = await _message(page, fields.message)
    payload = message.payload
    if payload is None:
        raise AppError(ErrorKind.CONFLICT, "conflict", "The payload of this message is deleted. Choose another one.")

    def webhook(url: str) -> Webhook:
        return Webhook(url, message.event_type, payload, message.channels)

    result = await transformations.simulate(
        page.services, page.app, page.path["endpoint_id"], fields.code, webhook, dict(fields.variables)
    )
    return _Test(message, result)


async def _message(page: PageRequest, ref: str) -> Message:
    try:
        return await messages.get(page.services, page.app, ref, with_payload=True)
    except AppError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        raise conflict("There is no message with this id. Choose one of the list, or send a test event.") from error


async def removed(page: PageRequest) -> Answer:
    """Remove the script and its variables."""
    await transformations.change(page.services, page.app, page.path["endpoint_id"], lambda _: Transformation())
    return page.redirect("endpoint", page.path["endpoint_id"], "transformation", done="deleted")


_PATH: Final = "/endpoint/{endpoint_id}/transformation"
_NEEDS: Final = Capability.MANAGE_TRANSFORMATIONS

VIEWS: Final = (
    View(scope=Scope.APPLICATION, path=_PATH, handler=editing, needs=_NEEDS),
    View(scope=Scope.APPLICATION, path=_PATH, method="POST", handler=sent, needs=_NEEDS, form_bytes=_FORM_BYTES),
    View(scope=Scope.APPLICATION, path=f"{_PATH}/delete", method="POST", handler=removed, needs=_NEEDS),
)
