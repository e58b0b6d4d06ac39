# SPDX-License-Identifier: MIT
"""Members that several bodies share: their schemas, and the rules for their values."""

from collections.abc import Iterator, Mapping, Sized
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api import samples
from tidings.errors import Fault
from tidings.model import text
from tidings.model.endpoint import HEADER_BYTES, HEADERS_MAX, RATE_MAX, metadata_bytes

Given = TypeVar("Given")

NAMES_MAX: Final = 500
"""Maximum event types of one endpoint or one filter."""
FLAGS_MAX: Final = 25
"""Maximum feature flags of one event type or one token."""
REFERENCES_MAX: Final = 1_000
"""Maximum applications, sessions or messages in one request."""

_NAME: Final[dict[str, object]] = {"maxLength": text.LENGTH_MAX, "pattern": r"^[a-zA-Z0-9\-_.]+$"}

UID: Final = Meta(extra_json_schema={"minLength": 1, **_NAME, "example": samples.APP_UID})
NAME: Final = Meta(extra_json_schema={**_NAME, "example": samples.EVENT_TYPE})
CHANNEL: Final = Meta(
    extra_json_schema={
        "maxLength": text.CHANNEL_LENGTH_MAX,
        "pattern": r"^[a-zA-Z0-9\-_.:+]+$",
        "example": samples.CHANNEL,
    }
)
TAG: Final = Meta(
    extra_json_schema={
        "maxLength": text.CHANNEL_LENGTH_MAX,
        "pattern": r"^[a-zA-Z0-9\-_./\\#]+$",
        "example": samples.TAG,
    }
)
_RATE: Final[dict[str, object]] = {"format": "uint16", "minimum": 1, "maximum": RATE_MAX, "example": samples.RATE}

RATE: Final = Meta(
    description="Maximum number of messages per second, from 1 to 65,535. Null, the default, means no limit.",
    extra_json_schema=_RATE,
)
NEW_RATE: Final = Meta(
    description="The new maximum number of messages per second, from 1 to 65,535. Null removes the limit.",
    extra_json_schema=_RATE,
)
OLD_RATE: Final = Meta(
    description="The former name of `throttleRate`, which takes precedence.",
    extra_json_schema={**_RATE, "deprecated": True},
)
METADATA: Final = Meta(
    description="Key-value pairs of your choice, at most 4,096 bytes as JSON. Stored, returned, and not interpreted.",
    extra_json_schema={
        "additionalProperties": {"type": "string", "maxLength": text.METADATA_BYTES},
        "example": samples.METADATA,
    },
)
_WORDS: Final[dict[str, object]] = {"maxLength": text.TEXT_BYTES_MAX, "pattern": r"^[^\x00-\x08]*$"}
WORDS: Final = Meta(extra_json_schema=_WORDS)
TITLE: Final = Meta(extra_json_schema={"minLength": 1, **_WORDS})
"""Text for people that may not be empty."""
HEADERS: Final = Meta(
    extra_json_schema={
        "maxProperties": HEADERS_MAX,
        "example": samples.HEADERS,
        "propertyNames": {"pattern": r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"},
    }
)
URL: Final = Meta(
    description="The URL of the endpoint.",
    extra_json_schema={"format": "uri", "minLength": 1, "maxLength": 65_536, "example": samples.URL},
)

Name = Annotated[str, NAME]
Uid = Annotated[str, UID]
Channel = Annotated[str, CHANNEL]
Tag = Annotated[str, TAG]
Metadata = Annotated[dict[str, str], Meta(extra_json_schema={"example": samples.METADATA})]
HeaderValue = Annotated[str, Meta(extra_json_schema={"maxLength": HEADER_BYTES, "pattern": r"^[\t\x20-\x7e]*$"})]
Rate = Annotated[int, Meta(extra_json_schema={"format": "uint16", "minimum": 0, "example": samples.RATE})]
Object = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object", "additionalProperties": True})]
"""A JSON object, kept as its source text."""
Payload = Annotated[
    msgspec.Raw,
    Meta(extra_json_schema={"type": "object", "additionalProperties": True, "example": samples.PAYLOAD}),
]
"""The payload of a message, kept as its source text."""
AppId = Annotated[str, Meta(description="The id of the application.", extra_json_schema={"example": samples.APP})]
EndpointId = Annotated[
    str, Meta(description="The id of the endpoint.", extra_json_schema={"example": samples.ENDPOINT})
]
MessageId = Annotated[str, Meta(description="The id of the message.", extra_json_schema={"example": samples.MESSAGE})]
AttemptId = Annotated[str, Meta(description="The id of the attempt.", extra_json_schema={"example": samples.ATTEMPT})]


def rate_faults(rates: Mapping[str, int | None], wrong: Mapping[str, str]) -> Iterator[Fault]:
    """Yield a fault for each rate that is out of range, by the names of the rates."""
    for name, rate in rates.items():
        if rate == 0:
            yield Fault(("body", name), wrong[name])
        elif rate is not None and not 0 < rate <= RATE_MAX:
            expected = f"invalid value: integer `{rate}`, expected u16"
            yield Fault(("body", name), expected, "value_error.jsondecode")


def metadata_faults(metadata: Mapping[str, str] | None) -> Iterator[Fault]:
    """Yield a fault if metadata is too large."""
    if metadata and metadata_bytes(metadata) > text.METADATA_BYTES:
        yield Fault(("body", "metadata"), "metadata may have at most 4096 bytes as JSON", "value_error.jsondecode")


def text_faults(field: str, words: str | None) -> Iterator[Fault]:
    """Yield a fault if text for people breaks a rule."""
    wrong = None if words is None else text.text_error(words)
    if wrong is not None:
        yield Fault(("body", field), wrong)


def given(value: Given | UnsetType | None) -> Given | None:
    """Return the value that a patch gives, or None if it gives none."""
    return None if value is UNSET else value


def patched_rate(
    rate: int | None, throttle_rate: int | UnsetType | None, rate_limit: int | UnsetType | None
) -> int | None:
    """Return a rate after a patch, which may give it under either of its two names."""
    requested = rate_limit if throttle_rate is UNSET else throttle_rate
    return rate if requested is UNSET else requested


def set_faults(field: str, wrong: Iterator[str | None]) -> Iterator[Fault]:
    """Yield the first fault among the members of a set. Its location does not name the member."""
    first = next(filter(None, wrong), None)
    if first is not None:
        yield Fault(("body", field, "__all__"), first)


def count_faults(field: str, items: Sized | None, items_max: int) -> Iterator[Fault]:
    """Yield a fault if a list has too many items."""
    if items is not None and len(items) > items_max:
        yield Fault(("body", field), f"{field} must have at most {items_max} items.")


def unique(names: list[str] | None) -> tuple[str, ...] | None:
    """Return the distinct items of a list in their order."""
    if names is None:
        return None
    return tuple(names) if len(names) == 1 else tuple(dict.fromkeys(names))
