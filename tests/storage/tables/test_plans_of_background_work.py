# SPDX-License-Identifier: MIT
"""Statements of background work read what they change, with the plans of an empty table: see `plan_states`.

A retention, a rollup or a relay that compares all rows with all given ones takes the time of the messages.
"""

# ruff: noqa: SLF001 - the statements are private

import asyncpg

from storage.tables.plan_states import BATCH, FEW, OWNERS, PAGES, ROWS, Planned, costly, padded
from tidings.model.page import Order
from tidings.model.undelivered import UndeliveredFilter, UndeliveredState
from tidings.storage.lists import undelivered
from tidings.storage.tables import (
    api_keys,
    bucket_index,
    claims,
    deletion,
    deliveries,
    event_types,
    health,
    idempotency,
    messages,
    nodes,
    notifications,
    operational_events,
    queue_depth,
    rollups,
    task_items,
    throttles,
)

WITH_LEASES = 2 * ROWS + FEW
"""With all sends in flight, of which a node holds few, as entries of an index and as rows."""
RANGE = {"below": padded("msg", [BATCH])[0], "before": padded("msg", [BATCH])[0]}
STATEMENTS = {
    "retention: oldest messages": Planned(deletion._OLDEST, values=RANGE),
    "retention: messages of a range": Planned(deletion._OLD, values=RANGE),
    "retention: with deliveries": Planned(deletion._WITH_DELIVERIES),
    "retention: attempts": Planned(deletion._SOME_ATTEMPTS),
    "retention: attempts at an endpoint": Planned(deletion._OLD_ATTEMPTS),
    "retention: given messages": Planned(deletion._GIVEN),
    "retention: event ids": Planned(deletion._EVENT_IDS),
    "retention: messages": Planned(deletion._MESSAGES),
    "retention: messages of attempts": Planned(deletion._ATTEMPTED, values=RANGE),
    "retention: deliveries of a range": Planned(deletion._HAS_DELIVERIES),
    "retention: bucket index": Planned(bucket_index._DELETE),
    "retention: payloads of a range": Planned(messages._OLD, values=RANGE),
    "retention: due payloads": Planned(messages._DUE),
    "retention: idempotency records": Planned(idempotency._EXPIRE),
    "retention: throttles": Planned(throttles._EXPIRE),
    "retention: API keys": Planned(api_keys._PRUNE),
    "API keys: uses": Planned(api_keys._NOTE_USES),
    "janitor: tasks": Planned(deletion._OLD_TASKS),
    "janitor: items": Planned(deletion._DELETE_ITEMS),
    "janitor: number of items": Planned(deletion._COUNT_ITEMS),
    "rollup: rows of hours": Planned(rollups._EXACT),
    "rollup: reopened hours": Planned(rollups._REOPENED),
    "rollup: counted hours": Planned(rollups._DONE),
    "rollup: expired": Planned(rollups._DELETE_EXPIRED),
    "rollup: number of expired": Planned(rollups._EXPIRED),
    "rollup: of an organization": Planned(rollups._DELETE_OF_ORG),
    "rollup: of an application": Planned(rollups._DELETE_OF_APP),
    # The sends in flight that a task waits for are all canceled at once; a node holds few of them.
    "cancel: in flight": Planned(deliveries._CANCEL_LEASED),
    "cancel: waiting": Planned(deliveries._CANCEL_WAITING),
    "cancel: ended": Planned(deliveries._CANCEL_ENDED),
    "cancel: withdrawn items": Planned(task_items._WITHDRAWN),
    "cancel: canceled items": Planned(messages._CANCELED_ITEMS, values={"outcome": "withdrawn"}),
    "tasks: choice": Planned(claims._CHOOSE, by_index=True),
    "tasks: expired leases": Planned(claims._REQUEUE, values={"backoff": 1, "backoff_max": 1, "percent": 1}),
    "tasks: backlog": Planned(deliveries._BACKLOG, most=WITH_LEASES, pages=2 * ROWS + PAGES),
    "lost node: leases": Planned(deliveries._RETURN_LEASED, values={"first": 1, "last": BATCH}),
    "clock: scheduled deliveries": Planned(nodes._SCHEDULED, values={"msg": "", "endpoint": ""}),
    "clock: moved deliveries": Planned(nodes._MOVE_DELIVERIES),
    "relay: take": Planned(operational_events._TAKE),
    "relay: oldest": Planned(operational_events._OLDEST),
    "relay: expire": Planned(operational_events._EXPIRE, values={"before": padded("opev", [BATCH])[0]}),
    # All applications of the management organization: one for each organization with operational endpoints.
    "relay: endpoints": Planned(operational_events._ENDPOINTS, most=ROWS + FEW),
    "mail: whether there is work": Planned(notifications._ARE_WAITING),
    "mail: gather": Planned(notifications._GATHER),
    # Of each notification, the endpoint is looked up, and its application.
    "mail: notifications": Planned(notifications._OF_MAIL, pages=2 * PAGES),
    "mail: numbers": Planned(notifications._COUNTS),
    "mail: delete": Planned(notifications._DELETE, values={"id": "mail_8"}),
    "warnings": Planned(health._TO_WARN),
    "status: number of deliveries": Planned(queue_depth._DEPTH),
    "status: oldest due": Planned(queue_depth._OLDEST_DUE),
    "status: oldest expired": Planned(queue_depth._OLDEST_EXPIRED),
    # Each endpoint is visited by several look-ups.
    "status: oldest of endpoints": Planned(
        queue_depth._OLDEST_OF_ENDPOINTS, most=13 * OWNERS, pages=20 * OWNERS, values={"endpoints": OWNERS}
    ),
    "exports: expired": Planned(event_types._EXPIRED),
}
LISTS = {
    f"undelivered: {state.value}, {column}, {order.value}": Planned(
        undelivered.page_statement(column, UndeliveredFilter(state=state), order),
        most=FEW if state is UndeliveredState.EXHAUSTED else WITH_LEASES,
        values={
            "owner": "org_1" if column == "org_id" else padded("ep", [7])[0],
            "low": 0,
            "high": 1 << 62,
            "at": 0 if order is Order.ASCENDING else 1 << 62,
            "msg": "" if order is Order.ASCENDING else "~",
            "endpoint": "" if order is Order.ASCENDING else "~",
            "least": "",
            "greatest": "~",
            "now": 0,
        },
    )
    for state in UndeliveredState
    for column in ("org_id", "endpoint_id")
    for order in Order
}


async def test_statements_look_at_few_rows_with_the_plans_of_an_empty_table(adverse: asyncpg.Connection) -> None:
    """Plans made while the table is empty, and made before the rows that came since are counted."""
    assert await costly(adverse, STATEMENTS | LISTS) == []
