# SPDX-License-Identifier: MIT
"""The values of the form of a connector. They have the rules of the API."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tidings.errors import Fault
from tidings.model import text
from tidings.model.connector import (
    INSTRUCTIONS_MAX,
    TYPES_MAX,
    Connector,
    ConnectorDraft,
    ConnectorKind,
    ConnectorProduct,
    logo_faults,
    script_faults,
    uid_faults,
)
from tidings.model.faults import count_faults, flag_faults, set_faults, text_faults, unique
from tidings.portal.request import Form

_STARTER: Final = """\
// Called with each message of an endpoint that uses the connector. What it returns is sent.
// webhook: method, url, headers, eventType, channels, payload, env (the variables), cancel.
function handler(webhook) {
  webhook.payload = { text: webhook.eventType };
  return webhook;
}
"""
_NAMES: Final = {
    "AgenticCommerceProtocol": "Agentic Commerce Protocol",
    "CloseCRM": "Close",
    "CustomerIO": "Customer.io",
    "Hubspot": "HubSpot",
    "Otel": "OpenTelemetry",
    "Sendgrid": "SendGrid",
    "Teams": "Microsoft Teams",
    "TriggerDev": "Trigger.dev",
}
"""The names of products that are written differently in the API."""


def product_name(kind: ConnectorKind) -> str:
    """Return the name of the product that a connector makes requests for."""
    return _NAMES.get(kind.value, kind.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorFields:
    """The values of the form as texts, as the user typed them."""

    name: str = ""
    uid: str = ""
    kind: str = ConnectorKind.CUSTOM.value
    logo: str = ""
    description: str = ""
    instructions: str = ""
    script: str = _STARTER
    flags: str = ""
    is_all: bool = True
    """Whether an endpoint may subscribe to all event types."""
    types: tuple[str, ...] = ()
    seen: str = ""
    """When the connector that the form shows was last changed."""

    @classmethod
    def given(cls, form: Form) -> "ConnectorFields":
        """Return the values of a sent form."""
        texts = {name: form[name] for name in ("name", "uid", "kind", "logo", "flags", "seen")}
        return cls(
            **texts,
            description=_lines(form["description"]),
            instructions=_lines(form.raw("instructions")),
            script=_lines(form.raw("script")),
            is_all=form["subscribe"] != "some",
            types=tuple(dict.fromkeys(form.all("types"))),
        )

    @classmethod
    def of(cls, connector: Connector) -> "ConnectorFields":
        """Return the values of a connector."""
        return cls(
            name=connector.name,
            uid=connector.uid or "",
            kind=connector.kind.value,
            logo=connector.logo or "",
            description=connector.description,
            instructions=connector.instructions,
            script=connector.transformation,
            flags=" ".join(connector.feature_flags or ()),
            is_all=connector.allowed_event_types is None,
            types=connector.allowed_event_types or (),
            seen=str(connector.updated_at),
        )

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule."""
        if not self.name:
            yield Fault(("body", "name"), "Give the connector a name.")
        yield from text_faults("name", self.name)
        yield from uid_faults(self.uid or None)
        if self.kind not in _KINDS:
            yield Fault(("body", "kind"), "Choose a product of the list.")
        yield from logo_faults("logo", self.logo or None)
        yield from text_faults("description", self.description)
        yield from text_faults("instructions", self.instructions, INSTRUCTIONS_MAX)
        yield from self._type_faults()
        yield from script_faults("script", self.script)
        yield from flag_faults("flags", self._flags)

    def _type_faults(self) -> Iterator[Fault]:
        if self.is_all:
            return
        if not self.types:
            yield Fault(("body", "types"), "Choose at least one event type, or all of them.")
        yield from count_faults("types", self.types, TYPES_MAX)
        yield from set_faults("types", map(text.name_error, self.types))

    @property
    def _flags(self) -> list[str] | None:
        return names_in(self.flags)

    def drafted(self) -> ConnectorDraft:
        """Return the connector that the form describes; the form has no faults."""
        return ConnectorDraft(
            uid=self.uid or None,
            name=self.name,
            logo=self.logo or None,
            description=self.description,
            kind=ConnectorKind(self.kind),
            instructions=self.instructions,
            allowed_event_types=None if self.is_all else self.types,
            feature_flags=unique(self._flags),
            transformation=self.script,
            product_type=ConnectorProduct.DISPATCH,
        )


_KINDS: Final = frozenset(each.value for each in ConnectorKind)


def names_in(words: str) -> list[str] | None:
    """Return the names in a field that are separated by spaces or commas; None if there are none."""
    return words.replace(",", " ").split() or None


def _lines(words: str) -> str:
    """Return a text of a form with the line ends that were typed."""
    return words.replace("\r\n", "\n")
