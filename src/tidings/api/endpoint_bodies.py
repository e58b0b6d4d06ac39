# SPDX-License-Identifier: MIT
"""Request bodies that create, replace and patch an endpoint."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tidings import ids
from tidings.api import samples
from tidings.api.fields import (
    HEADERS,
    METADATA,
    NEW_RATE,
    OLD_RATE,
    RATE,
    UID,
    URL,
    WORDS,
    Channel,
    HeaderValue,
    Metadata,
    Name,
    given,
    patched_rate,
)
from tidings.api.payload_filters import PayloadFilterIn, built_filter, filter_faults
from tidings.api.wire import In
from tidings.errors import Fault
from tidings.model import text
from tidings.model.endpoint import CHANNELS_MAX, Endpoint, EndpointDraft, deduplicated, header_faults, rate_of
from tidings.model.endpoint_rules import (
    NAMES_MAX,
    VERSION_MAX,
    channel_faults,
    key_of,
    secret_faults,
    type_faults,
    url_faults,
    version_faults,
)
from tidings.model.faults import metadata_faults, rate_faults, text_faults, unique
from tidings.model.url import normalize_url

_RATE: Final = "Endpoint rate limits must be at least one if set"
_THROTTLE: Final = "Endpoint throttle rate must be at least one if set"
_EITHER_RATE: Final = "Endpoint rate limits must be at least 1 if set"
_VERSION: Final = "Endpoint versions must be at least one if set"
_PATCH_VERSION: Final = "Endpoint versions must be at least one"
TYPE_SET: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": NAMES_MAX})
OLD_TYPE_SET: Final = Meta(
    extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": NAMES_MAX, "deprecated": True}
)
CHANNEL_SET: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": CHANNELS_MAX})
_OLD_VERSION: Final = Meta(extra_json_schema={"minimum": 1, "maximum": VERSION_MAX, "deprecated": True})
_QUAD: Final = "[A-Za-z0-9+/]{4}"
_ONE_BYTE: Final = "[A-Za-z0-9+/][AQgw]=="
_TWO_BYTES: Final = "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]="
SECRET: Final = Meta(
    extra_json_schema={
        "example": samples.SECRET,
        "pattern": f"^((whsec_)?({_QUAD}){{8,24}}({_QUAD}|{_TWO_BYTES}|{_ONE_BYTE})?|whsk_({_QUAD}){{21}}{_ONE_BYTE})$",
    }
)
"""A secret in padded base64: symmetric with 24 to 75 bytes, or asymmetric with 64."""


class EndpointExtrasIn(In, kw_only=True):
    """Properties of an endpoint that the Svix API does not have."""

    filter: PayloadFilterIn | UnsetType | None = UNSET
    """The payload filter: the endpoint receives only messages that meet every condition. Null removes it; an absent
    filter stays as it is, also in a request that replaces the endpoint."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from filter_faults(given(self.filter), "x", "filter")


class EndpointUpsertIn(In, kw_only=True):
    """The new content of an endpoint."""

    url: Annotated[str, URL]
    """The URL that receives the messages, with the scheme `http` or `https`."""
    description: Annotated[str, WORDS] = ""
    """A description for people, at most 4,096 bytes. Empty by default."""
    throttle_rate: Annotated[int | None, RATE] = None
    rate_limit: Annotated[int | None, OLD_RATE] = None
    uid: Annotated[str | None, UID] = None
    """An identifier of your choice, unique in the application, without the prefix `ep_`. Paths accept it as an id."""
    version: Annotated[int | None, _OLD_VERSION] = None
    """A version number of your choice. 1 by default; it has no effect on deliveries."""
    disabled: bool = False
    """Whether the endpoint is disabled: a disabled endpoint receives nothing. False by default."""
    event_types: Annotated[list[Name] | None, TYPE_SET] = None
    """The event types that the endpoint receives. Each must exist and not be archived. Null, the default, means all."""
    filter_types: Annotated[list[Name] | None, OLD_TYPE_SET] = None
    """The former name of `eventTypes`, which takes precedence."""
    channels: Annotated[list[Channel] | None, CHANNEL_SET] = None
    """The endpoint receives only messages with one of these channels. Null, the default, means all messages."""
    metadata: Annotated[Metadata | None, METADATA] = None
    x: EndpointExtrasIn | None = None
    """Properties that the Svix API does not have."""

    @property
    def subscribed(self) -> list[str] | None:
        """The event types, from either of their two names."""
        return self.filter_types if self.event_types is None else self.event_types

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from url_faults(self.url)
        yield from text_faults("description", self.description)
        yield from text.uid_faults("uid", self.uid, ids.ENDPOINT)
        rates = {"rateLimit": self.rate_limit, "throttleRate": self.throttle_rate}
        yield from rate_faults(rates, {"rateLimit": _RATE, "throttleRate": _THROTTLE})
        yield from version_faults(self.version, _VERSION)
        yield from type_faults(self.subscribed)
        yield from channel_faults(self.channels)
        yield from metadata_faults(self.metadata)
        yield from () if self.x is None else self.x.faults()

    def drafted(self) -> EndpointDraft:
        """Return the endpoint that the body describes."""
        return EndpointDraft(
            url=normalize_url(self.url),
            description=self.description,
            uid=self.uid,
            version=self.version or 1,
            disabled=self.disabled,
            event_types=unique(self.subscribed),
            channels=unique(self.channels),
            throttle_rate=rate_of(self.throttle_rate, self.rate_limit),
            metadata=self.metadata or {},
            headers={},
            secret=None,
            filter=None if self.x is None else built_filter(given(self.x.filter)),
            keeps_filter=self.x is None or self.x.filter is UNSET,
        )


class EndpointIn(EndpointUpsertIn, kw_only=True):
    """The endpoint to create."""

    secret: Annotated[str | None, SECRET] = None
    """The signing secret: 24 to 75 bytes in base64, or an Ed25519 key pair as `whsk_…`. Generated by default."""
    headers: Annotated[dict[str, HeaderValue] | None, HEADERS] = None
    """Headers that every request to the endpoint carries, at most 50 and 16 KiB together. None by default."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from EndpointUpsertIn.faults(self)
        yield from secret_faults("secret", self.secret)
        yield from header_faults(deduplicated(self.headers or {}))

    def drafted(self) -> EndpointDraft:
        """Return the endpoint that the body describes."""
        draft = EndpointUpsertIn.drafted(self)
        return replace(draft, headers=deduplicated(self.headers or {}), secret=key_of(self.secret))


class EndpointPatch(In, kw_only=True):
    """The changes to an endpoint. An absent property stays as it is, and null clears one that may be null."""

    url: Annotated[str | UnsetType, URL] = UNSET
    """The new URL that receives the messages, with the scheme `http` or `https`."""
    description: Annotated[str | UnsetType, WORDS] = UNSET
    """The new description for people, at most 4,096 bytes."""
    throttle_rate: Annotated[int | UnsetType | None, NEW_RATE] = UNSET
    rate_limit: Annotated[int | UnsetType | None, OLD_RATE] = UNSET
    uid: Annotated[str | UnsetType | None, UID] = UNSET
    """The new identifier of your choice, unique in the application, without the prefix `ep_`. Null removes it."""
    version: Annotated[int | UnsetType, _OLD_VERSION] = UNSET
    """The new version number. It has no effect on deliveries."""
    disabled: bool | UnsetType = UNSET
    """Whether the endpoint is disabled. Enabling it clears its failure record."""
    event_types: Annotated[list[Name] | UnsetType | None, TYPE_SET] = UNSET
    """The event types that the endpoint receives. Each must exist and not be archived. Null means all."""
    filter_types: Annotated[list[Name] | UnsetType | None, OLD_TYPE_SET] = UNSET
    """The former name of `eventTypes`, which takes precedence."""
    channels: Annotated[list[Channel] | UnsetType | None, CHANNEL_SET] = UNSET
    """The endpoint receives only messages with one of these channels. Null means all messages."""
    metadata: Annotated[Metadata | UnsetType | None, METADATA] = UNSET
    x: EndpointExtrasIn | None = None
    """Changes to properties that the Svix API does not have."""

    @property
    def subscribed(self) -> list[str] | UnsetType | None:
        """The event types, from either of their two names."""
        return self.filter_types if self.event_types is UNSET else self.event_types

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if self.url is not UNSET:
            yield from url_faults(self.url)
        yield from text_faults("description", given(self.description))
        yield from text.uid_faults("uid", given(self.uid), ids.ENDPOINT)
        rates = {"rateLimit": given(self.rate_limit), "throttleRate": given(self.throttle_rate)}
        yield from rate_faults(rates, dict.fromkeys(rates, _EITHER_RATE))
        yield from version_faults(given(self.version), _PATCH_VERSION)
        yield from type_faults(given(self.subscribed))
        yield from channel_faults(given(self.channels))
        yield from metadata_faults(given(self.metadata))
        yield from () if self.x is None else self.x.faults()

    def applied(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint with the changes."""
        return replace(
            endpoint,
            url=endpoint.url if self.url is UNSET else normalize_url(self.url),
            description=endpoint.description if self.description is UNSET else self.description,
            uid=endpoint.uid if self.uid is UNSET else self.uid,
            version=endpoint.version if self.version is UNSET else self.version,
            disabled=endpoint.disabled if self.disabled is UNSET else self.disabled,
            event_types=endpoint.event_types if self.subscribed is UNSET else unique(self.subscribed),
            channels=endpoint.channels if self.channels is UNSET else unique(self.channels),
            throttle_rate=patched_rate(endpoint.throttle_rate, self.throttle_rate, self.rate_limit),
            metadata=endpoint.metadata if self.metadata is UNSET else self.metadata or {},
            filter=endpoint.filter if self.x is None or self.x.filter is UNSET else built_filter(self.x.filter),
        )
