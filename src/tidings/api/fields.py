# SPDX-License-Identifier: MIT
"""Members that several bodies share: their schemas, and the rules for their values."""

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api import samples
from tidings.model import text
from tidings.model.endpoint import HEADER_BYTES, HEADERS_MAX, RATE_MAX

Given = TypeVar("Given")

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


def given(value: Given | UnsetType | None) -> Given | None:
    """Return the value that a patch gives, or None if it gives none."""
    return None if value is UNSET else value


def patched_rate(
    rate: int | None, throttle_rate: int | UnsetType | None, rate_limit: int | UnsetType | None
) -> int | None:
    """Return a rate after a patch, which may give it under either of its two names."""
    requested = rate_limit if throttle_rate is UNSET else throttle_rate
    return rate if requested is UNSET else requested
