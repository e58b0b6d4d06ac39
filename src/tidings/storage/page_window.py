# SPDX-License-Identifier: MIT
"""A page window as the end of a statement.

PostgreSQL decides after a few runs whether one plan serves a statement for all values. Over many partitions it has to:
planning a page takes longer than reading it. Of an unknown limit it thinks a tenth of the rows, and of a range with two
unknown ends that it holds few rows. So a range with two ends goes well with an unknown limit, and is sorted as a whole
for a known one that seems larger; with one end, or where each row costs a look elsewhere, the limit must be known.
"""

from tidings.model.page import PageWindow
from tidings.storage.database import Value


def end_of(window: PageWindow, column: str, *, is_dear: bool = False) -> str:
    """Return the conditions on the list's key, the order and the limit; `column` is a name written in the code.

    `is_dear` says that a row costs more than reading it.
    """
    conditions = [
        f" AND {column} {operator} :{name}"
        for name, operator, bound in (
            ("above", ">", window.above),
            ("below", "<", window.below),
            ("first", ">=", window.first),
        )
        if bound is not None
    ]
    has_two_ends = window.below is not None and (window.first is not None or window.above is not None)
    limit = ":rows" if has_two_ends and not is_dear else f"{window.rows:d}"
    return f"{''.join(conditions)} ORDER BY {column} {window.direction} LIMIT {limit}"


def bounds_of(window: PageWindow) -> dict[str, Value]:
    """Return the values that go with `end_of`."""
    return {"above": window.above, "below": window.below, "first": window.first, "rows": window.rows}


def spread(*names: str) -> str:
    """Return lists of texts as rows of PostgreSQL, which does not learn from a plan's values how many they are.

    Of few it would think that a plan for these alone is cheaper than one for all, and plan each time anew.
    """
    return f"unnest({', '.join(f'(SELECT CAST(:{name} AS text[]))' for name in names)})"


def hidden(name: str) -> str:
    """Return a text that PostgreSQL does not look at when it plans: some values promise so few rows that it would."""
    return f"(SELECT CAST(:{name} AS text))"
