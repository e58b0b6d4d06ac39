# SPDX-License-Identifier: MIT
"""SQL clauses for a page window, written so that PostgreSQL chooses an index scan and reuses its plan.

After a few executions PostgreSQL decides whether to use one generic plan for all values. With many partitions it must,
because planning a page takes longer than reading it. For a generic plan it estimates that a limit parameter takes a
tenth of the rows, and that a range between two parameters holds few rows. So a range with two bounds works with a
limit parameter; a constant limit above the estimate would make PostgreSQL sort the whole range. With one bound, or if
each row needs an expensive lookup, the limit must be a constant.
"""

from tidings.model.page import PageWindow
from tidings.storage.drivers.database import Value


def end_of(window: PageWindow, column: str, *, is_row_expensive: bool = False) -> str:
    """Return the key conditions, ORDER BY and LIMIT of a page.

    `column` goes into the SQL as it is: pass constants only. With `is_row_expensive`, each row needs another lookup.
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
    limit = ":rows" if has_two_ends and not is_row_expensive else f"{window.rows:d}"
    return f"{''.join(conditions)} ORDER BY {column} {window.direction} LIMIT {limit}"


def bounds_of(window: PageWindow) -> dict[str, Value]:
    """Return the parameters of `end_of`."""
    return {"above": window.above, "below": window.below, "first": window.first, "rows": window.rows}


def spread(*names: str) -> str:
    """Return SQL that expands PostgreSQL array parameters to rows, and hides their length from the planner.

    If the planner saw a short array, it would estimate a custom plan as cheaper and plan on every execution.
    """
    return f"unnest({', '.join(f'(SELECT CAST(:{name} AS text[]))' for name in names)})"


def hidden(name: str) -> str:
    """Return SQL for a text parameter that hides its value from the PostgreSQL planner.

    For a value that seems to match few rows, the planner would plan on every execution.
    """
    return f"(SELECT CAST(:{name} AS text))"
