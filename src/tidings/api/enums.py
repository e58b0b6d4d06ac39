# SPDX-License-Identifier: MIT
"""Enums in the OpenAPI document: found in the types of bodies, named, and written with their type."""

import inspect
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from tidings.api.health import HealthStatus
from tidings.model.health import EndpointDisabledReason, EndpointHealthStatus
from tidings.model.page import Order

Json = dict[str, Any]

NAMES: Final[dict[type[Enum], str]] = {
    Order: "Ordering",
    EndpointHealthStatus: "EndpointHealthStatus",
    EndpointDisabledReason: "EndpointDisabledReason",
    HealthStatus: "ServiceHealthStatus",
}
"""Enums that the document names otherwise than the code: as the contract does, or so that a stranger knows of what."""


def name_of(kind: type[Enum]) -> str:
    """Return the name of an enum in the document."""
    return NAMES.get(kind, kind.__name__)


def schema_of(kind: type[Enum]) -> Json:
    """Return the schema of an enum; numbers get names, which generators give to their members."""
    values = [member.value for member in kind]
    is_number = all(isinstance(value, int) for value in values)
    schema: Json = {"type": "integer" if is_number else "string", "enum": values}
    schema["description"] = inspect.getdoc(kind) or ""
    if is_number:
        schema["x-enum-varnames"] = [_pascal(member.name) for member in kind]
    return schema


def _pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def enums_in(kinds: Iterable[object]) -> list[type[Enum]]:
    """Return the enums that types name, and those that the types in them name."""
    found: dict[type[Enum], None] = {}
    seen: set[type] = set()
    waiting: list[Any] = list(types.multi_type_info(kinds))
    while waiting:
        each = waiting.pop()
        if isinstance(each, types.EnumType):
            found[each.cls] = None
        elif isinstance(each, types.StructType) and each.cls not in seen:
            seen.add(each.cls)
        elif isinstance(each, types.StructType):
            continue
        waiting += _inside(each)
    return list(found)


def _inside(kind: types.Type) -> Iterator[Any]:
    """Yield the types of the fields, items or alternatives of a type."""
    for value in msgspec.structs.asdict(kind).values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, types.Field):
                yield each.type
            elif isinstance(each, types.Type):
                yield each
