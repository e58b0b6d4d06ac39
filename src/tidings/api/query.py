# SPDX-License-Identifier: MIT
"""Query strings, declared as msgspec structs whose fields have the parameter types below.

A parameter type parses a value (an unreadable value is a 400), checks its rule (an invalid value is a 422), and has the
schema for the OpenAPI document. Undeclared parameters are ignored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Annotated, Final, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from tidings import ids
from tidings.api import samples
from tidings.clock import parse_rfc3339
from tidings.errors import AppError, Fault, bad_request, invalid
from tidings.model import text
from tidings.model.page import LIMIT_DEFAULT, LIMIT_MAX, Order

QueryT = TypeVar("QueryT", bound="Query")
Schema = Mapping[str, object]

_PARAMETERS_MAX: Final = 1_000


class Query(msgspec.Struct, kw_only=True):
    """A query string; the base class has no parameters."""


@dataclass(frozen=True, slots=True, eq=False)
class ParameterType:
    """A type of parameter: how it is parsed, checked and described."""

    read: Callable[[str], object]
    schema: Schema
    wrong: Callable[[object], str | None] = lambda _: None
    at: tuple[str, ...] = ()
    """The location of a fault, after the parameter's name."""
    is_list: bool = False
    text: str = ""
    """The description of a parameter whose field has no docstring."""
    example: object = None


def integer(value: str) -> int:
    """Parse a whole number."""
    if not value.isascii() or not value.removeprefix("-").isdigit() or len(value) > len("18446744073709551615"):
        raise ValueError("invalid digit found in string")
    return int(value)


def _boolean(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError("provided string was not `true` or `false`")
    return value == "true"


def _timestamp(value: str) -> int:
    # A plus sign that was not percent-encoded arrives as a space; before an offset it can be nothing else.
    try:
        return parse_rfc3339(value)
    except ValueError:
        head, space, offset = value.rpartition(" ")
        return parse_rfc3339(f"{head}+{offset}" if space else value)


def _wrong_limit(value: object) -> str | None:
    assert isinstance(value, int)  # noqa: S101 - `integer` parsed it
    if value > LIMIT_MAX:
        return f"Given limit must not exceed {LIMIT_MAX}"
    return None if value >= 1 else "Given limit must be at least 1"


def _each(rule: Callable[[str], str | None]) -> Callable[[object], str | None]:
    return lambda value: rule(str(value))


def _wrong_iterator(prefix: str) -> Callable[[object], str | None]:
    def wrong(value: object) -> str | None:
        key = str(value).removeprefix("-")
        if ids.is_id(key, prefix):
            return None
        if not key.startswith(prefix):
            return "Invalid id. Expected different prefix"
        return f"Invalid id. Expected `{prefix}` and 27 letters or digits that hold a timestamp"

    return wrong


ITERATOR: Final = (
    "Where to continue: the `iterator` of an earlier response for the next page, or its `prevIterator` for the previous"
    " one. Without it the list begins at its first item."
)


def iterator_of(prefix: str) -> ParameterType:
    """Return the type of an iterator over ids."""
    schema = {"type": "string", "pattern": f"^-?{prefix}{ids.PATTERN}$"}
    example = prefix + samples.APP.removeprefix(ids.APP)
    return ParameterType(str, schema, _wrong_iterator(prefix), ("__all__",), text=ITERATOR, example=example)


def _wrong_name_iterator(value: object) -> str | None:
    return text.name_error(str(value).removeprefix("-"))


def one_of(choices: type[Enum], text_: str = "") -> ParameterType:
    """Return the type of a parameter with a few fixed values; the schema refers to the enum by its name."""
    known = {str(choice.value): choice for choice in choices}

    def chosen(value: str) -> Enum:
        if value not in known:
            expected = ", ".join(f"`{name}`" for name in known)
            raise ValueError(f"unknown variant `{value}`, expected one of {expected}")
        return known[value]

    return ParameterType(chosen, {"enum": choices}, text=text_, example=next(iter(choices)).value)


_NAME_SCHEMA: Final = {"type": "string", "maxLength": text.LENGTH_MAX, "pattern": r"^[a-zA-Z0-9\-_.]+$"}

Flag = Annotated[bool, ParameterType(_boolean, {"type": "boolean"}, example=True)]
PageLimit = Annotated[
    int,
    ParameterType(
        integer,
        {"type": "integer", "format": "uint64", "minimum": 1, "maximum": LIMIT_MAX},
        _wrong_limit,
        ("limit",),
        text=f"Maximum number of items to return, from 1 to {LIMIT_MAX}. A page ends earlier where it exceeds 4 MiB.",
        example=LIMIT_DEFAULT,
    ),
]
Direction = Annotated[Order | None, one_of(Order, "The sort order of the list.")]
Instant = Annotated[
    int | None, ParameterType(_timestamp, {"type": "string", "format": "date-time"}, example=samples.TIMESTAMP)
]
"""A timestamp, in milliseconds."""
AppIterator = Annotated[str | None, iterator_of(ids.APP)]
EndpointIterator = Annotated[str | None, iterator_of(ids.ENDPOINT)]
MessageIterator = Annotated[str | None, iterator_of(ids.MESSAGE)]
AttemptIterator = Annotated[str | None, iterator_of(ids.ATTEMPT)]
ConnectorIterator = Annotated[str | None, iterator_of(ids.CONNECTOR)]
TaskIterator = Annotated[str | None, iterator_of(ids.TASK)]
_NAME_ITERATOR: Final = (
    rf"^(-[a-zA-Z0-9\-_.]{{1,{text.LENGTH_MAX}}}|[a-zA-Z0-9_.][a-zA-Z0-9\-_.]{{0,{text.LENGTH_MAX - 1}}})$"
)
NameIterator = Annotated[
    str | None,
    ParameterType(
        str,
        {"type": "string", "pattern": _NAME_ITERATOR},
        _wrong_name_iterator,
        ("__all__",),
        text=ITERATOR,
        example=samples.EVENT_TYPE,
    ),
]
UidParameter = Annotated[
    str | None,
    ParameterType(
        str, {**_NAME_SCHEMA, "minLength": 1}, _each(text.name_error), ("__all__",), example=samples.ENDPOINT
    ),
]
ChannelParameter = Annotated[
    str | None,
    ParameterType(
        str,
        {"type": "string", "maxLength": text.CHANNEL_LENGTH_MAX, "pattern": r"^[a-zA-Z0-9\-_.:+]+$"},
        _each(text.channel_error),
        ("__all__",),
        text="Only messages with this channel. Messages without channels do not match.",
        example=samples.CHANNEL,
    ),
]
TagParameter = Annotated[
    str | None,
    ParameterType(
        str,
        {"type": "string", "maxLength": text.CHANNEL_LENGTH_MAX, "pattern": r"^[a-zA-Z0-9\-_./\\#]+$"},
        _each(text.tag_error),
        ("__all__",),
        text="Only messages with this tag. Messages without tags do not match.",
        example=samples.TAG,
    ),
]
Names = Annotated[
    tuple[str, ...],
    ParameterType(
        str,
        _NAME_SCHEMA,
        _each(text.name_error),
        ("__all__",),
        is_list=True,
        text="Only messages of these event types. Separate several with commas, or repeat the parameter.",
        example=(samples.EVENT_TYPE,),
    ),
]
"""Event types: comma-separated, repeated, with `[]` or with `[0]`; all spellings are merged."""


class DryRunQuery(Query, kw_only=True):
    """Whether to start the task or to return an estimate."""

    dry_run: Flag = msgspec.field(default=False, name="dryRun")
    """Return what the task would do, with 200, without starting it. Nothing is stored."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter."""

    name: str
    kind: ParameterType
    default: object
    field: str
    """The name of the field in the struct."""


@lru_cache(maxsize=256)
def parameters_of(declared: type[Query]) -> tuple[Parameter, ...]:
    """Return the parameters that a struct declares, in order."""
    found = []
    for each in msgspec.structs.fields(declared):
        kinds = [extra for extra in get_args(each.type) if isinstance(extra, ParameterType)]
        if get_origin(each.type) is not Annotated or not kinds:
            raise TypeError(f"{declared.__name__}.{each.name} has no parameter type")
        found.append(Parameter(each.encode_name, kinds[0], each.default, each.name))
    return tuple(found)


def decode(declared: type[QueryT], query: bytes) -> QueryT:
    """Parse a query string; raise `AppError` if a parameter is unreadable or invalid."""
    if not query:
        return declared()
    given = _pairs(query)
    values: dict[str, object] = {}
    faults: list[Fault] = []
    for parameter in parameters_of(declared):
        raw = _given(parameter, given)
        if raw is not None:
            value, wrong = _read(parameter, raw)
            values[parameter.field] = value
            faults += wrong
    if faults:
        raise invalid(*faults)
    return declared(**values)


def _pairs(query: bytes) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS_MAX
        )
    except ValueError as error:
        raise _unreadable(str(error)) from error
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    return given


def _given(parameter: Parameter, given: Mapping[str, list[str]]) -> list[str] | None:
    """Return the values of a parameter, or None if it is absent."""
    if not parameter.kind.is_list:
        values = given.get(parameter.name)
        if values is not None and len(values) > 1:
            raise _unreadable(f"duplicate field `{parameter.name}`")
        return values
    found = [value for name, values in given.items() if _is_name_of(name, parameter.name) for value in values]
    return [item for value in found for item in value.split(",")] if found else None


def _is_name_of(name: str, parameter: str) -> bool:
    if name == parameter:
        return True
    index = name.removeprefix(parameter)
    return index != name and index.startswith("[") and index.endswith("]") and (index == "[]" or index[1:-1].isdigit())


def _read(parameter: Parameter, raw: list[str]) -> tuple[object, list[Fault]]:
    kind = parameter.kind
    try:
        values = [kind.read(value) for value in raw]
    except (ValueError, OverflowError) as error:
        raise _unreadable(f"{parameter.name}: {error}") from error
    wrong = next(filter(None, map(kind.wrong, values)), None)
    faults = [] if wrong is None else [Fault(("query", parameter.name, *kind.at), wrong)]
    return (tuple(dict.fromkeys(values)) if kind.is_list else values[0]), faults


def _unreadable(text_: str) -> AppError:
    return bad_request("generic_error", f"Failed to deserialize query string: {text_}")
