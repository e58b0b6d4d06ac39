# SPDX-License-Identifier: MIT
"""The JSON schemas of event types: the latest version, made safe for the generators.

Only references inside a schema are followed. An external reference would let a caller choose URLs that the service
fetches.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from tidings.model.export import ENUM_MAX, SCHEMA_BYTES_MAX, UnfitType

Schema = dict[str, Any]

ANY_OBJECT: Final[Schema] = {"type": "object", "additionalProperties": True}
DEPTH_MAX: Final = 64
NAMED_SCHEMAS: Final = ("properties", "patternProperties", "definitions", "$defs", "dependentSchemas")
_LITERAL: Final = ("enum", "const", "default", "example", "examples", "required")
_LISTS: Final = ("enum", "anyOf", "oneOf", "allOf", "prefixItems", "items", "type")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_FOREIGN: Final = ("custom", "x-")
"""Keywords that describe no data and that generators obey, for example to import a class."""


def unfit(reason: str) -> UnfitType:
    """Return the error for a schema that has no models."""
    return UnfitType("unfit_schema", reason)


def latest_schema(schemas: str | None) -> Schema:
    """Return the schema with the greatest version, or one that accepts any object. Raises `UnfitType`."""
    versions = {} if schemas is None else json.loads(schemas)
    numbered = {int(name): schema for name, schema in versions.items() if name.isdigit() and isinstance(schema, dict)}
    if not numbered:
        return dict(ANY_OBJECT)
    schema = cast("Schema", sanitized(numbered[max(numbered)]))
    if len(json.dumps(schema)) > SCHEMA_BYTES_MAX:
        raise UnfitType("too_large", f"the schema is larger than {SCHEMA_BYTES_MAX // 1024} KiB")
    return schema


def sanitized(schema: Any, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Return a schema without the keywords that describe no data. Raises `UnfitType`."""
    if depth > DEPTH_MAX:
        raise unfit(f"the schema has more than {DEPTH_MAX} levels of nesting")
    if isinstance(schema, list):
        return [sanitized(each, depth + 1) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if any(name in schema and not _is_inside(schema[name]) for name in _REFERENCES):
        raise unfit("the schema has a reference outside itself")
    return {name: _sanitized_member(name, value, depth) for name, value in schema.items() if _is_data(name)}


def _sanitized_member(name: str, value: Any, depth: int) -> Any:  # noqa: ANN401 - JSON
    if name in _LISTS and isinstance(value, list) and len(value) > ENUM_MAX:
        raise UnfitType("too_large", f"`{name}` has more than {ENUM_MAX:,} entries")
    if name in NAMED_SCHEMAS and isinstance(value, dict):
        return {key: sanitized(each, depth + 2) for key, each in value.items()}
    return value if name in _LITERAL else sanitized(value, depth + 1)


def _is_data(name: str) -> bool:
    return not name.startswith(_FOREIGN)


def _is_inside(reference: object) -> bool:
    return isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))


def rebased(schema: Any, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return a schema whose references are valid when it is embedded at a path of a document."""
    if isinstance(schema, list):
        return [rebased(each, path) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: f"{path}{value[1:]}"
        if name in _REFERENCES and isinstance(value, str)
        else value
        if name in _LITERAL
        else rebased(value, path)
        for name, value in schema.items()
    }


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema lists."""
    given = schema.get("type")
    return given if isinstance(given, list) else [] if given is None else [str(given)]
