# SPDX-License-Identifier: MIT
"""A JSON text that is parsed as far as it is asked for.

A level is an object or a list on a path that is read. It is parsed once, into its members as source text; the members
beside the path are skipped. So a text of 1 MiB costs a pass or two, and no objects for what nothing reads.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from msgspec import Raw

from tidings.model import surrogates
from tidings.model.surrogates import LoneSurrogate

INDEX_MAX: Final = 255
"""The greatest index that can be read of a list; further items are skipped."""
_WHITESPACE: Final = b" \t\r\n"
_ABSENT: Final = Raw()


class _Special:
    """A value that is no scalar; equal to itself only."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


NOTHING: Final = _Special("NOTHING")
"""No value at a path."""
CONTAINER: Final = _Special("CONTAINER")
"""An object or a list at a path."""


class Unreadable(Exception):
    """The text is not JSON, or deeper than the parser allows."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A place in a document: the name of a member or the index of an item in the place of the parent."""

    text: str
    """The path as it is written."""
    key: str
    """The path in the one form that equal paths share."""
    parent: "Path | None" = None
    step: str | int = ""

    def child(self, step: str | int) -> "Path":
        """Return the path of a member or an item."""
        key = f"{self.key}[{json.dumps(step)}]"
        return Path(key, key, self, step)

    def named(self, text: str) -> "Path":
        """Return the same path, written in another way."""
        return replace(self, text=text)


ROOT: Final = Path("$", "$")
_members: Final = msgspec.json.Decoder(dict[str, Raw])
# The fields are the first items of a list. The decoder skips the further ones, where a list would keep all.
_FIELDS: Final = [f"item_{index}" for index in range(INDEX_MAX + 1)]
_Items: Final = msgspec.defstruct("_Items", [(name, Raw, _ABSENT) for name in _FIELDS], array_like=True)
_items: Final = msgspec.json.Decoder(_Items)


class JsonDocument:
    """A JSON text, and what of it was parsed."""

    __slots__ = ("_levels", "_source", "_values")

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._levels: dict[str, Any] = {}
        self._values: dict[str, object] = {}

    def value(self, path: Path) -> object:
        """Return the scalar at a path, `CONTAINER` or `NOTHING`; raise `Unreadable`."""
        found = self._values.get(path.key, self)
        if found is self:
            if path.parent is None:
                self._level(path)  # parses the whole text; below it, parsing the parent has
            found = self._values[path.key] = _scalar(self._at(path))
        return found

    def _at(self, path: Path) -> bytes | Raw | None:
        """Return the source text of the value at a path, or None."""
        if path.parent is None:
            return self._source.lstrip(_WHITESPACE)
        level = self._level(path.parent)
        if isinstance(path.step, str):
            return level.get(path.step) if isinstance(level, dict) else None
        if not isinstance(level, _Items):
            return None
        found: Raw = getattr(level, _FIELDS[path.step])
        return None if found is _ABSENT else found

    def _level(self, path: Path) -> Any:  # noqa: ANN401 - members or items
        """Return the members or items of the value at a path; None for a scalar or no value."""
        found = self._levels.get(path.key, self)
        if found is self:
            source = self._at(path)
            found = _parsed(source)
            if found is None and path.parent is None:
                _scalar(source)  # the text may be no JSON at all
            self._levels[path.key] = found  # not if it is unreadable: each read raises
        return found


def _parsed(source: bytes | Raw | None) -> Any:  # noqa: ANN401 - members or items
    start = _first(source)
    if source is None or start not in b"{[":
        return None
    return _decoded(_members if start == b"{" else _items, source)


def _first(source: bytes | Raw | None) -> bytes:
    return b"" if source is None else bytes(memoryview(source)[:1])


def _decoded(decoder: Any, source: bytes | Raw) -> Any:  # noqa: ANN401 - as the decoder
    try:
        return decoder.decode(source)
    except msgspec.DecodeError:
        return _with_surrogates(decoder, bytes(source))
    except (ValueError, RecursionError) as error:
        raise Unreadable from error


def _with_surrogates(decoder: Any, source: bytes) -> Any:  # noqa: ANN401 - as the decoder
    """Parse a level whose members have lone surrogates, which a payload may have."""
    try:
        found = surrogates.decode(decoder, source)
    except (msgspec.MsgspecError, LoneSurrogate, ValueError, RecursionError) as error:
        raise Unreadable from error
    if found is None:
        raise Unreadable
    return found


def _scalar(source: bytes | Raw | None) -> object:
    start = _first(source)
    if source is None:
        return NOTHING
    if start and start in b"{[":
        return CONTAINER
    try:
        return msgspec.json.decode(source)
    except msgspec.ValidationError:
        return float(bytes(source))  # a number out of the range of the decoder
    except msgspec.DecodeError:
        return _text(bytes(source))
    except (ValueError, RecursionError) as error:
        raise Unreadable from error


def _text(source: bytes) -> object:
    """Parse a text with lone surrogates."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError) as error:
        raise Unreadable from error
