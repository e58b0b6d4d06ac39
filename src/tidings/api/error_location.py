# SPDX-License-Identifier: MIT
"""Locations of decoding errors: the decoder's message names the location in the body, except for the keys of maps."""

import re
from typing import Any, Final

import msgspec

_SENTENCE: Final = re.compile(r"^(?P<msg>.*?)(?: - at `(?P<key>key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"missing required field `([^`]+)`")
_SEGMENT: Final = re.compile(r"\.([^.\[]+)|(\[[^\]]*\])")
_GOT: Final = re.compile(r"got `(\w+)`$")
_SOME_KEY: Final = "[...]"
_NAMES: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    str: "str",
    bool: "bool",
    int: "int",
    float: "float",
    type(None): "null",
}
"""The decoder's name of each type of a JSON value."""


def located(sentence: str, body: bytes) -> tuple[tuple[str, ...], str]:
    """Return the location that a decoder's message names, and the message without it."""
    match = _SENTENCE.match(sentence)
    path = (match["path"] if match else None) or ""
    words = match["msg"] if match else sentence
    segments = [name or index for name, index in _SEGMENT.findall(path)]
    if _SOME_KEY in segments:
        segments = _with_keys(segments, words, body)
    return tuple(segments + _MISSING.findall(sentence)), words


def _with_keys(segments: list[str], words: str, body: bytes) -> list[str]:
    """Insert the key of the map at the end of the path. If no key can be found, the path ends at the map."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # the rest of the body may not be JSON
        return segments[: segments.index(_SOME_KEY)]
    for place, segment in enumerate(segments):
        key = _key_of(value, words) if segment == _SOME_KEY else segment
        if key is None:
            return segments[:place]
        segments[place] = key
        value = _member(value, key)
    return segments


def _key_of(value: Any, words: str) -> str | None:  # noqa: ANN401 - JSON
    """Return the first key whose value has the rejected type: every value of that type is invalid."""
    got = _GOT.search(words)
    if got is None or not isinstance(value, dict):
        return None
    return next((key for key, each in value.items() if _NAMES.get(type(each)) == got[1]), None)


def _member(value: Any, key: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return value.get(key)
    index = key.strip("[]")
    return value[int(index)] if isinstance(value, list) and index.isdigit() and int(index) < len(value) else None
