# SPDX-License-Identifier: MIT
"""Rules for the values of an endpoint, as requests and forms give them."""

from collections.abc import Iterator
from typing import Final

from tidings.errors import Fault
from tidings.model import signature, text
from tidings.model.endpoint import CHANNELS_MAX
from tidings.model.faults import count_faults, set_faults
from tidings.model.signature import AnyKey
from tidings.model.url import InvalidUrl, normalize_url

NAMES_MAX: Final = 500
"""Maximum event types of one endpoint or one filter."""
VERSION_MAX: Final = 65_535
_NO_TYPES: Final = "eventTypes can't be empty, it must have at least one item."
_HTTPS: Final = "Endpoint URL schemes must be https when endpoint_https_only is set."
_CHANNELS: Final = "Channels must have at least 1 and at most 10 items, or be set to null."


def url_faults(url: str) -> Iterator[Fault]:
    """Yield the fault of a URL, if it has one."""
    try:
        normalize_url(url)
    except InvalidUrl as error:
        yield Fault(("body", "url"), str(error), "value_error" if error.is_scheme else "value_error.jsondecode")


def https_faults(url: str) -> Iterator[Fault]:
    """Yield a fault for a normalized URL that does not use https, where the settings require it."""
    if not url.startswith("https:"):
        yield Fault(("body", "url"), _HTTPS)


def secret_faults(field: str, secret: str | None) -> Iterator[Fault]:
    """Yield the fault of a secret, if it has one."""
    try:
        key_of(secret)
    except ValueError as error:
        is_rule = str(error) in signature.RULES
        yield Fault(("body", field), str(error), "value_error" if is_rule else "value_error.jsondecode")


def key_of(secret: str | None) -> AnyKey | None:
    """Return the key that a secret encodes."""
    return None if secret is None else signature.parse_secret(secret)


def version_faults(version: int | None, wrong: str) -> Iterator[Fault]:
    """Yield the fault of a version number; `wrong` is the message for 0."""
    if version == 0:
        yield Fault(("body", "version"), wrong)
    elif version is not None and not 0 < version <= VERSION_MAX:
        yield Fault(("body", "version"), f"invalid value: integer `{version}`, expected u16", "value_error.jsondecode")


def type_faults(names: list[str] | None) -> Iterator[Fault]:
    """Yield the faults of a filter by event type."""
    if names is None:
        return
    if not names:
        yield Fault(("body", "eventTypes"), _NO_TYPES)
    yield from count_faults("eventTypes", names, NAMES_MAX)
    yield from set_faults("eventTypes", map(text.name_error, names))


def channel_faults(channels: list[str] | None) -> Iterator[Fault]:
    """Yield the faults of a filter by channel."""
    if channels is None:
        return
    if not 1 <= len(set(channels)) <= CHANNELS_MAX:
        yield Fault(("body", "channels"), _CHANNELS)
    yield from set_faults("channels", map(text.channel_error, channels))
