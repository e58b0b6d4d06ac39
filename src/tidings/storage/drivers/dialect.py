# SPDX-License-Identifier: MIT
"""The differences between the SQL of SQLite and of PostgreSQL, each written once.

A statement is one text for both databases, in the SQL of PostgreSQL. On SQLite, row locks (`FOR UPDATE SKIP LOCKED`)
are left out, because there is one writer. The text may have these forms, which the drivers replace:

- `IN :ids`: the parameter is a list.
- `rows_of(:ids, :rooms bigint) AS requested(id, room)`: one row for each place of the lists, which are text by default.
- `items_of(column) AS item`: one row for each element of a JSON array of texts, as `item.value`.
- `row_address IN (SELECT row_address FROM …)`: the rows of a subquery on the same table, by rowid or by the address of
  the row version. On PostgreSQL not for `message` and `attempt`: the rows of two partitions may have one address. There
  it is an array of addresses. A list or a join would let PostgreSQL compare each row of the table with each of the
  subquery.
- `found_by(msg_id, given.msg)`: an equality that PostgreSQL uses for look-ups in an index only. An ordinary one lets
  it compare each row with each given row, which seems cheap while the statistics say that the table is empty.
- `clock(:now)`: the parameter, or on PostgreSQL the time of the server in milliseconds if the parameter is NULL.
- `transaction_id()`: the id of the transaction on PostgreSQL, else NULL.
- `given(key text, tat bigint)` in the FROM or USING of a bulk statement: the given rows, with columns as `given.key`.
"""

import re
from functools import lru_cache
from typing import Final

from tidings.storage.drivers.database import Sql, Statement

_Rules = tuple[tuple[re.Pattern[str], str], ...]
_IN: Final = re.compile(r"\bIN :(\w+)")
_ITEMS_OF: Final = re.compile(r"\bitems_of\(([\w.]+)\) AS (\w+)")
_ROW_ADDRESS: Final = re.compile(r"\brow_address\b")
_ADDRESSES: Final = "row_address IN ("
_FOUND_BY: Final = re.compile(r"\bfound_by\(([\w.]+), ([\w.]+)\)")
_CLOCK: Final = re.compile(r"\bclock\(:now\)")
_TRANSACTION_ID: Final = re.compile(r"\btransaction_id\(\)")
_SQLITE: Final[_Rules] = (
    (_IN, r"IN (SELECT value FROM json_each(:\1))"),
    (_ITEMS_OF, r"json_each(\1) AS \2"),
    (_ROW_ADDRESS, "rowid"),
    (_FOUND_BY, r"\1 = \2"),
    (_CLOCK, "CAST(:now AS BIGINT)"),
    (_TRANSACTION_ID, "NULL"),
    (re.compile(r"\s+FOR (?:UPDATE|SHARE)(?: OF \w+)?(?: SKIP LOCKED)?"), ""),
    (re.compile(r"\boctet_length\(([\w.]+)\)"), r"length(CAST(\1 AS BLOB))"),
    (re.compile(r"\bstrpos\("), "instr("),
)
_POSTGRES: Final[_Rules] = (
    (_IN, r"= ANY(CAST(:\1 AS text[]))"),
    (_ITEMS_OF, r"json_array_elements_text(CAST(\1 AS json)) AS \2(value)"),
    (_ROW_ADDRESS, "ctid"),
    (_FOUND_BY, r"\1 = ANY(ARRAY[\2])"),
    (_CLOCK, "coalesce(CAST(:now AS BIGINT), (extract(epoch FROM statement_timestamp()) * 1000)::bigint)"),
    (_TRANSACTION_ID, "pg_current_xact_id()::text::bigint"),
)
_ROWS_OF: Final = re.compile(r"\brows_of\(([^)]*)\) AS (\w+)\(([^)]*)\)")
_GIVEN: Final = re.compile(r"(?<!AS )\bgiven\(([^)]*)\)")
_GIVEN_SOURCE: Final = re.compile(r"\s+(?:FROM|USING) given\([^)]*\)")
_GIVEN_SELECT: Final = re.compile(r"\bSELECT\s+(.+?)\s+FROM given\([^)]*\)(?!\s+WHERE)", re.DOTALL)
_GIVEN_COLUMN: Final = re.compile(r"\bgiven\.(\w+)")
_NAME: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_CACHED: Final = 2_048


@lru_cache(maxsize=_CACHED)
def for_sqlite(statement: Statement) -> str:
    """Return the text of a statement for SQLite. A bulk statement has the parameters `?1`, `?2` and so on."""
    text = statement.sqlite if isinstance(statement, Sql) else statement
    for form, replacement in _SQLITE:
        text = form.sub(replacement, text)
    return _with_numbers(_ROWS_OF.sub(_from_json, text))


@lru_cache(maxsize=_CACHED)
def for_postgres(statement: Statement) -> tuple[str, tuple[str, ...]]:
    """Return the text of a statement for PostgreSQL, and the names of the parameters `$1`, `$2` and so on.

    A bulk statement has no names: each parameter is an array of one column.
    """
    text = _as_array(statement.postgresql if isinstance(statement, Sql) else statement)
    for form, replacement in _POSTGRES:
        text = form.sub(replacement, text)
    return _numbered(_GIVEN.sub(_from_arrays, _ROWS_OF.sub(_unnested, text)))


def _as_array(text: str) -> str:
    """Make an array of the addresses of a subquery, so that PostgreSQL has no other plan than to fetch these rows."""
    before, found, after = text.partition(_ADDRESSES)
    if not found:
        return text
    depth = 1
    for place, each in enumerate(after):
        depth += (each == "(") - (each == ")")
        if depth == 0:
            return f"{before}row_address = ANY(ARRAY({after[:place]})){after[place + 1 :]}"
    raise AssertionError(text)


def _from_json(match: re.Match[str]) -> str:
    """Return a subquery over the first list; the other lists are read by its position."""
    lists = [each.split()[0] for each in match[1].split(", ")]
    values = ["value", *(f"json_extract({each}, '$[' || key || ']')" for each in lists[1:])]
    columns = ", ".join(f"{value} AS {name}" for value, name in zip(values, match[3].split(", "), strict=True))
    return f"(SELECT {columns} FROM json_each({lists[0]})) AS {match[2]}"


def _unnested(match: re.Match[str]) -> str:
    lists = [(name, kind or "text") for name, _, kind in (each.partition(" ") for each in match[1].split(", "))]
    return f"unnest({', '.join(f'CAST({name} AS {kind}[])' for name, kind in lists)}) AS {match[2]}({match[3]})"


def _from_arrays(match: re.Match[str]) -> str:
    columns = [each.split() for each in match[1].split(", ")]
    arrays = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(columns, 1))
    return f"unnest({arrays}) AS given({', '.join(name for name, _ in columns)})"


def _with_numbers(text: str) -> str:
    """Replace the given rows of a bulk statement by the numbered parameters of one row."""
    source = _GIVEN.search(text)
    if source is None:
        return text
    numbers = {each.split()[0]: f"?{number}" for number, each in enumerate(source[1].split(", "), 1)}
    every = ", ".join(numbers.values())
    text = _GIVEN_SELECT.sub(lambda match: f"VALUES ({every if match[1] == '*' else match[1]})", text)
    text = _GIVEN_COLUMN.sub(lambda match: numbers[match[1]], _GIVEN_SOURCE.sub("", text))
    last = f"?{len(numbers)}"
    return text if last in text else f"{text} AND {last} IS NOT NULL"  # SQLite counts parameters by the highest number


def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        name = match[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _NAME.sub(number, text), tuple(names)
