# SPDX-License-Identifier: MIT
"""Payload filters in bodies: lists of conditions, which endpoints have in a member that SDKs skip."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, cast

from msgspec import Meta

from tidings.api.wire import In, Out
from tidings.errors import Fault
from tidings.model import payload_filter
from tidings.model.payload_filter import (
    CONDITIONS_MAX,
    PATH_LENGTH_MAX,
    PATH_PATTERN,
    TEXT_BYTES_MAX,
    VALUES_MAX,
    FilterOperator,
    GivenCondition,
    PayloadFilter,
    Scalar,
)

_PATH: Final = Meta(
    extra_json_schema={
        "minLength": 1,
        "maxLength": PATH_LENGTH_MAX,
        "pattern": PATH_PATTERN,
        "example": "$.order.total",
    }
)
_Text = Annotated[str, Meta(extra_json_schema={"maxLength": TEXT_BYTES_MAX})]
_Values = Annotated[
    list[_Text | int | float | bool | None], Meta(extra_json_schema={"minItems": 1, "maxItems": VALUES_MAX})
]
_Value = _Text | int | float | bool | _Values | None


class FilterConditionIn(In, kw_only=True):
    """A condition on the payload."""

    path: Annotated[str, _PATH]
    """The path of a value: `$` for the payload, with `.name` or `['any name']` for a member and `[0]` for an item.

    At most 16 names and indexes; an index is at most 255.
    """
    operator: FilterOperator
    """How to compare the value at the path."""
    value: _Value
    """The value to compare with: text, number, true, false or null. A number or text for an order, a list for `in`,
    and true or false for `exists`."""


PayloadFilterIn = Annotated[
    list[FilterConditionIn], Meta(extra_json_schema={"minItems": 1, "maxItems": CONDITIONS_MAX})
]


class FilterConditionOut(Out, kw_only=True):
    """A condition on the payload."""

    path: Annotated[str, _PATH]
    """The path of a value in the payload."""
    operator: FilterOperator
    """How the value at the path is compared."""
    value: _Value
    """The value that it is compared with."""


def filter_faults(conditions: Sequence[FilterConditionIn] | None, *loc: str) -> Iterator[Fault]:
    """Yield a fault for each broken rule of a filter, at the member of the condition that breaks it."""
    if conditions is None:
        return
    for found in payload_filter.faults(_given(conditions)):
        place = () if found.index is None else (f"[{found.index}]", found.member)
        yield Fault(("body", *loc, *place), found.detail)


def built_filter(conditions: Sequence[FilterConditionIn] | None) -> PayloadFilter | None:
    """Return the filter of a body without faults."""
    return None if conditions is None else payload_filter.build(_given(conditions))


def shown_filter(found: PayloadFilter | None) -> tuple[FilterConditionOut, ...] | None:
    """Return a filter for a response body."""
    if found is None:
        return None
    return tuple(
        FilterConditionOut(path=each.path, operator=each.operator, value=_shown(each.value)) for each in found.given()
    )


def _shown(value: object) -> Scalar | list[Scalar]:
    return list(value) if isinstance(value, tuple) else cast("Scalar", value)


def _given(conditions: Sequence[FilterConditionIn]) -> list[GivenCondition]:
    return [GivenCondition(each.path, each.operator, each.value) for each in conditions]
