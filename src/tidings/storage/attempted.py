# SPDX-License-Identifier: MIT
"""How messages stand with endpoints: an endpoint's messages, a message's endpoints.

An endpoint's messages are listed in the order of the messages, and no index has that order for one endpoint: it would
be written for every attempt that anybody makes, and read by few. So there are two ways. Where an endpoint (or what is
asked of it) has few messages, these are found first, by whichever index knows them, and looked at in their order,
a stretch at a time. Where there are many, the application's messages are walked in order, and every so many is one
of the endpoint's, so that the page fills up soon.
"""

from typing import Final

from tidings.clock import HOUR
from tidings.ids import ATTEMPT, MESSAGE, AppId, EndpointId, MessageId, first_at, moment_of
from tidings.model.attempt import Attempted, AttemptFilter, MessageStatus, Standing
from tidings.model.page import Order, Span
from tidings.storage import messages, narrow
from tidings.storage.database import Dialect, Read
from tidings.storage.span import bounds_of, end_of

_STRETCH: Final = 100
# A scalar where EXISTS would do: PostgreSQL makes EXISTS a join, and reads everything for it. `|| ''` keeps the
# planners from the index of the endpoint's attempts, which are many where a message's are few.
_TRIED: Final = (
    "(SELECT {what} FROM attempt WHERE attempt.msg_id = message.id AND attempt.endpoint_id || '' = :endpoint"
    "{status} ORDER BY attempt.id DESC LIMIT 1)"
)
_LATEST: Final = _TRIED.format(what="attempt.status", status="")
_SUCCEEDED: Final = _TRIED.format(what="attempt.status", status=" AND attempt.status = 0")
_FAILED: Final = _TRIED.format(what="attempt.status", status=" AND attempt.status = 2")
_DUE: Final = (
    "(SELECT delivery.due_at FROM delivery WHERE delivery.msg_id = message.id AND delivery.endpoint_id = :endpoint)"
)
_SHOWN: Final = {
    None: (_LATEST, f" AND {_LATEST} IS NOT NULL"),
    MessageStatus.SUCCESS: (_SUCCEEDED, f" AND {_SUCCEEDED} = 0"),
    MessageStatus.FAIL: (_FAILED, f" AND {_FAILED} = 2 AND {_SUCCEEDED} IS NULL AND {_DUE} IS NULL"),
    MessageStatus.SENDING: (_FAILED, f" AND {_FAILED} = 2 AND {_SUCCEEDED} IS NULL AND {_DUE} IS NOT NULL"),
}
"""What is shown of a message under each filter, and which messages are. No message is pending or canceled."""

_WALKED: Final = "FROM message WHERE message.app_id = :app"
_GATHERED: Final = {
    Dialect.SQLITE: (
        "FROM message WHERE message.id IN (SELECT value FROM json_each(:candidates)) AND message.app_id = :app"
    ),
    Dialect.POSTGRESQL: (
        "FROM unnest(CAST(:candidates AS text[])) AS wanted(id) CROSS JOIN LATERAL (SELECT * FROM message AS m"
        " WHERE m.id = wanted.id OFFSET 0) AS message WHERE message.app_id = :app"
    ),
}


async def messages_of(
    read: Read,
    app_id: AppId,
    endpoint_id: EndpointId,
    span: Span,
    wanted: AttemptFilter,
    *,
    with_payload: bool,
) -> list[Attempted]:
    """Return a part of the messages that an endpoint has been tried with, by their ids."""
    if wanted.status not in _SHOWN:
        return []
    shown, condition = _SHOWN[wanted.status]
    select = f"SELECT {messages.columns(with_payload=with_payload)}, {shown} AS status, {_DUE} AS due_at"
    end = f"{narrow.conditions(read.dialect, wanted.message)}{condition}{end_of(span, 'message.id')}"
    values = {"app": app_id, "endpoint": endpoint_id, **narrow.values_of(wanted.message)}
    candidates = await _candidates(read, app_id, endpoint_id, span, wanted)
    if candidates is None:
        rows = await read.rows(f"{select} {_WALKED}{end}", **values, **bounds_of(span))
    else:
        rows = []
        while candidates and len(rows) < span.rows:
            stretch, candidates = candidates[:_STRETCH], candidates[_STRETCH:]
            bounds = {**bounds_of(span), "rows": span.rows - len(rows)}
            found = f"{select} {_GATHERED[read.dialect]}{end}"
            rows += await read.rows(found, candidates=stretch, **values, **bounds)
    return [
        Attempted(messages.message_of(row), Standing.of(MessageStatus(row["status"]), row["due_at"])) for row in rows
    ]


# -----------------------------------------------------------------------------------------------------------------
# Which messages it can be, where they are few

_ALL: Final = "SELECT msg_id FROM attempt WHERE endpoint_id = :endpoint AND id >= :first LIMIT CAST(:most AS BIGINT)"
_FAILURES: Final = (
    "SELECT msg_id FROM attempt WHERE endpoint_id = :endpoint AND status = 2 AND id >= :first"
    " LIMIT CAST(:most AS BIGINT)"
)
_WAITING: Final = (
    "SELECT msg_id FROM delivery WHERE endpoint_id = :endpoint AND lease IS NULL LIMIT CAST(:most AS BIGINT)"
)
# Few rows are leased at any time: those in the memory of a process.
_HELD: Final = (
    "SELECT msg_id FROM delivery WHERE lease IS NOT NULL AND lease_until > 0 AND endpoint_id || '' = :endpoint"
    " LIMIT CAST(:most AS BIGINT)"
)
_FOUND_BY: Final = {
    None: (_ALL,),
    MessageStatus.SUCCESS: (_ALL,),
    MessageStatus.FAIL: (_FAILURES,),
    MessageStatus.SENDING: (_WAITING, _HELD),
}


async def _candidates(
    read: Read,
    app_id: AppId,
    endpoint_id: EndpointId,
    span: Span,
    wanted: AttemptFilter,
) -> list[str] | None:
    """Return the messages that may be in a part of the list, in its order, or None where they are many."""
    lowest = max(filter(None, (span.first, span.above)), default=None)
    moment = None if lowest is None else moment_of(lowest)
    found: set[str] | None = set()
    for statement in _FOUND_BY[wanted.status]:
        first = "" if moment is None else first_at(ATTEMPT, moment - HOUR)  # the clocks of nodes differ
        rows = await read.rows(statement, endpoint=endpoint_id, first=first, most=narrow.FEW + 1)
        found = None if found is None or len(rows) > narrow.FEW else found.union(row["msg_id"] for row in rows)
    if found is None and not wanted.message.is_wide:
        first, below = span.first or span.above or "", span.below or f"{MESSAGE}~"
        few = await messages.few(read, app_id, wanted.message, first=first, below=below)
        found = None if few is None else set(few)
    if found is None:
        return None
    inside = (each for each in found if _is_inside(each, span))
    return sorted(inside, reverse=span.order is Order.DESCENDING)


def _is_inside(key: str, span: Span) -> bool:
    return (
        (span.above is None or key > span.above)
        and (span.below is None or key < span.below)
        and (span.first is None or key >= span.first)
    )


# -----------------------------------------------------------------------------------------------------------------
# A message's endpoints

_DESTINATIONS: Final = """
SELECT found.endpoint_id AS id, attempt.status AS status, delivery.due_at AS due_at
FROM ({found}) AS found
JOIN attempt ON attempt.msg_id = :msg AND attempt.id = found.latest
LEFT JOIN delivery ON delivery.msg_id = :msg AND delivery.endpoint_id = found.endpoint_id
ORDER BY found.endpoint_id {direction}
"""
_LATEST_OF_EACH: Final = (
    "SELECT endpoint_id, latest FROM ("
    "SELECT endpoint_id, max(id) AS latest FROM attempt WHERE msg_id = :msg GROUP BY endpoint_id"
    ") AS tried WHERE TRUE"
)


async def destinations_of(read: Read, msg_id: MessageId, span: Span) -> list[tuple[EndpointId, Standing]]:
    """Return a part of the endpoints that a message has been tried with, deleted ones among them, by id."""
    found = f"{_LATEST_OF_EACH}{end_of(span, 'endpoint_id')}"
    statement = _DESTINATIONS.format(found=found, direction=span.direction)
    rows = await read.rows(statement, msg=msg_id, **bounds_of(span))
    return [(EndpointId(row["id"]), Standing.of(MessageStatus(row["status"]), row["due_at"])) for row in rows]
