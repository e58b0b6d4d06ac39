# SPDX-License-Identifier: MIT
"""Request bodies that create, replace and patch a connector."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tidings.api.fields import UID, WORDS, Name, given
from tidings.api.wire import In
from tidings.errors import Fault
from tidings.model import text
from tidings.model.connector import (
    INSTRUCTIONS_MAX,
    LOGO_MAX,
    SCRIPT_MAX,
    SCRIPT_MIN,
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

_LOGO: Final = Meta(
    extra_json_schema={
        "format": "uri",
        "maxLength": LOGO_MAX,
        "pattern": "^(https?://|data:image/)",
        "example": "https://example.com/logo.png",
    }
)
_INSTRUCTIONS: Final = Meta(
    extra_json_schema={
        "maxLength": INSTRUCTIONS_MAX,
        "pattern": r"^[^\x00-\x08]*$",
        "example": "Paste the URL of your incoming webhook.",
    }
)
_SCRIPT: Final = Meta(
    extra_json_schema={
        "minLength": SCRIPT_MIN,
        "maxLength": SCRIPT_MAX,
        "pattern": r"^[^\x00-\x08]*$",
        "example": "function handler(webhook) { return webhook; }",
    }
)
_TYPES: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": TYPES_MAX})
_FLAGS: Final = Meta(extra_json_schema={"uniqueItems": True, "maxItems": text.FLAGS_MAX})
_NO_TYPES: Final = "allowedEventTypes must have at least one item, or be set to null."


class ConnectorUpsertIn(In, kw_only=True):
    """The new content of a connector."""

    name: Annotated[str, WORDS] = ""
    """A name for people, at most 4,096 bytes. Empty by default."""
    logo: Annotated[str | None, _LOGO] = None
    """The URL of an image. Null, the default, means none."""
    description: Annotated[str, WORDS] = ""
    """A description for people, at most 4,096 bytes. Empty by default."""
    kind: ConnectorKind = ConnectorKind.CUSTOM
    """The product that receives the messages. `Custom` by default."""
    instructions: Annotated[str, _INSTRUCTIONS] = ""
    """What to do to create an endpoint, as Markdown of at most 51,200 bytes. Empty by default."""
    allowed_event_types: Annotated[list[Name] | None, _TYPES] = None
    """The event types that an endpoint of the connector may subscribe to. Null, the default, means all."""
    transformation: Annotated[str, _SCRIPT]
    """The script that changes each request, with a function `handler(webhook)` in JavaScript."""
    feature_flags: Annotated[list[Name] | None, _FLAGS] = None
    """Only application tokens with one of these feature flags may see the connector. Null, the default, means all."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from text_faults("name", self.name)
        yield from logo_faults("logo", self.logo)
        yield from text_faults("description", self.description)
        yield from text_faults("instructions", self.instructions, INSTRUCTIONS_MAX)
        yield from _type_faults(self.allowed_event_types)
        yield from script_faults("transformation", self.transformation)
        yield from flag_faults("featureFlags", self.feature_flags)

    def drafted(self, uid: str | None, product_type: ConnectorProduct = ConnectorProduct.DISPATCH) -> ConnectorDraft:
        """Return the connector that the body describes."""
        return ConnectorDraft(
            uid=uid,
            name=self.name,
            logo=self.logo,
            description=self.description,
            kind=self.kind,
            instructions=self.instructions,
            allowed_event_types=unique(self.allowed_event_types),
            feature_flags=unique(self.feature_flags),
            transformation=self.transformation,
            product_type=product_type,
        )


class ConnectorIn(ConnectorUpsertIn, kw_only=True):
    """The connector to create."""

    name: Annotated[str, WORDS]
    """A name for people, at most 4,096 bytes."""
    uid: Annotated[str | None, UID] = None
    """An identifier of your choice, unique in the organization, that does not begin with `trtmpl_` or `tidings.`."""
    product_type: ConnectorProduct | None = None
    """What the connector is for. Null, the default, means `Dispatch`."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from uid_faults(self.uid)
        yield from ConnectorUpsertIn.faults(self)

    def made(self) -> ConnectorDraft:
        """Return the connector that the body describes."""
        return self.drafted(self.uid, self.product_type or ConnectorProduct.DISPATCH)


class ConnectorPatch(In, kw_only=True):
    """The changes to a connector. An absent property stays as it is, and null clears one that may be null."""

    name: Annotated[str | UnsetType, WORDS] = UNSET
    """The new name for people, at most 4,096 bytes."""
    logo: Annotated[str | UnsetType | None, _LOGO] = UNSET
    """The URL of the new image. Null removes it."""
    description: Annotated[str | UnsetType, WORDS] = UNSET
    """The new description for people, at most 4,096 bytes."""
    kind: ConnectorKind | UnsetType = UNSET
    """The product that receives the messages."""
    instructions: Annotated[str | UnsetType, _INSTRUCTIONS] = UNSET
    """What to do to create an endpoint, as Markdown of at most 51,200 bytes."""
    allowed_event_types: Annotated[list[Name] | UnsetType | None, _TYPES] = UNSET
    """The event types that an endpoint of the connector may subscribe to. Null means all."""
    transformation: Annotated[str | UnsetType, _SCRIPT] = UNSET
    """The new script. Endpoints keep the script that they got before."""
    feature_flags: Annotated[list[Name] | UnsetType | None, _FLAGS] = UNSET
    """Only application tokens with one of these feature flags may see the connector. Null means all."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from text_faults("name", given(self.name))
        yield from logo_faults("logo", given(self.logo))
        yield from text_faults("description", given(self.description))
        yield from text_faults("instructions", given(self.instructions), INSTRUCTIONS_MAX)
        yield from _type_faults(given(self.allowed_event_types))
        yield from script_faults("transformation", given(self.transformation))
        yield from flag_faults("featureFlags", given(self.feature_flags))

    def applied(self, before: Connector) -> Connector:
        """Return a connector with the changes."""
        types, flags = self.allowed_event_types, self.feature_flags
        return replace(
            before,
            name=before.name if self.name is UNSET else self.name,
            logo=before.logo if self.logo is UNSET else self.logo,
            description=before.description if self.description is UNSET else self.description,
            kind=before.kind if self.kind is UNSET else self.kind,
            instructions=before.instructions if self.instructions is UNSET else self.instructions,
            allowed_event_types=before.allowed_event_types if types is UNSET else unique(types),
            feature_flags=before.feature_flags if flags is UNSET else unique(flags),
            transformation=before.transformation if self.transformation is UNSET else self.transformation,
        )


def _type_faults(names: list[str] | None) -> Iterator[Fault]:
    if names is not None and not names:
        yield Fault(("body", "allowedEventTypes"), _NO_TYPES)
    yield from count_faults("allowedEventTypes", names, TYPES_MAX)
    yield from set_faults("allowedEventTypes", map(text.name_error, names or ()))
