# SPDX-License-Identifier: MIT
"""Rules for the texts that callers choose: identifiers, names, channels, tags, descriptions.

Each rule returns what is wrong, in words; nothing is right. Lengths count bytes.
"""

import re
from typing import Final

from tidings.errors import Fault

LONGEST: Final = 256
CHANNEL_LONGEST: Final = 128
METADATA_BYTES: Final = 4096
WORDS_BYTES: Final = 4096
"""Of a name or a description for people."""

NAME: Final = re.compile(r"[a-zA-Z0-9\-_.]{1,256}")
CHANNEL: Final = re.compile(r"[a-zA-Z0-9\-_.:+]{1,128}")
SESSION: Final = re.compile(r"[a-zA-Z0-9@_-]{1,64}")
TAG: Final = re.compile(r"[a-zA-Z0-9\-_./\\#]{1,128}")

_EMPTY: Final = "String must be at least one character"
_LONG: Final = "String too long"
_PREFIXED: Final = "Uids are not allowed to have the same prefix as the ID. Prefix with _?"
_CONTROL: Final = "Control characters 0x00-0x08 not allowed."
_CONTROLS: Final = re.compile("[\x00-\x08]")


def wrong_name(text: str) -> str | None:
    """Check an event type's name, a feature flag, a group's name."""
    return _limited(text, NAME, LONGEST, r"[a-zA-Z0-9\-_.]")


def wrong_channel(text: str) -> str | None:
    """Check a channel."""
    return _limited(text, CHANNEL, CHANNEL_LONGEST, r"[a-zA-Z0-9\-_.:+]")


def wrong_tag(text: str) -> str | None:
    """Check a tag."""
    return _limited(text, TAG, CHANNEL_LONGEST, r"[a-zA-Z0-9\-_./\\#]")


def wrong_uid(text: str, prefix: str) -> list[str]:
    """Check an identifier that the caller chose, which may not look like one of ours."""
    wrong = wrong_name(text)
    prefixed = _PREFIXED if text.startswith(prefix) else None
    return [message for message in (wrong, prefixed) if message is not None]


def wrong_words(text: str) -> str | None:
    """Check text for people: anything not too long but control characters that no database and no terminal likes."""
    if len(text.encode("utf-8", "surrogatepass")) > WORDS_BYTES:
        return f"{_LONG}: at most {WORDS_BYTES} bytes."
    return _CONTROL if _CONTROLS.search(text) else None


def uid_faults(field: str, uid: str | None, prefix: str) -> list[Fault]:
    """Return what is wrong with an optional identifier in a body."""
    wrong = [] if uid is None else wrong_uid(uid, prefix)
    return [Fault(("body", field, "__all__"), message) for message in wrong]


def _limited(text: str, pattern: re.Pattern[str], longest: int, shown: str) -> str | None:
    if pattern.fullmatch(text):
        return None
    if not text:
        return _EMPTY
    if len(text.encode("utf-8", "surrogatepass")) > longest:
        return _LONG
    return f"String must match the following pattern: {shown}."
