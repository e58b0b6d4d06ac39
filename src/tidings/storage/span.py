# SPDX-License-Identifier: MIT
"""The part of a list that a page needs, as the end of a statement."""

from tidings.model.page import Span
from tidings.storage.database import Value


def end_of(span: Span, column: str) -> str:
    """Return the conditions on the list's key, the order and the limit; `column` is a name written in the code."""
    conditions = [
        f" AND {column} {operator} :{name}"
        for name, operator, bound in (
            ("above", ">", span.above),
            ("below", "<", span.below),
            ("first", ">=", span.first),
        )
        if bound is not None
    ]
    # The limit is in the text, where PostgreSQL sees it when it decides on one plan for all values: with an unknown one
    # it would plan every page anew, which over many partitions takes longer than reading it.
    return f"{''.join(conditions)} ORDER BY {column} {span.direction} LIMIT {span.rows:d}"


def bounds_of(span: Span) -> dict[str, Value]:
    """Return the values that go with `end_of`."""
    return {"above": span.above, "below": span.below, "first": span.first}
