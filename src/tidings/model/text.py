# SPDX-License-Identifier: MIT
"""Validation rules for texts from callers: identifiers, names, channels, tags, descriptions.

Each rule returns an error message, or None for a valid text. Lengths are in bytes.
"""

import re
from typing import Final

from tidings.errors import Fault

LENGTH_MAX: Final = 256
CHANNEL_LENGTH_MAX: Final = 128
METADATA_BYTES: Final = 4096
FLAGS_MAX: Final = 25
"""Maximum feature flags of one thing."""
TEXT_BYTES_MAX: Final = 4096
"""The size of a name or a description for people."""

NAME: Final = re.compile(r"[a-zA-Z0-9\-_.]{1,256}")
CHANNEL: Final = re.compile(r"[a-zA-Z0-9\-_.:+]{1,128}")
SESSION: Final = re.compile(r"[a-zA-Z0-9@_-]{1,64}")
TAG: Final = re.compile(r"[a-zA-Z0-9\-_./\\#]{1,128}")

_EMPTY: Final = "String must be at least one character"
_LONG: Final = "String too long"
_PREFIXED: Final = "Uids are not allowed to have the same prefix as the ID. Prefix with _?"
_CONTROL: Final = "Control characters 0x00-0x08 not allowed."
_CONTROLS: Final = re.compile("[\x00-\x08]")


def name_error(text: str) -> str | None:
    """Return an error message for an invalid event type name, feature flag or group name."""
    return _pattern_error(text, NAME, LENGTH_MAX, r"[a-zA-Z0-9\-_.]")


def channel_error(text: str) -> str | None:
    """Return an error message for an invalid channel."""
    return _pattern_error(text, CHANNEL, CHANNEL_LENGTH_MAX, r"[a-zA-Z0-9\-_.:+]")


def tag_error(text: str) -> str | None:
    """Return an error message for an invalid tag."""
    return _pattern_error(text, TAG, CHANNEL_LENGTH_MAX, r"[a-zA-Z0-9\-_./\\#]")


def uid_errors(text: str, prefix: str) -> list[str]:
    """Return the error messages for an invalid uid; a uid must not start with the prefix of our ids."""
    wrong = name_error(text)
    prefixed = _PREFIXED if text.startswith(prefix) else None
    return [message for message in (wrong, prefixed) if message is not None]


def text_error(text: str, bytes_max: int = TEXT_BYTES_MAX) -> str | None:
    """Return an error message for a text that is too long or has control characters (0x00 to 0x08)."""
    if len(text.encode("utf-8", "surrogatepass")) > bytes_max:
        return f"{_LONG}: at most {bytes_max} bytes."
    return _CONTROL if _CONTROLS.search(text) else None


def uid_faults(field: str, uid: str | None, prefix: str) -> list[Fault]:
    """Return the errors in an optional uid of a request body."""
    wrong = [] if uid is None else uid_errors(uid, prefix)
    return [Fault(("body", field, "__all__"), message) for message in wrong]


def _pattern_error(text: str, pattern: re.Pattern[str], length_max: int, pattern_text: str) -> str | None:
    if pattern.fullmatch(text):
        return None
    if not text:
        return _EMPTY
    if len(text.encode("utf-8", "surrogatepass")) > length_max:
        return _LONG
    return f"String must match the following pattern: {pattern_text}."
