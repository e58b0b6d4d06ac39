# SPDX-License-Identifier: MIT
"""JSON Schemas as they come from event types: the one in force, made safe to generate from, and names for code.

Only references inside a schema are followed. One to anywhere else would have the service fetch what a stranger names.
"""

import json
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

Schema = dict[str, Any]

ANY_OBJECT: Final[Schema] = {"type": "object", "additionalProperties": True}
DEPTH_MAX: Final = 64
NAMED_SCHEMAS: Final = ("properties", "patternProperties", "definitions", "$defs", "dependentSchemas")
_LITERAL: Final = ("enum", "const", "default", "example", "examples", "required")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_FOREIGN: Final = ("custom", "x-")
"""Keywords that generators take as orders (which class to import, for example), and that describe no data."""
_WORD: Final = re.compile(r"[A-Za-z0-9]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class UnfitSchema(Exception):
    """Nothing can be generated from a schema; the message says why."""


def in_force(schemas: str | None) -> Schema:
    """Return the schema of the greatest version, or one that takes any object."""
    versions = {} if schemas is None else json.loads(schemas)
    numbered = {int(name): schema for name, schema in versions.items() if name.isdigit() and isinstance(schema, dict)}
    return plain(numbered[max(numbered)]) if numbered else dict(ANY_OBJECT)


def plain(schema: Any, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Return a schema without what is not for data; raises `UnfitSchema`."""
    if depth > DEPTH_MAX:
        raise UnfitSchema(f"more than {DEPTH_MAX} levels of nesting")
    if isinstance(schema, list):
        return [plain(each, depth + 1) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if any(name in schema and not _is_inside(schema[name]) for name in _REFERENCES):
        raise UnfitSchema("a reference to outside of the schema")
    return {name: _plain_member(name, value, depth) for name, value in schema.items() if _is_data(name)}


def _plain_member(name: str, value: Any, depth: int) -> Any:  # noqa: ANN401 - JSON
    if name in NAMED_SCHEMAS and isinstance(value, dict):
        return {key: plain(each, depth + 2) for key, each in value.items()}
    return value if name in _LITERAL else plain(value, depth + 1)


def _is_data(name: str) -> bool:
    return not name.startswith(_FOREIGN)


def _is_inside(reference: object) -> bool:
    return isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))


def moved(schema: Any, to: str) -> Any:  # noqa: ANN401 - JSON
    """Return a schema whose references hold where it stands at a place in a document."""
    if isinstance(schema, list):
        return [moved(each, to) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: f"{to}{value[1:]}"
        if name in _REFERENCES and isinstance(value, str)
        else value
        if name in _LITERAL
        else moved(value, to)
        for name, value in schema.items()
    }


def class_names(names: Iterable[str]) -> dict[str, str]:
    """Return a name of a class for each event type, no two alike."""
    return _distinct(names, pascal)


def pascal(name: str) -> str:
    """Return a name as a class has it."""
    words = "".join(word[:1].upper() + word[1:] for word in _WORD.findall(name))
    return words if words and not words[0].isdigit() else f"Event{words}"


def module(class_name: str) -> str:
    """Return the name of the file that a class is in."""
    snake = _HUMP.sub("_", class_name).lower()
    return f"{snake}_" if keyword.iskeyword(snake) else snake


def _distinct(names: Iterable[str], spell: Callable[[str], str]) -> dict[str, str]:
    taken: set[str] = set()
    found: dict[str, str] = {}
    for name in names:
        spelt, number = spell(name), 1
        while module(spelt) in taken:
            number += 1
            spelt = f"{spell(name)}V{number}"
        taken.add(module(spelt))
        found[name] = spelt
    return found


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema names."""
    given = schema.get("type")
    return given if isinstance(given, list) else [] if given is None else [str(given)]
