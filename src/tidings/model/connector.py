# SPDX-License-Identifier: MIT
"""A connector: a named, versioned template of the script that makes requests for another product."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from tidings.errors import Fault
from tidings.ids import CONNECTOR, ConnectorId, OrgId
from tidings.model import text
from tidings.model.faults import text_faults

SCRIPT_MIN: Final = 10
SCRIPT_MAX: Final = 51_200
"""Characters of a script, as in the contract."""
INSTRUCTIONS_MAX: Final = 51_200
"""Bytes of the instructions."""
LOGO_MAX: Final = 16_384
"""Bytes of the URL of a logo, which may contain the image."""
TYPES_MAX: Final = 500
"""Maximum event types of one connector: as many as an endpoint may subscribe to."""
CONNECTORS_MAX: Final = 100
"""Maximum connectors of one organization."""
VERSIONS_KEPT: Final = 20
"""The former scripts of a connector that are kept."""
BUILT_IN: Final = "tidings."
"""The start of the uids of built-in connectors, which no other connector may have."""


class ConnectorKind(Enum):
    """The product that a connector makes requests for."""

    CUSTOM = "Custom"
    """Any other product."""
    AGENTIC_COMMERCE_PROTOCOL = "AgenticCommerceProtocol"
    """Agentic Commerce Protocol."""
    CLOSE_CRM = "CloseCRM"
    """Close."""
    CUSTOMER_IO = "CustomerIO"
    """Customer.io."""
    DISCORD = "Discord"
    """Discord."""
    HUBSPOT = "Hubspot"
    """HubSpot."""
    INNGEST = "Inngest"
    """Inngest."""
    LOOPS = "Loops"
    """Loops."""
    OTEL = "Otel"
    """OpenTelemetry."""
    RESEND = "Resend"
    """Resend."""
    SALESFORCE = "Salesforce"
    """Salesforce."""
    SEGMENT = "Segment"
    """Segment."""
    SENDGRID = "Sendgrid"
    """SendGrid."""
    SLACK = "Slack"
    """Slack."""
    TEAMS = "Teams"
    """Microsoft Teams."""
    TRIGGER_DEV = "TriggerDev"
    """Trigger.dev."""
    WINDMILL = "Windmill"
    """Windmill."""
    ZAPIER = "Zapier"
    """Zapier."""


class ConnectorProduct(Enum):
    """What a connector is for."""

    DISPATCH = "Dispatch"
    """Endpoints."""
    STREAM = "Stream"
    """Sinks of streams, which tidings does not serve: the connector is stored and listed only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorDraft:
    """A validated request to create or replace a connector."""

    uid: str | None
    name: str
    logo: str | None
    description: str
    kind: ConnectorKind
    instructions: str
    allowed_event_types: tuple[str, ...] | None
    feature_flags: tuple[str, ...] | None
    transformation: str
    product_type: ConnectorProduct


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A connector. A script is never changed in place: another script is another version."""

    id: ConnectorId
    org_id: OrgId
    uid: str | None
    name: str
    logo: str | None
    description: str
    kind: ConnectorKind
    instructions: str
    allowed_event_types: tuple[str, ...] | None
    feature_flags: tuple[str, ...] | None
    transformation: str
    version: int
    product_type: ConnectorProduct
    created_at: int
    updated_at: int
    transformation_updated_at: int

    @property
    def is_built_in(self) -> bool:
        """Whether the connector is a part of this release, which no request can change."""
        return self.uid is not None and self.uid.startswith(BUILT_IN)


@dataclass(frozen=True, slots=True)
class ConnectorVersion:
    """One script of a connector."""

    version: int
    transformation: str
    created_at: int


def script_faults(field: str, script: str | None) -> Iterator[Fault]:
    """Yield a fault if a script is too short or too long. The sandbox finds the other errors."""
    if script is None:
        return
    if not SCRIPT_MIN <= len(script) <= SCRIPT_MAX:
        yield Fault(("body", field), f"{field} must have {SCRIPT_MIN} to {SCRIPT_MAX:,} characters.")
    yield from text_faults(field, script, 4 * SCRIPT_MAX)


def logo_faults(field: str, logo: str | None) -> Iterator[Fault]:
    """Yield a fault if the logo is not the URL of an image that a page could show."""
    if logo is None:
        return
    if len(logo.encode("utf-8", "surrogatepass")) > LOGO_MAX:
        yield Fault(("body", field), f"{field} must have at most {LOGO_MAX:,} bytes.")
    elif not logo.isprintable() or not _is_image(logo):
        yield Fault(("body", field), f"{field} must be a URL that begins with https:, http: or data:image/.")


def _is_image(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return url.startswith("data:image/") or (parts.scheme in ("http", "https") and bool(parts.hostname))


def uid_faults(uid: str | None) -> Iterator[Fault]:
    """Yield the faults of a uid, which must not have the form of an id or of the uid of a built-in connector."""
    yield from text.uid_faults("uid", uid, CONNECTOR)
    if uid is not None and uid.startswith(BUILT_IN):
        wrong = f"Uids that begin with `{BUILT_IN}` belong to built-in connectors. Choose another one."
        yield Fault(("body", "uid", "__all__"), wrong)
