# SPDX-License-Identifier: MIT
"""YAML text as JSON values, by the core schema of YAML 1.2, bounded in size and depth.

A parser reports events, and this module builds the values: nothing constructs objects, and dates, `yes` and `no` stay
texts. An alias counts as much as the node that it repeats, so a few lines cannot stand for gigabytes. What `written`
returns, `parsed` reads back.
"""

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

DEPTH_MAX: Final = 100
"""Maximum nesting, with the nodes that aliases repeat."""
SIZE_MAX: Final = 8 * 1024 * 1024
"""Maximum size of the values in characters, each with an overhead, with those that aliases repeat."""
_OVERHEAD: Final = 8

_TAG: Final = "tag:yaml.org,2002:"
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE: Final = frozenset(("true", "True", "TRUE"))
_FALSE: Final = frozenset(("false", "False", "FALSE"))
_DECIMAL: Final = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DIGITS_MAX: Final = 1_000
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
"""Texts that need no quotes, unless a version of YAML reads them as another value."""
_WORDS: Final = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))


class YamlError(ValueError):
    """A text is not YAML that this module reads; the message has the line and the column."""


@dataclass(slots=True)
class _Node:
    """A sequence or a mapping that is not complete."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    size: int = 0
    height: int = 1
    key: str | None = None
    """The key whose value is next; None if a key is next."""


@dataclass(slots=True)
class _Builder:
    """Builds one document from events."""

    open: list[_Node] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int, int]] = field(default_factory=dict)
    """The complete nodes with an anchor: value, size and height."""
    total: int = 0
    result: Any = None
    is_complete: bool = False

    def take(self, event: Any) -> None:  # noqa: ANN401 - the parser has no types
        """Take an event; raise `YamlError` for one that this module does not read."""
        match type(event).__name__:
            case "ScalarEvent":
                self._scalar(event)
            case "AliasEvent":
                self._alias(event)
            case "SequenceStartEvent" | "MappingStartEvent":
                self._start(event)
            case "SequenceEndEvent" | "MappingEndEvent":
                node = self.open.pop()
                self._add(node.value, node.size + _OVERHEAD, node.height, node.anchor)
            case "DocumentStartEvent" if self.is_complete:
                raise _wrong(event, "a second document begins here; the text must have one")

    def _start(self, event: Any) -> None:  # noqa: ANN401
        if len(self.open) >= DEPTH_MAX:
            raise _wrong(event, f"more than {DEPTH_MAX} levels of nesting")
        is_mapping = type(event).__name__ == "MappingStartEvent"
        if event.tag not in (None, "!", f"{_TAG}{'map' if is_mapping else 'seq'}"):
            raise _wrong(event, f"the tag `{event.tag[:100]}` is not one of JSON")
        if self.open and isinstance(self.open[-1].value, dict) and self.open[-1].key is None:
            raise _wrong(event, "a key must be a text")
        self.open.append(_Node({} if is_mapping else [], event.anchor))

    def _scalar(self, event: Any) -> None:  # noqa: ANN401
        self._spend(event, len(event.value) + _OVERHEAD)
        parent = self.open[-1] if self.open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            if event.value == "<<" and event.implicit[0]:
                raise _wrong(event, "merge keys (`<<`) are not part of YAML 1.2; repeat the members")
            if event.value in parent.value:
                raise _wrong(event, f"the key `{event.value[:100]}` occurs twice")
            parent.key = event.value
            parent.size += len(event.value) + _OVERHEAD
            return
        self._add(_resolved(event), len(event.value) + _OVERHEAD, 0, event.anchor)

    def _alias(self, event: Any) -> None:  # noqa: ANN401
        if event.anchor not in self.anchors:
            raise _wrong(event, f"the alias `*{event.anchor[:100]}` is unknown, or inside of the node that it repeats")
        if self.open and isinstance(self.open[-1].value, dict) and self.open[-1].key is None:
            raise _wrong(event, "a key must be a text")
        value, size, height = self.anchors[event.anchor]
        if len(self.open) + height > DEPTH_MAX:
            raise _wrong(event, f"more than {DEPTH_MAX} levels of nesting")
        self._spend(event, size)
        self._add(value, size, height, None)

    def _spend(self, event: Any, size: int) -> None:  # noqa: ANN401
        self.total += size
        if self.total > SIZE_MAX:
            raise _wrong(event, f"the text expands to more than {SIZE_MAX // 1024 // 1024} MiB")

    def _add(self, value: Any, size: int, height: int, anchor: str | None) -> None:  # noqa: ANN401
        if anchor is not None:
            self.anchors[anchor] = (value, size, height)
        if not self.open:
            self.result, self.is_complete = value, True
            return
        parent = self.open[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.value, list):
            parent.value.append(value)
        else:
            parent.value[parent.key or ""] = value
            parent.key = None


def parsed(text: str) -> object:
    """Return the value of a YAML or JSON text; raise `YamlError` if it has none.

    Values that aliases repeat are shared, so the caller must not change them.
    """
    with contextlib.suppress(msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        # Quicker, and JSON writes some characters as pairs of escapes, which YAML does not know.
        return msgspec.json.decode(text)
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - few processes ever read a document

    builder = _Builder()
    try:
        for event in _events(yaml, text):
            builder.take(event)
    except yaml.YAMLError as error:
        raise YamlError(_sentence(error)) from error
    except UnicodeEncodeError as error:
        raise YamlError("the text has a lone surrogate") from error
    if not builder.is_complete:
        raise YamlError("the text is empty")
    return builder.result


def written(value: object) -> str:
    """Return a JSON value as YAML text. Texts of several lines are blocks; others that may be misread have quotes."""
    import yaml  # noqa: PLC0415 - as above

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            """Repeat equal values."""
            del data
            return True

    Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar(f"{_TAG}str", text, _style_of(text)))
    text: str = yaml.dump(value, Dumper=Dumper, allow_unicode=True, sort_keys=False, width=math.inf)
    return text


def _style_of(text: str) -> str | None:
    if "\n" in text:
        return "|"
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return None if is_plain else '"'


def _events(yaml: Any, text: str) -> Iterator[Any]:  # noqa: ANN401 - the module has no types
    """Yield the events of a text; a parser in C reads it, where the package has one."""
    events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return events


def _resolved(event: Any) -> Any:  # noqa: ANN401
    """Return the value of a scalar."""
    is_plain, tag, text = event.implicit[0], event.tag, event.value
    if tag is not None and tag.startswith(_TAG) and tag.removeprefix(_TAG) in ("null", "bool", "int", "float"):
        is_plain = True
    elif tag not in (None, "!", f"{_TAG}str"):
        raise _wrong(event, f"the tag `{tag[:100]}` is not one of JSON")
    if not is_plain or tag in ("!", f"{_TAG}str"):
        return text
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    return _number(event, text)


def _number(event: Any, text: str) -> Any:  # noqa: ANN401
    """Return the number that a plain scalar writes, or its text."""
    if len(text) <= _DIGITS_MAX and _DECIMAL.fullmatch(text):
        return int(text)
    if len(text) <= _DIGITS_MAX and _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    is_number = len(text) <= _DIGITS_MAX and _FLOAT.fullmatch(text)
    if _NO_NUMBER.fullmatch(text) or (is_number and math.isinf(float(text))):
        raise _wrong(event, f"`{text[:100]}` is not a number of JSON")
    return float(text) if is_number else text


def _wrong(event: Any, words: str) -> YamlError:  # noqa: ANN401
    mark = event.start_mark
    return YamlError(f"line {mark.line + 1}, column {mark.column + 1}: {words}")


def _sentence(error: Any) -> str:  # noqa: ANN401
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return str(error).replace("\n", " ")[:200]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
