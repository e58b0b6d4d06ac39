# SPDX-License-Identifier: MIT
"""An OpenAPI document: references inside of it, and its schemas as JSON Schemas (Draft 7) without them.

A reference is replaced by what it names. Only one to a schema that contains it stays, as a reference to `definitions`
of the same schema. What all schemas together may take is bounded, because references repeat their targets.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

DEPTH_MAX: Final = 100
"""Maximum nesting of a schema, with what its references name."""
SIZE_MAX: Final = 8 * 1024 * 1024
"""Maximum size of all schemas together, in characters."""
CHAIN_MAX: Final = 50
"""Maximum references that lead to each other."""
_OVERHEAD: Final = 8
_INDEX: Final = re.compile("0|[1-9][0-9]{0,6}")

_DATA: Final = frozenset(("const", "default", "discriminator", "enum", "example", "examples"))
"""Members that are values, not schemas: a `$ref` in them is none."""
_BY_NAME: Final = frozenset(
    ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")
)
"""Members that map names to schemas."""
_ANNOTATIONS: Final = frozenset(("title", "description", "default", "deprecated", "example", "examples"))
_LIMITS: Final = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))


class DocumentError(ValueError):
    """A document that cannot be read: the place, as keys from its top, and a sentence."""

    def __init__(self, place: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


class Document:
    """A document, and how much its schemas may still take."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.is_3_0 = str(root.get("openapi")).startswith("3.0")
        self._left = SIZE_MAX

    def spend(self, size: int, place: tuple[str, ...]) -> None:
        """Count the size of a part of a schema; raise `DocumentError` when the schemas are too large."""
        self._left -= size
        if self._left < 0:
            words = f"The schemas take more than {SIZE_MAX // 1024 // 1024} MiB without references. Split the document."
            raise DocumentError(place, words)

    def target(self, ref: str, place: tuple[str, ...]) -> object:
        """Return what a reference names; raise `DocumentError` for one that leads out of the document or nowhere."""
        if not ref.startswith("#/"):
            words = f"The reference `{ref[:200]}` leads out of the document. Bundle the document into one file."
            raise DocumentError(place, words)
        node: object = self.root
        for token in ref[2:].split("/"):
            key = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and key in node:
                node = node[key]
            elif isinstance(node, list) and _INDEX.fullmatch(key) and int(key) < len(node):
                node = node[int(key)]
            else:
                raise DocumentError(place, f"The reference `{ref[:200]}` names nothing in the document.")
        return node

    def followed(self, node: object, place: tuple[str, ...]) -> Mapping[str, Any]:
        """Return an object, or the one that its reference names; an empty one for anything else."""
        for _ in range(CHAIN_MAX):
            ref = node.get("$ref") if isinstance(node, dict) else None
            if not isinstance(ref, str):
                return node if isinstance(node, dict) else {}
            node = self.target(ref, place)
        raise DocumentError(place, f"More than {CHAIN_MAX} references lead to each other.")


class SchemaCopy:
    """A copy of one schema without references, except those of schemas that contain themselves."""

    def __init__(self, document: Document, place: tuple[str, ...]) -> None:
        self._document = document
        self._place = place
        self._keys: dict[str, str] = {}
        """The keys in `definitions` by reference."""
        self._pending: list[str] = []

    def of(self, schema: object) -> object:
        """Return the copy; raise `DocumentError` if it would be too large or too deep."""
        copied = self._copied(schema, (), 0)
        definitions: dict[str, object] = {}
        while self._pending:
            ref = self._pending.pop()
            definitions[self._keys[ref]] = self._copied(self._document.target(ref, self._place), (ref,), 0)
        if not definitions or not isinstance(copied, dict):
            return copied
        return {**copied, "definitions": {**copied.get("definitions", {}), **definitions}}

    def _copied(self, node: object, within: tuple[str, ...], depth: int) -> object:
        if depth > DEPTH_MAX:
            raise DocumentError(self._place, f"The schema has more than {DEPTH_MAX} levels of nesting.")
        if not isinstance(node, dict):
            return self._verbatim(node)
        ref = node.get("$ref")
        if isinstance(ref, str):
            return self._inlined(ref, {key: each for key, each in node.items() if key != "$ref"}, within, depth)
        copied = {key: self._member(key, value, within, depth + 1) for key, value in node.items()}
        return _as_draft_7(copied) if self._document.is_3_0 else copied

    def _member(self, key: str, value: object, within: tuple[str, ...], depth: int) -> object:
        self._document.spend(len(key) + _OVERHEAD, self._place)
        if key in _DATA or key.startswith("x-"):
            return self._verbatim(value)
        if key in _BY_NAME and isinstance(value, dict):
            return {name: self._named(name, each, within, depth + 1) for name, each in value.items()}
        if isinstance(value, list):
            return [self._copied(each, within, depth + 1) for each in value]
        return self._copied(value, within, depth)

    def _named(self, name: str, value: object, within: tuple[str, ...], depth: int) -> object:
        self._document.spend(len(name) + _OVERHEAD, self._place)
        return self._copied(value, within, depth)

    def _inlined(self, ref: str, siblings: dict[str, Any], within: tuple[str, ...], depth: int) -> object:
        self._document.spend(len(ref) + _OVERHEAD, self._place)
        if ref in within:
            copied: object = {"$ref": f"#/definitions/{self._key_of(ref)}"}
        else:
            copied = self._copied(self._document.target(ref, self._place), (*within, ref), depth + 1)
        if not siblings or self._document.is_3_0:  # OpenAPI 3.0 ignores them
            return copied
        beside = {key: self._member(key, value, within, depth + 1) for key, value in siblings.items()}
        if isinstance(copied, dict) and "$ref" not in copied and siblings.keys() <= _ANNOTATIONS:
            return {**copied, **beside}
        return {"allOf": [copied, *beside.pop("allOf", ())], **beside}  # type: ignore[misc]

    def _key_of(self, ref: str) -> str:
        """Return the key in `definitions` of what a reference names, and note that it is needed."""
        if ref not in self._keys:
            last = "".join(each if each.isascii() and each.isalnum() else "_" for each in ref.rpartition("/")[2])
            self._keys[ref] = f"{last[:100]}_{len(self._keys) + 1}"
            self._pending.append(ref)
        return self._keys[ref]

    def _verbatim(self, value: object) -> object:
        self._document.spend(len(msgspec.json.encode(value)), self._place)
        return value


def _as_draft_7(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of OpenAPI 3.0 with what Draft 7 writes otherwise: `nullable`, and limits that are flags."""
    if schema.pop("nullable", None) is True:
        if isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    for limit, exclusive in _LIMITS:
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and limit in schema:
            schema[exclusive] = schema.pop(limit)
    return schema
