# SPDX-License-Identifier: MIT
"""Members that several bodies have: how the document describes them, and what is wrong with their values."""

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
"""Event types that one endpoint, or one filter, names."""
FLAGS_MAX: Final = 25
"""Feature flags of one event type, or of one token."""
REFERENCES_MAX: Final = 1_000
"""Applications, sessions or messages that one call names."""

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
"""Words for people that may not be empty."""
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
"""A JSON object, kept as its text."""
Payload = Annotated[
    msgspec.Raw,
    Meta(extra_json_schema={"type": "object", "additionalProperties": True, "example": samples.PAYLOAD}),
]
"""The payload of a message, kept as its text."""
AppId = Annotated[str, Meta(description="The id of the application.", extra_json_schema={"example": samples.APP})]
EndpointId = Annotated[
    str, Meta(description="The id of the endpoint.", extra_json_schema={"example": samples.ENDPOINT})
]
MessageId = Annotated[str, Meta(description="The id of the message.", extra_json_schema={"example": samples.MESSAGE})]
AttemptId = Annotated[str, Meta(description="The id of the attempt.", extra_json_schema={"example": samples.ATTEMPT})]


def rate_faults(rates: Mapping[str, int | None], wrong: Mapping[str, str]) -> Iterator[Fault]:
    """Return what is wrong with rates, by their names."""
    for name, rate in rates.items():
        if rate == 0:
            yield Fault(("body", name), wrong[name])
        elif rate is not None and not 0 < rate <= RATE_MAX:
            expected = f"invalid value: integer `{rate}`, expected u16"
            yield Fault(("body", name), expected, "value_error.jsondecode")


def metadata_faults(metadata: Mapping[str, str] | None) -> Iterator[Fault]:
    """Return what is wrong with metadata: its size."""
    if metadata and metadata_bytes(metadata) > text.METADATA_BYTES:
        yield Fault(("body", "metadata"), "metadata may have at most 4096 bytes as JSON", "value_error.jsondecode")


def words_faults(field: str, words: str | None) -> Iterator[Fault]:
    """Return what is wrong with text for people."""
    wrong = None if words is None else text.text_error(words)
    if wrong is not None:
        yield Fault(("body", field), wrong)


def given(value: Given | UnsetType | None) -> Given | None:
    """Return what a patch gives, None where it gives nothing."""
    return None if value is UNSET else value


def patched_rate(
    rate: int | None, throttle_rate: int | UnsetType | None, rate_limit: int | UnsetType | None
) -> int | None:
    """Return a rate as a patch leaves it, under whichever of its two names it came."""
    requested = rate_limit if throttle_rate is UNSET else throttle_rate
    return rate if requested is UNSET else requested


def set_faults(field: str, wrong: Iterator[str | None]) -> Iterator[Fault]:
    """Return the first thing that is wrong with the members of a set; which member it is does not show."""
    first = next(filter(None, wrong), None)
    if first is not None:
        yield Fault(("body", field, "__all__"), first)


def number_faults(field: str, items: Sized | None, most: int) -> Iterator[Fault]:
    """Return what is wrong with a list as a whole: it may hold only so much."""
    if items is not None and len(items) > most:
        yield Fault(("body", field), f"{field} must have at most {most} items.")


def unique(names: list[str] | None) -> tuple[str, ...] | None:
    """Return the members of a set in the order in which they came."""
    if names is None:
        return None
    return tuple(names) if len(names) == 1 else tuple(dict.fromkeys(names))
