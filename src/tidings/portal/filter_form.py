# SPDX-License-Identifier: MIT
"""The part of the form of an endpoint that edits its payload filter, with a preview of the messages that it matches."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.core import filter_previews
from tidings.core.filter_previews import PreviewedMessage, PreviewFilters
from tidings.errors import Fault
from tidings.model import payload_filter
from tidings.model.payload_filter import CONDITIONS_MAX, FilterOperator, GivenCondition, PayloadFilter
from tidings.portal.request import Form, PageRequest

OPERATORS: Final = (
    ("==", "equals"),
    ("!=", "does not equal"),
    ("<", "is less than"),
    ("<=", "is at most"),
    (">", "is greater than"),
    (">=", "is at least"),
    ("in", "is one of"),
    ("exists", "exists"),
)
"""The operators with their names for people."""
_NAMES: Final = {each.value for each in FilterOperator}
_PREVIEWED: Final = 20
"""The messages of a preview."""
_OPERATOR: Final = "Choose how to compare the value."


@dataclass(frozen=True, slots=True)
class FilterRow:
    """A condition as texts, as the user typed them."""

    path: str = ""
    operator: str = "=="
    value: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether the row is no condition."""
        return not self.path and not self.value

    def given(self) -> GivenCondition:
        """Return the condition; the value is JSON, or else a text as it is."""
        operator = FilterOperator(self.operator)
        value = True if operator is FilterOperator.EXISTS and not self.value else _value(self.value)
        return GivenCondition(self.path, operator, value)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(value: object) -> str:
    """Return the text of a value from which `_value` makes the value again."""
    return value if isinstance(value, str) and _value(value) == value else json.dumps(value, ensure_ascii=False)


async def preview(
    page: PageRequest, rows: Sequence[FilterRow], event_types: tuple[str, ...] | None, channels: tuple[str, ...] | None
) -> list[PreviewedMessage]:
    """Return the latest messages, each with whether an endpoint with these filters would have received it."""
    filters = PreviewFilters(event_types, channels, built(rows))
    return await filter_previews.preview(page.services, page.app, filters, _PREVIEWED)


def rows_given(form: Form) -> tuple[FilterRow, ...]:
    """Return the rows of a sent form that are not empty, at most one more than a filter may have."""
    number = form["filter_rows"]
    count = int(number) if number.isascii() and number.isdigit() and len(number) < len("1000") else 0
    found = (
        FilterRow(form[f"filter_path_{each}"], form[f"filter_operator_{each}"], form[f"filter_value_{each}"])
        for each in range(min(count, CONDITIONS_MAX + 1))
    )
    return tuple(each for each in found if not each.is_empty)


def rows_of(found: PayloadFilter | None) -> tuple[FilterRow, ...]:
    """Return the rows of a stored filter."""
    given = () if found is None else found.given()
    return tuple(FilterRow(each.path, each.operator.value, _text(each.value)) for each in given)


def faults(rows: Sequence[FilterRow]) -> list[Fault]:
    """Return a fault for each value that breaks a rule, at the field of its row."""
    if not rows:
        return []
    wrong = [index for index, each in enumerate(rows) if each.operator not in _NAMES]
    if wrong:
        return [Fault(("body", f"filter_path_{index}"), _OPERATOR) for index in wrong]
    found = payload_filter.faults([each.given() for each in rows])
    return [
        Fault(("body", "filter" if each.index is None else f"filter_{each.member}_{each.index}"), each.detail)
        for each in found
    ]


def built(rows: Sequence[FilterRow]) -> PayloadFilter | None:
    """Return the filter of rows without faults; None without rows."""
    return payload_filter.build([each.given() for each in rows]) if rows else None
