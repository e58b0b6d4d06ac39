# SPDX-License-Identifier: MIT
"""A JSON text that is parsed as far as it is asked for.

A level is an object or a list on a path that is read. It is parsed once, into its members as source text; the members
beside the path are skipped. So a text of 1 MiB costs a pass or two, and no objects for what nothing reads.

A reader that knows the paths beforehand names them (`levels_of`). Then the other members of an object are skipped as
well: one with 115,000 members would otherwise take 25 times as long, for as many objects.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from msgspec import Raw

from tidings.model import surrogates
from tidings.model.surrogates import LoneSurrogate

INDEX_MAX: Final = 255
"""The greatest index that can be read of a list; further items are skipped."""
NAMES_MAX: Final = 16
"""The most names of a level that are read by themselves: the parser compares each member with all of them."""
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


@dataclass(frozen=True, slots=True)
class Level:
    """A level of which only some members are parsed: its decoder, and the field of each name."""

    decoder: Any
    fields: Mapping[str, str]


def levels_of(paths: Iterable[Path]) -> dict[str, Level]:
    """Return the levels of these paths by their keys, for documents of which no other path is read.

    Left out are levels with many names, or with one that the parser cannot compare.
    """
    names: dict[str, set[str]] = {}
    for path in paths:
        place: Path | None = path
        while place is not None and place.parent is not None:
            if isinstance(place.step, str):
                names.setdefault(place.parent.key, set()).add(place.step)
            place = place.parent
    return {
        key: _level_of(found)
        for key, found in names.items()
        if len(found) <= NAMES_MAX and not any(map(_is_odd, found))
    }


def _is_odd(name: str) -> bool:
    return not name.isprintable() or '"' in name or "\\" in name


def _level_of(names: Iterable[str]) -> Level:
    fields = {name: f"member_{number}" for number, name in enumerate(sorted(names))}
    parsed = msgspec.defstruct(
        "_Some",
        [(field, Raw, _ABSENT) for field in fields.values()],
        rename={field: name for name, field in fields.items()},
    )
    return Level(msgspec.json.Decoder(parsed), fields)


class JsonDocument:
    """A JSON text, and what of it was parsed. With `known` levels, only their names may be read at these places."""

    __slots__ = ("_known", "_levels", "_source", "_values")

    def __init__(self, source: bytes, known: Mapping[str, Level] = {}) -> None:
        self._source = source
        self._known = known
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
        if isinstance(path.step, int):
            return _present(getattr(level, _FIELDS[path.step])) if isinstance(level, _Items) else None
        if isinstance(level, dict):
            return level.get(path.step)
        if level is None or isinstance(level, _Items):
            return None
        return _present(getattr(level, self._known[path.parent.key].fields[path.step]))

    def _level(self, path: Path) -> Any:  # noqa: ANN401 - members or items
        """Return the members or items of the value at a path; None for a scalar or no value."""
        found = self._levels.get(path.key, self)
        if found is self:
            source = self._at(path)
            found = _parsed(source, self._known.get(path.key))
            if found is None and path.parent is None:
                _scalar(source)  # the text may be no JSON at all
            self._levels[path.key] = found  # not if it is unreadable: each read raises
        return found


def _present(member: Raw) -> Raw | None:
    return None if member is _ABSENT else member


def _parsed(source: bytes | Raw | None, known: Level | None) -> Any:  # noqa: ANN401 - members or items
    start = _first(source)
    if source is None or start not in b"{[":
        return None
    if start == b"[":
        return _decoded(_items, source)
    if known is not None:
        try:
            return known.decoder.decode(source)
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass  # whether it is readable is decided in one way
    return _decoded(_members, source)


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
