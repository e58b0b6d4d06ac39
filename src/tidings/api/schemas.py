# SPDX-License-Identifier: MIT
"""The schemas of the OpenAPI document: one for each struct and each enum that a route refers to."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final

import msgspec

from tidings.api import samples
from tidings.api.enums import NAMES, name_of, named_in, schema_of
from tidings.api.field_docs import FieldDocs, prose

Json = dict[str, Any]

REF: Final = "#/components/schemas/{name}"
_RENAMED: Final = {REF.format(name=kind.__name__): REF.format(name=name) for kind, name in NAMES.items()}
_LITERAL: Final = ("enum", "default", "required", "example")
"""Members of a schema that hold values, not schemas."""


def content(kind: object) -> Json:
    """Return the content of a request or a response."""
    (schema,), _ = msgspec.json.schema_components((kind,), ref_template=REF)
    return {"application/json": {"schema": _plain(schema)}}


def components(kinds: Iterable[Any], more: Iterable[type[Enum]], docs: FieldDocs) -> Iterator[tuple[str, Json]]:
    """Yield the schema of each type, and of each type that those refer to; `more` are enums of parameters."""
    kinds = list(dict.fromkeys(kinds))
    _, found = msgspec.json.schema_components(kinds, ref_template=REF)
    enums, structs = named_in(kinds)
    enums = list(dict.fromkeys([*more, *enums]))
    named = {enum.__name__ for enum in enums}
    for name, schema in found.items():
        if name not in named:
            yield name, _object(schema, structs[name], docs)
    for enum in enums:
        yield name_of(enum), schema_of(enum, docs.of(enum))


def _object(schema: Json, kind: type, docs: FieldDocs) -> Json:
    """Simplify the schema of a struct and describe its properties; compatibility aliases are left out."""
    plain: Json = _plain(schema)
    plain["description"] = prose(kind.__doc__)
    texts = docs.of(kind)
    properties: Json = plain.get("properties", {})
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        member = properties[name]
        if member.pop("x-alias", None):
            del properties[name]
            continue
        if member.pop("x-required", None):
            plain["required"] = [*plain.get("required", ()), name]
        if field.name in texts:
            member["description"] = texts[field.name]
        if name in samples.OVERRIDING:
            member["example"] = samples.OVERRIDING[name]
        elif "example" not in member:
            member |= _example(name, member)
    return plain


def _example(name: str, member: Json) -> Json:
    """Return the example of a property: that of its items, its only value, or the one for its name."""
    if "$ref" in member or "anyOf" in member:  # the schema referred to has the example
        return {}
    if "example" in member.get("items", {}):
        return {"example": [member["items"]["example"]]}
    if "enum" in member:
        return {"example": member["enum"][0]}
    example = samples.PROPERTIES.get(name)
    is_list = "array" in member.get("type", ())
    return {} if example is None or is_list != isinstance(example, list) else {"example": example}


def _plain(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Write a nullable type as a list of types, which more generators support than `anyOf`, and drop null defaults."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        name: value if name in _LITERAL else _plain(value)
        for name, value in schema.items()
        if not (name == "default" and value is None)
    }
    if isinstance(plain.get("$ref"), str):
        plain.pop("type", None)  # of a name whose enum is elsewhere
        plain["$ref"] = _RENAMED.get(plain["$ref"], plain["$ref"])
    if isinstance(plain.get("enum"), list) and "type" not in plain:  # a literal
        plain["type"] = "string"
    options = plain.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options and len(options) > 1:
        rest = [option for option in options if option != {"type": "null"}]
        if len(rest) == 1 and isinstance(rest[0].get("type"), str):
            del plain["anyOf"]
            plain = {**rest[0], **plain, "type": [rest[0]["type"], "null"]}
    return plain
