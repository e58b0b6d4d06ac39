# SPDX-License-Identifier: MIT
"""Enums and structs of the OpenAPI document: found in the types of bodies, and named."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final, get_args, get_origin

import msgspec
from msgspec import inspect as types

from tidings.api.field_docs import Docs, prose
from tidings.api.health import HealthStatus
from tidings.model.page import Order
from tidings.model.task_item import ItemOutcome

Json = dict[str, Any]

NAMES: Final[dict[type[Enum], str]] = {
    ItemOutcome: "TaskItemOutcome",
    Order: "Ordering",
    HealthStatus: "ServiceHealthStatus",
}
"""Enums whose name in the document differs from the code: the contract's name, or a more specific one."""


def name_of(kind: type[Enum]) -> str:
    """Return the name of an enum in the document."""
    return NAMES.get(kind, kind.__name__)


def schema_of(kind: type[Enum], members: Docs) -> Json:
    """Return the schema of an enum with its members described; numbers get names for code generators."""
    values = [member.value for member in kind]
    is_number = all(isinstance(value, int) for value in values)
    schema: Json = {"type": "integer" if is_number else "string", "enum": values, "example": values[0]}
    listed = [f"- `{kind[name].value}`: {text}" for name, text in members.items()]
    schema["description"] = "\n\n".join(filter(None, (prose(kind.__doc__), "\n".join(listed))))
    if is_number:
        schema["x-enum-varnames"] = [_pascal(member.name) for member in kind]
    return schema


def _pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def named_in(kinds: Iterable[object]) -> tuple[list[type[Enum]], dict[str, type]]:
    """Return the enums that types refer to, directly or through others, and the structs by document name."""
    enums: dict[type[Enum], None] = {}
    structs: dict[str, type] = {}
    pending: list[Any] = list(types.multi_type_info(kinds))
    while pending:
        each = pending.pop()
        if isinstance(each, types.EnumType):
            enums[each.cls] = None
        elif isinstance(each, types.StructType):
            name = _struct_name(each.cls)
            if name in structs:
                continue
            structs[name] = get_origin(each.cls) or each.cls
        pending += _inside(each)
    return list(enums), structs


def _struct_name(kind: type) -> str:
    """Return the name that msgspec gives to a struct; for a generic one, with its argument."""
    return "_".join([kind.__name__, *(f"{_struct_name(each)}_" for each in get_args(kind))])


def _inside(kind: types.Type) -> Iterator[Any]:
    """Yield the types of the fields, items or alternatives of a type."""
    for value in msgspec.structs.asdict(kind).values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, types.Field):
                yield each.type
            elif isinstance(each, types.Type):
                yield each
