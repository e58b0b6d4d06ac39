# SPDX-License-Identifier: MIT
"""TypeScript types from JSON schemas: keywords that describe the shape of data, and `unknown` for everything else.

Each definition of a schema becomes a named type in the same file, so recursive definitions terminate.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from tidings.tasks.names import pascal
from tidings.tasks.schemas import Schema, types_of

_SIMPLE: Final = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "null": "null",
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_DEFINITION: Final = re.compile(r"#/(definitions|\$defs)/([^/]+)")
_INDENT: Final = "  "


class _File:
    """The types of one schema."""

    def __init__(self, schema: Schema, name: str) -> None:
        self._root = name
        self._names = {"#": name}
        for place in ("definitions", "$defs"):
            for key in schema.get(place) or {}:
                self._names[f"#/{place}/{_escaped(key)}"] = self._unused(f"{name}{pascal(key)}")

    def _unused(self, preferred: str) -> str:
        name, number = preferred, 1
        while name in self._names.values():
            number += 1
            name = f"{preferred}{number}"
        return name

    def declarations(self, schema: Schema) -> Iterator[str]:
        """Yield the declaration of the schema, then those of its definitions."""
        yield self._declaration(self._root, schema)
        for place in ("definitions", "$defs"):
            for key, definition in (schema.get(place) or {}).items():
                yield self._declaration(self._names[f"#/{place}/{_escaped(key)}"], definition)

    def _declaration(self, name: str, schema: Any) -> str:  # noqa: ANN401 - JSON
        return f"{_comment(schema, '')}export type {name} = {self._type(schema, '')};\n"

    def _type(self, schema: Any, indent: str) -> str:  # noqa: ANN401 - JSON
        """Return the type of a schema: the intersection of the types that its keywords describe."""
        if not isinstance(schema, dict):
            return "never" if schema is False else "unknown"
        exact = self._exact(schema)
        if exact is not None:
            return exact
        parts = [self._own(schema, indent)] if _has_shape(schema) else []
        for keyword, joint in (("allOf", " & "), ("anyOf", " | "), ("oneOf", " | ")):
            options = schema.get(keyword)
            if isinstance(options, list) and options:
                parts.append(joint.join(dict.fromkeys(_grouped(self._type(each, indent)) for each in options)))
        if not parts:
            return "unknown"
        return parts[0] if len(parts) == 1 else " & ".join(map(_grouped, parts))

    def _exact(self, schema: Schema) -> str | None:
        """Return the type that a schema references or enumerates, if it does."""
        if "$ref" in schema:
            return self._names.get(str(schema["$ref"]), "unknown")
        if "const" in schema:
            return _literal(schema["const"])
        values = schema.get("enum")
        return " | ".join(dict.fromkeys(map(_literal, values))) or "never" if isinstance(values, list) else None

    def _own(self, schema: Schema, indent: str) -> str:
        """Return the type that a schema describes itself, without combining others."""
        types = types_of(schema) or [_implied(schema)]
        if schema.get("nullable") is True and "null" not in types:
            types = [*types, "null"]
        return " | ".join(dict.fromkeys(self._of(each, schema, indent) for each in types))

    def _of(self, name: str, schema: Schema, indent: str) -> str:
        if name == "object":
            return self._object(schema, indent)
        if name == "array":
            return self._array(schema, indent)
        return _SIMPLE.get(name, "unknown")

    def _array(self, schema: Schema, indent: str) -> str:
        fixed = schema.get("prefixItems")
        rest = schema.get("items", True)
        if isinstance(fixed, list) and fixed:
            items = ", ".join(f"{_grouped(self._type(each, indent))}?" for each in fixed)
            tail = "" if rest is False else f", ...{_grouped(self._type(rest, indent))}[]"
            return f"[{items}{tail}]"
        return f"{_grouped(self._type(rest, indent))}[]"

    def _object(self, schema: Schema, indent: str) -> str:
        inner = indent + _INDENT
        required = set(schema.get("required") or ())
        lines = []
        for name, value in (schema.get("properties") or {}).items():
            mark = "" if name in required else "?"
            lines.append(f"{_comment(value, inner)}{inner}{_key(name)}{mark}: {self._type(value, inner)};\n")
        if schema.get("additionalProperties", True) is not False:
            lines.append(f"{inner}[key: string]: {self._additional(schema, inner)};\n")
        return f"{{\n{''.join(lines)}{indent}}}" if lines else "Record<string, never>"

    def _additional(self, schema: Schema, indent: str) -> str:
        """Return the type of unnamed members: `unknown` beside named ones, whose types it would have to include."""
        additional = schema.get("additionalProperties", True)
        return "unknown" if schema.get("properties") else self._type(additional, indent)


def _has_shape(schema: Schema) -> bool:
    return "type" in schema or any(each in schema for each in ("properties", "additionalProperties", "items"))


def _implied(schema: Schema) -> str:
    return "array" if "items" in schema else "object"


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _grouped(text: str) -> str:
    return f"({text})" if " | " in text or " & " in text else text


def _literal(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return "{ " + "; ".join(f"{_key(name)}: {_literal(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value)


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)


def _comment(schema: Any, indent: str) -> str:  # noqa: ANN401 - JSON
    text = schema.get("description") if isinstance(schema, dict) else None
    if not isinstance(text, str) or not text.strip():
        return ""
    lines = text.replace("*/", "*\\/").strip().splitlines()
    if len(lines) == 1:
        return f"{indent}/** {lines[0].strip()} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line.strip()}\n" for line in lines) + f"{indent} */\n"


def models(schema: Schema, name: str) -> str:
    """Return a TypeScript file with the type of a schema under a name, and the types of its definitions."""
    return "\n".join(_File(schema, name).declarations(schema))
