# SPDX-License-Identifier: MIT
"""The lists of undelivered messages, of an endpoint and of an organization, by state.

Each list has an index that holds its rows in its order, and almost no others: `delivery_due` and `delivery_org` the
scheduled deliveries, `delivery_lease_expiry` those in flight, `attempt_exhausted` and `attempt_org_exhausted` the
attempts after which deliveries were exhausted. Deliveries that succeed at once are in none of them.

A statement reads candidates in that order, and says of each whether it matches: the filters need the message, and an
exhausted delivery may be outstanding again. A page reads a bounded number of candidates. If too few of them match, it
ends early, and the next page continues after the last candidate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.ids import EndpointId, MessageId, OrgId, timestamp_of
from tidings.model.delivery import Lane
from tidings.model.explanation import OutstandingDelivery
from tidings.model.page import Order
from tidings.model.status import Count
from tidings.model.undelivered import (
    UndeliveredFilter,
    UndeliveredKey,
    UndeliveredRow,
    UndeliveredRows,
    UndeliveredState,
    UndeliveredSummary,
)
from tidings.storage.drivers.database import Read, Row, Sql, Value, composed, from_row
from tidings.storage.tables import messages

COUNT_MAX: Final = 1_000
"""The greatest number that is counted; `Count` says whether there are more. Each row costs some index probes."""
_LAST: Final = 1 << 62
_BEFORE_ALL: Final = UndeliveredKey(0, MessageId(""), EndpointId(""))
_AFTER_ALL: Final = UndeliveredKey(_LAST, MessageId("~"), EndpointId("~"))
_GROWTH: Final = 4


@dataclass(frozen=True, slots=True)
class UndeliveredScope:
    """Whose deliveries a list has: those of one endpoint, or of an organization."""

    org_id: OrgId
    endpoint_id: EndpointId | None = None

    @property
    def column(self) -> str:
        """The column that has the owner."""
        return "org_id" if self.endpoint_id is None else "endpoint_id"

    @property
    def owner(self) -> str:
        """The value of that column."""
        return self.endpoint_id or self.org_id


# -----------------------------------------------------------------------------------------------------------------
# Candidates. `:low` and `:high` bound the first part of the key for the index; the comparison of the whole key follows.

_COLUMNS: Final = "msg_id, endpoint_id, due_at, attempts, manual AS is_manual, lease_until, task_id"
_WAYS: Final = {Order.ASCENDING: "ASC", Order.DESCENDING: "DESC"}
_LIMIT: Final = "LIMIT CAST(:rows AS BIGINT)"


def _past(at: str, order: Order) -> str:
    operator = ">" if order is Order.ASCENDING else "<"
    return f"({at}, msg_id, endpoint_id) {operator} (CAST(:at AS BIGINT), :msg, :endpoint)"


def _in_order(at: str, order: Order) -> str:
    way = _WAYS[order]
    return f"ORDER BY {at} {way}, msg_id {way}, endpoint_id {way} {_LIMIT}"


def _due(key: str, values: str, order: Order) -> Sql:
    """Return the scheduled deliveries with some values of the columns before `due_at` in their index.

    A task may schedule thousands of them for one time. Those are sorted by their ids, which no index has. On
    PostgreSQL, the comparison of whole keys selects the index, whatever the statistics say.
    """
    equal = " AND ".join(f"{name} = {value}" for name, value in zip(key.split(", "), values.split(", "), strict=True))
    by_key = ", ".join(f"{name} {_WAYS[order]}" for name in key.split(", "))
    # `+ 0` keeps the comparison of the position from selecting an index that has the due times of all endpoints.
    rows = f"SELECT due_at AS at, {_COLUMNS} FROM delivery WHERE lease IS NULL AND {_past('due_at + 0', order)}"
    in_order = _in_order("due_at", order)
    return Sql(
        sqlite=f"SELECT * FROM ({rows} AND {equal} AND due_at >= :low AND due_at <= :high {in_order}) AS due",
        postgresql=(
            f"SELECT * FROM ({rows} AND ({key}, due_at) >= ({values}, CAST(:low AS BIGINT))"
            f" AND ({key}, due_at) <= ({values}, CAST(:high AS BIGINT))"
            f" {in_order.replace('ORDER BY', f'ORDER BY {by_key},')}) AS due"
        ),
    )


def _leased(column: str, than: str, order: Order) -> str:
    """Return the leased deliveries whose lease expires after (`>`) or by (`<=`) now.

    Few rows are leased at any time: only those that the nodes hold in memory. `|| ''` keeps the planners on their
    index.
    """
    return (
        f"SELECT * FROM (SELECT lease_until AS at, {_COLUMNS} FROM delivery WHERE lease IS NOT NULL"
        f" AND lease_until {than} CAST(:now AS BIGINT) AND lease_until >= CAST(:low AS BIGINT)"
        f" AND lease_until <= CAST(:high AS BIGINT) AND {column} || '' = :owner AND {_past('lease_until', order)}"
        f" {_in_order('lease_until', order)}) AS leased"
    )


def _scheduled(column: str, order: Order) -> Sql:
    """Return the deliveries that wait, also those whose node has let the lease expire."""
    lanes = [f"CAST({lane:d} AS SMALLINT)" for lane in Lane]
    due = (
        [_due("org_id", ":owner", order)]
        if column == "org_id"
        else [_due("endpoint_id, lane", f":owner, {lane}", order) for lane in lanes]
    )
    every: list[Sql | str] = [*due, _leased(column, "<=", order)]
    parts = {f"part{number}": part for number, part in enumerate(every)}
    union = " UNION ALL ".join(f"{{{name}}}" for name in parts)
    return composed(f"SELECT * FROM ({union}) AS waiting {_in_order('at', order)}", **parts)


def _exhausted(column: str, order: Order) -> str:
    """Return the deliveries with an attempt after which none was left: the last one, and resends that failed later."""
    way = _WAYS[order]
    return (
        "SELECT 0 AS at, msg_id, endpoint_id FROM attempt"
        f" WHERE {column} = :owner AND ended = 1 AND msg_id >= :least AND msg_id <= :greatest AND {_past('0', order)}"
        f" GROUP BY msg_id, endpoint_id ORDER BY msg_id {way}, endpoint_id {way} {_LIMIT}"
    )


# Scalar subqueries: PostgreSQL could read a whole table for EXISTS or a join.
_IS_EXHAUSTED: Final = (
    " AND (SELECT 1 FROM delivery WHERE delivery.msg_id = c.msg_id AND delivery.endpoint_id = c.endpoint_id LIMIT 1)"
    " IS NULL"
    # A success unmarks earlier attempts, but a resend of a delivered message may fail later.
    " AND (SELECT 1 FROM attempt WHERE attempt.msg_id = c.msg_id AND attempt.endpoint_id = c.endpoint_id"
    " AND attempt.status IN (0, 4) LIMIT 1) IS NULL"
)
_EXISTS: Final = (
    " AND (SELECT 1 FROM endpoint WHERE endpoint.id = c.endpoint_id AND endpoint.deleted_at IS NULL AND"
    " (SELECT 1 FROM application WHERE application.id = endpoint.app_id AND application.deleted_at IS NULL) = 1"
    " LIMIT 1) = 1"
)
# A count looks at each endpoint of matching rows once: there are many more deliveries.
_COUNTED_ALIVE: Final = (
    "passed AS MATERIALIZED (SELECT c.*, CASE WHEN {matches} THEN 1 ELSE 0 END AS passes FROM c),"
    " alive AS MATERIALIZED (SELECT c.endpoint_id AS endpoint_id"
    " FROM (SELECT DISTINCT endpoint_id FROM passed WHERE passes = 1) AS c"
    f" WHERE 1 = 1{_EXISTS}), counted AS MATERIALIZED (SELECT at, msg_id, endpoint_id,"
    " CASE WHEN passes = 1 AND endpoint_id IN (SELECT endpoint_id FROM alive) THEN 1 ELSE 0 END AS is_match"
    " FROM passed)"
)
_COUNTED: Final = "counted AS MATERIALIZED (SELECT c.*, CASE WHEN {matches} THEN 1 ELSE 0 END AS is_match FROM c)"

_TOTALS: Final = (
    "SELECT count(*) AS candidates, coalesce(sum(is_match), 0) AS found,"
    " min(CASE WHEN is_match = 1 THEN msg_id END) AS oldest FROM counted"
)


def page_statement(column: str, filters: UndeliveredFilter, order: Order) -> Sql:
    """Return the statement that reads candidates; `is_match` says which of them are in the list."""
    way = _WAYS[order]
    return composed(
        "SELECT c.*, CASE WHEN {matches} THEN 1 ELSE 0 END AS is_match FROM ({source}) AS c"
        f" ORDER BY c.at {way}, c.msg_id {way}, c.endpoint_id {way}",
        source=_source(column, filters.state, order),
        matches=_matches(filters)
        + (_EXISTS if column == "org_id" and filters.state is UndeliveredState.EXHAUSTED else ""),
    )


def count_statement(column: str, filters: UndeliveredFilter) -> Sql:
    """Return the statement that counts: candidates, those in the list, and their least message."""
    return composed("{counted} {totals}", counted=_counted(column, filters), totals=_TOTALS)


def first_statement(column: str, filters: UndeliveredFilter) -> Sql:
    """Return the statement of a first page: what `count_statement` returns, with the first rows in the list.

    Both look at the same candidates, so each is evaluated once. There is one row at least; without rows in the list,
    its `msg_id` is null. `last_at`, `last_msg` and `last_endpoint` are the key of the last candidate.
    """
    return composed(
        "{counted}, whole AS ({totals}), edge AS (SELECT at, msg_id, endpoint_id FROM counted"
        " ORDER BY at DESC, msg_id DESC, endpoint_id DESC LIMIT 1), shown AS (SELECT * FROM counted WHERE is_match = 1"
        " ORDER BY at, msg_id, endpoint_id LIMIT CAST(:shown AS BIGINT)) SELECT whole.candidates, whole.found,"
        " whole.oldest, edge.at AS last_at, edge.msg_id AS last_msg, edge.endpoint_id AS last_endpoint, shown.*"
        " FROM whole LEFT JOIN edge ON 1 = 1 LEFT JOIN shown ON 1 = 1"
        " ORDER BY shown.at, shown.msg_id, shown.endpoint_id",
        counted=_counted(column, filters),
        totals=_TOTALS,
    )


def _counted(column: str, filters: UndeliveredFilter) -> Sql:
    """Return the beginning of a statement: its table `counted` has the first candidates, with `is_match`.

    It is materialized because planners would otherwise evaluate `is_match` once for each use.
    """
    is_whole = column == "org_id" and filters.state is UndeliveredState.EXHAUSTED
    return composed(
        f"WITH c AS MATERIALIZED ({{source}}), {_COUNTED_ALIVE if is_whole else _COUNTED}",
        source=_source(column, filters.state, Order.ASCENDING),
        matches=_matches(filters),
    )


def _source(column: str, state: UndeliveredState, order: Order) -> Sql | str:
    match state:
        case UndeliveredState.SCHEDULED:
            return _scheduled(column, order)
        case UndeliveredState.IN_FLIGHT:
            return _leased(column, ">", order)
        case UndeliveredState.EXHAUSTED:
            return _exhausted(column, order)


def _matches(filters: UndeliveredFilter) -> str:
    """Return the condition of a row in the list; the filters, which few rows may pass, come first."""
    found = "1 = 1"
    if filters.since is not None:
        found += " AND c.msg_id >= :first"
    if filters.until is not None:
        found += " AND c.msg_id < :end"
    if not filters.messages.is_empty:
        conditions = messages.filter_conditions(filters.messages)
        # 0 in place of null: in a conjunction, PostgreSQL evaluates the rest after null, and nothing after false.
        found += f" AND coalesce((SELECT 1 FROM message WHERE message.id = c.msg_id{conditions} LIMIT 1), 0) = 1"
    if filters.state is UndeliveredState.EXHAUSTED:
        found += _IS_EXHAUSTED
    return found


# -----------------------------------------------------------------------------------------------------------------
# Pages and counts


@dataclass(frozen=True, slots=True)
class UndeliveredWindow:
    """The part of a list to read: up to `rows` rows after a position, or from the start of the order."""

    order: Order
    rows: int
    after: UndeliveredKey | None = None


async def page(
    read: Read, scope: UndeliveredScope, filters: UndeliveredFilter, window: UndeliveredWindow, now: int
) -> UndeliveredRows:
    """Return the next rows of a list. Fewer than requested, though the list goes on, if too many candidates differ."""
    return await _page(read, scope, filters, window, now, read.tuning.lists.undelivered)


async def _page(
    read: Read, scope: UndeliveredScope, filters: UndeliveredFilter, window: UndeliveredWindow, now: int, left: int
) -> UndeliveredRows:
    """Return the next rows of a list, of at most `left` candidates."""
    statement = page_statement(scope.column, filters, window.order)
    found: list[UndeliveredRow] = []
    position = window.after
    limit = min(left, _GROWTH * window.rows if filters.reads_messages else window.rows)
    while True:
        rows = await read.rows(statement, **_values(scope, filters, window.order, position, limit), now=now)
        position = _key(rows[-1]) if rows else position
        found += [_row(row, filters.state) for row in rows if row["is_match"]]
        left -= len(rows)
        if len(rows) < limit or len(found) >= window.rows or left <= 0:
            return UndeliveredRows(found[: window.rows], position, is_end=len(rows) < limit)
        limit = min(left, _GROWTH * limit)


async def summary(
    read: Read, scope: UndeliveredScope, filters: UndeliveredFilter, now: int, *, most: int = COUNT_MAX
) -> UndeliveredSummary:
    """Count a list up to `most`. With more candidates than that, the count is of the first ones, and inexact."""
    values = _values(scope, filters, Order.ASCENDING, None, most + 1)
    return _summary(await read.one(count_statement(scope.column, filters), **values, now=now), most)


def _summary(row: Row, most: int) -> UndeliveredSummary:
    count = Count(min(row["found"], most), row["candidates"] <= most)
    return UndeliveredSummary(count, None if row["oldest"] is None else timestamp_of(row["oldest"]))


async def first_page(
    read: Read, scope: UndeliveredScope, filters: UndeliveredFilter, limit: int, now: int, *, most: int = COUNT_MAX
) -> tuple[UndeliveredRows, UndeliveredSummary]:
    """Return the first `limit` rows of a list in ascending order, with its count up to `most`: `page` and `summary`."""
    values = _values(scope, filters, Order.ASCENDING, None, most + 1)
    rows = await read.rows(first_statement(scope.column, filters), **values, shown=limit, now=now)
    whole, candidates = _summary(rows[0], most), rows[0]["candidates"]
    found = [_row(row, filters.state) for row in rows if row["msg_id"] is not None]
    last = UndeliveredKey(rows[0]["last_at"], rows[0]["last_msg"], rows[0]["last_endpoint"]) if candidates else None
    left = read.tuning.lists.undelivered - candidates
    if candidates <= most or len(found) == limit or left <= 0:
        return UndeliveredRows(found, last, is_end=candidates <= most), whole
    window = UndeliveredWindow(Order.ASCENDING, limit - len(found), last)
    rest = await _page(read, scope, filters, window, now, left)
    return UndeliveredRows([*found, *rest.rows], rest.last, rest.is_end), whole


def _values(
    scope: UndeliveredScope, filters: UndeliveredFilter, order: Order, position: UndeliveredKey | None, rows: int
) -> dict[str, Value | Sequence[Value]]:
    """Return the parameters of both statements, except the time."""
    is_forward = order is Order.ASCENDING
    key = position or (_BEFORE_ALL if is_forward else _AFTER_ALL)
    return {
        "owner": scope.owner,
        "low": key.at if is_forward else 0,
        "high": _LAST if is_forward else key.at,
        "at": key.at,
        "msg": key.msg_id,
        "endpoint": key.endpoint_id,
        "first": filters.first,
        "end": filters.end,
        "least": max(filters.first, key.msg_id) if is_forward else filters.first,
        "greatest": filters.end if is_forward else min(filters.end, key.msg_id),
        "rows": rows,
        **messages.filter_values(filters.messages),
    }


def _key(row: Row) -> UndeliveredKey:
    return UndeliveredKey(row["at"], MessageId(row["msg_id"]), EndpointId(row["endpoint_id"]))


def _row(row: Row, state: UndeliveredState) -> UndeliveredRow:
    is_outstanding = state is not UndeliveredState.EXHAUSTED
    return UndeliveredRow(_key(row), from_row(OutstandingDelivery, row) if is_outstanding else None)
