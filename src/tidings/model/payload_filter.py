# SPDX-License-Identifier: MIT
"""Payload filters: conditions on a payload, all of which a message must meet to be sent to an endpoint.

A condition has a path, an operator and a value. The paths and comparisons are a subset of RFC 9535 (JSONPath): a path
is a singular query without negative indexes and escapes, and a comparison has the rules of its section 2.3.5.2.2.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import chain
from typing import Any, Final, cast

from tidings.model.json_document import (
    CONTAINER,
    INDEX_MAX,
    NOTHING,
    ROOT,
    JsonDocument,
    Level,
    Path,
    Unreadable,
    levels_of,
)

CONDITIONS_MAX: Final = 64
PATH_LENGTH_MAX: Final = 512
DEPTH_MAX: Final = 16
"""The most names and indexes of a path: each one costs another pass over its part of the payload."""
TEXT_BYTES_MAX: Final = 1_024
VALUES_MAX: Final = 64
"""The most values of the operator `in`."""
FILTER_BYTES_MAX: Final = 8 * 1024
"""The most bytes of a whole filter as compact JSON."""
_NUMBER_MAX: Final = 1e308
_SHORT: Final = 200

Scalar = str | int | float | bool | None
Value = Scalar | tuple[Scalar, ...]


class FilterOperator(Enum):
    """How a condition compares the value at its path with its own value."""

    EQUAL = "=="
    """The path has a value that is equal to that of the condition, and of the same type."""
    NOT_EQUAL = "!="
    """The path has another value, or none."""
    LESS = "<"
    """The path has a lesser number, or a text that sorts before that of the condition by code points."""
    LESS_OR_EQUAL = "<="
    """The path has a number or a text that is lesser or equal."""
    GREATER = ">"
    """The path has a greater number, or a text that sorts after that of the condition by code points."""
    GREATER_OR_EQUAL = ">="
    """The path has a number or a text that is greater or equal."""
    IN = "in"
    """The path has a value that is equal to one in the list of the condition."""
    EXISTS = "exists"
    """The path has a value, which may be null; with the value false, it has none."""


@dataclass(frozen=True, slots=True)
class GivenCondition:
    """A condition as a caller gives it; a list is a tuple or a list."""

    path: str
    operator: FilterOperator
    value: object


@dataclass(frozen=True, slots=True)
class ConditionFault:
    """A broken rule of a filter: the condition by its index, its member, and a sentence."""

    index: int | None
    """None if the fault is about the whole filter."""
    member: str
    """`path` or `value`; empty for the whole condition or filter."""
    detail: str


# ----------------------------------------------------------------------------------------------------------------------
# Comparisons


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(found: object, value: object) -> bool:
    # In Python, True == 1.
    return found == value and isinstance(found, bool) is isinstance(value, bool)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def holds(found: object, value: object) -> bool:
        if isinstance(value, str):
            return isinstance(found, str) and compare(found, value)
        return _is_number(found) and _is_number(value) and compare(found, value)

    return holds


_HOLDS: Final[dict[FilterOperator, Callable[[object, object], bool]]] = {
    FilterOperator.EQUAL: _equal,
    FilterOperator.NOT_EQUAL: lambda found, value: not _equal(found, value),
    FilterOperator.LESS: _ordered(lambda found, value: bool(found < value)),
    FilterOperator.LESS_OR_EQUAL: _ordered(lambda found, value: bool(found <= value)),
    FilterOperator.GREATER: _ordered(lambda found, value: bool(found > value)),
    FilterOperator.GREATER_OR_EQUAL: _ordered(lambda found, value: bool(found >= value)),
    FilterOperator.IN: lambda found, value: any(_equal(found, each) for each in cast("tuple[Scalar, ...]", value)),
    FilterOperator.EXISTS: lambda found, value: (found is not NOTHING) is value,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a payload."""

    path: Path
    operator: FilterOperator
    value: Value

    def holds(self, document: JsonDocument) -> bool:
        """Return whether a payload meets the condition; raise `Unreadable`."""
        return _HOLDS[self.operator](document.value(self.path), self.value)

    @property
    def text(self) -> str:
        """The condition for people, shortened: `$.amount >= 100`."""
        if self.operator is FilterOperator.EXISTS:
            text = f"{self.path.text} {'exists' if self.value else 'does not exist'}"
        else:
            text = f"{self.path.text} {self.operator.value} {json.dumps(self.value, ensure_ascii=False)}"
        return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"

    def wrong(self, document: JsonDocument) -> str:
        """Return a clause that states why the payload does not meet the condition, without a value of the payload."""
        found = document.value(self.path)
        if found is NOTHING:
            return "the payload has no value at the path"
        if self.operator is FilterOperator.EXISTS:
            return "the payload has a value at the path"
        if found is CONTAINER:
            return "the payload has an object or a list at the path"
        return "the payload has another value at the path"


@dataclass(frozen=True, slots=True)
class PayloadFilter:
    """The conditions of an endpoint, at least one. Equal texts are equal filters."""

    text: str
    """The stored JSON."""
    conditions: tuple[Condition, ...]
    is_readable: bool = True
    """Whether this release knows every operator. Another filter matches no message: it was made to exclude some."""

    def matches(self, document: JsonDocument) -> bool:
        """Return whether a payload meets every condition; one that cannot be parsed does not."""
        try:
            return self.is_readable and all(each.holds(document) for each in self.conditions)
        except Unreadable:
            return False

    def why_not(self, document: JsonDocument) -> str | None:
        """Return a sentence that states why the filter excludes a payload, or None if it matches."""
        if not self.is_readable:
            return "This release cannot read the filter."
        try:
            for each in self.conditions:
                if not each.holds(document):
                    return f"The condition {each.text} does not hold: {each.wrong(document)}."
        except Unreadable:
            return "The payload cannot be parsed."
        return None

    def given(self) -> list[GivenCondition]:
        """Return the conditions as a caller gives them."""
        return [GivenCondition(each.path.text, each.operator, each.value) for each in self.conditions]


# ----------------------------------------------------------------------------------------------------------------------
# Paths

_NAME: Final = r"(?:[A-Za-z_]|[^\x00-\x7f])(?:[A-Za-z0-9_]|[^\x00-\x7f])*"
_SINGLE: Final = r"[^'\\\x00-\x1f]*"
_DOUBLE: Final = r"""[^"\\\x00-\x1f]*"""
_INDEX: Final = "0|[1-9][0-9]{0,2}"
PATH_PATTERN: Final = rf"""^\$(?:\.{_NAME}|\['{_SINGLE}'\]|\["{_DOUBLE}"\]|\[(?:{_INDEX})\])*$"""
"""The form of a path, for the documentation of the API."""
_STEP: Final = re.compile(
    rf"""\.(?P<name>{_NAME})|\['(?P<single>{_SINGLE})'\]|\["(?P<double>{_DOUBLE})"\]|\[(?P<index>{_INDEX})\]"""
)


class InvalidPath(ValueError):
    """The text is not a path of a filter. The message is a sentence."""


@lru_cache(maxsize=4_096)
def parse_path(text: str) -> Path:
    """Parse a path such as `$.order.lines[0]['unit price']`; raise `InvalidPath`."""
    if not 1 <= len(text) <= PATH_LENGTH_MAX:
        raise InvalidPath(f"A path has from 1 to {PATH_LENGTH_MAX} characters.")
    if not text.startswith("$"):
        raise InvalidPath("A path starts with $, the payload.")
    steps = list(_steps(text))
    if len(steps) > DEPTH_MAX:
        raise InvalidPath(f"A path has at most {DEPTH_MAX} names and indexes.")
    path = ROOT
    for step in steps:
        path = path.child(step)
    return path.named(text)


def _steps(text: str) -> Iterator[str | int]:
    place = 1
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None:
            raise InvalidPath(
                f"The path is not understood at character {place + 1}. Write a member as .name or ['any name'], and an"
                " item of a list as [0]."
            )
        place = found.end()
        if found["index"] is None:
            yield next(name for name in found.group("name", "single", "double") if name is not None)
        elif int(found["index"]) <= INDEX_MAX:
            yield int(found["index"])
        else:
            raise InvalidPath(f"An index is at most {INDEX_MAX}.")


# ----------------------------------------------------------------------------------------------------------------------
# Filters that callers give


def faults(given: Sequence[GivenCondition]) -> list[ConditionFault]:
    """Return the broken rules of a filter."""
    if not 1 <= len(given) <= CONDITIONS_MAX:
        return [ConditionFault(None, "", f"A filter has from 1 to {CONDITIONS_MAX} conditions; null removes it.")]
    found = list(chain.from_iterable(_condition_faults(index, each) for index, each in enumerate(given)))
    if not found and len(_text(given).encode()) > FILTER_BYTES_MAX:
        found.append(ConditionFault(None, "", f"A filter has at most {FILTER_BYTES_MAX:,} bytes as JSON."))
    return found


def build(given: Sequence[GivenCondition]) -> PayloadFilter:
    """Return the filter of conditions without faults."""
    return stored(_text(given))


def _condition_faults(index: int, given: GivenCondition) -> Iterator[ConditionFault]:
    try:
        given.path.encode()
        parse_path(given.path)
    except InvalidPath as error:
        yield ConditionFault(index, "path", str(error))
    except UnicodeEncodeError:
        yield ConditionFault(index, "path", "A path has no lone surrogates.")
    detail = _value_error(given.operator, given.value)
    if detail is not None:
        yield ConditionFault(index, "value", detail)


def _value_error(operator: FilterOperator, value: object) -> str | None:
    if operator is FilterOperator.EXISTS:
        return None if isinstance(value, bool) else "The value of exists is true or false."
    if operator is FilterOperator.IN:
        if not isinstance(value, (tuple, list)) or not 1 <= len(value) <= VALUES_MAX:
            return f"The value of in is a list of 1 to {VALUES_MAX} values."
        return next(filter(None, map(_scalar_error, value)), None)
    is_order = operator not in {FilterOperator.EQUAL, FilterOperator.NOT_EQUAL}
    if is_order and not isinstance(value, str) and not _is_number(value):
        return f"The value of {operator.value} is a number or a text."
    return _scalar_error(value)


def _scalar_error(value: object) -> str | None:
    if isinstance(value, str):
        try:
            is_short = len(value.encode()) <= TEXT_BYTES_MAX
        except UnicodeEncodeError:
            return "A text has no lone surrogates."
        return None if is_short else f"A text has at most {TEXT_BYTES_MAX:,} bytes."
    if isinstance(value, float) and not math.isfinite(value):
        return "A number is finite."
    if isinstance(value, (int, float)):
        return None if abs(value) <= _NUMBER_MAX else "A number is from -1e308 to 1e308."
    return None if value is None else "A value is a text, a number, true, false or null."


def _text(given: Sequence[GivenCondition]) -> str:
    conditions = [{"path": each.path, "operator": each.operator.value, "value": each.value} for each in given]
    return json.dumps(conditions, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=512)
def stored(text: str) -> PayloadFilter:
    """Return a stored filter. One that a later release wrote, with what this one does not know, is not readable."""
    try:
        conditions = tuple(
            Condition(parse_path(each["path"]), FilterOperator(each["operator"]), _value(each["value"]))
            for each in json.loads(text)
        )
    except (ValueError, TypeError, KeyError):
        return PayloadFilter(text, (), is_readable=False)
    return PayloadFilter(text, conditions)


def document_of(payload: bytes, filters: Iterable[PayloadFilter | None]) -> JsonDocument:
    """Return a payload for these filters; no other filter may read it."""
    return JsonDocument(payload, _levels(tuple(dict.fromkeys(each.text for each in filters if each is not None))))


@lru_cache(maxsize=512)
def _levels(texts: tuple[str, ...]) -> dict[str, Level]:
    return levels_of(each.path for text in texts for each in stored(text).conditions)


def stored_or_none(text: str | None) -> PayloadFilter | None:
    """Return the filter in a column, or None if there is none."""
    return None if text is None else stored(text)


def _value(value: Any) -> Value:  # noqa: ANN401 - JSON
    return tuple(value) if isinstance(value, list) else value
