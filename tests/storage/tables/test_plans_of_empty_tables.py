# SPDX-License-Identifier: MIT
"""Statements of the message path read what they need, with the plans of an empty table: see `plan_states`."""

# ruff: noqa: SLF001 - the statements are private

import time
from collections.abc import Sequence

import asyncpg

from storage.tables.plan_states import BATCH, ENDPOINTS, FILLED, MESSAGES, OWNERS, Planned, costly, padded, read_by
from tidings.model.attempt import DeliveryEnd
from tidings.storage.drivers.database import Value
from tidings.storage.tables import deliveries, health, idempotency, intake, nodes, routing, settlement, throttles
from tidings.storage.tables.intake import DeliveryRow, MessageRow, columns
from tidings.storage.tables.settlement import AttemptRow

PLANNED = 8
"""Calls after which a function keeps its plans."""
STATEMENTS = {
    "claim: due times": Planned(deliveries._NEXT),
    "claim: expired leases": Planned(deliveries._RETURN_EXPIRED, by_index=True),
    # Each endpoint is visited by several look-ups.
    "claim: endpoints": Planned(deliveries._DUE_ENDPOINTS, by_index=True, most=8 * OWNERS),
    "claim: rows": Planned(deliveries._CLAIM, by_index=True),
    "claim: discard": Planned(deliveries._DISCARD_WAITING, by_index=True),
    "claim: payloads": Planned(intake._PAYLOADS, by_index=True),
    "claim: hold limits": Planned(throttles._HOLD, by_index=True),
    "claim: move limits": Planned(throttles._MOVE, by_index=True),
    "claim: return": Planned(deliveries._RETURN, by_index=True),
    "claim: end discarded": Planned(settlement._ENDED[DeliveryEnd.DISCARDED], by_index=True),
    "settle: delivered": Planned(deliveries._END_DELIVERED),
    "settle: delivered, again": Planned(deliveries._AGAIN_DELIVERED),
    "settle: exhausted": Planned(deliveries._END_FAILED),
    "settle: failed": Planned(deliveries._MOVE_FAILED),
    "settle: failed, again": Planned(deliveries._AGAIN_FAILED),
    "settle: aborted": Planned(deliveries._END_RETRY_SCHEDULE),
    "settle: returned": Planned(deliveries._RETURN),
    "settle: discarded": Planned(deliveries._DISCARD),
    "settle: end discarded": Planned(settlement._ENDED[DeliveryEnd.DISCARDED]),
    "settle: end canceled": Planned(settlement._ENDED[DeliveryEnd.CANCELED]),
    "settle: delivered later": Planned(settlement._DELIVERED_LATER),
    "settle: unknown outcome": Planned(settlement._IS_THERE),
    "settle: event ids": Planned(health._EVENT_IDS),
    "settle: endpoints": Planned(health._FIND),
    "settle: runs of failures": Planned(health._FAILED_RUNS, values={"ids": ""}),
    "accept: repeated": Planned(intake._STORED),
    "accept: keys in use": Planned(idempotency._HOLDERS),
    "accept: keys released": Planned(idempotency._RELEASE),
    "accept: routing versions": Planned(routing._VERSIONS),
    "heartbeat": Planned(nodes._HEARTBEAT),
    "resend": Planned(deliveries._ASKS[1]),
}


async def test_statements_look_at_few_rows_with_the_plans_of_an_empty_table(adverse: asyncpg.Connection) -> None:
    """Plans made while the table is empty, and made before the rows that came since are counted."""
    assert await costly(adverse, STATEMENTS) == []


async def test_settle_batch_reads_what_it_settles(adverse: asyncpg.Connection) -> None:
    nothing: list[list[str]] = [[] for _ in range(1 + len(AttemptRow._fields) + 3)]
    for _ in range(PLANNED):
        await adverse.fetchval(settlement._SETTLE, *nothing)
    await adverse.execute(FILLED)
    attempts = [
        AttemptRow(msg, new, endpoint, "app_1", "org_1", "", 0, 200, "", 1, 0)
        for msg, new, endpoint in zip(MESSAGES, padded("new", range(BATCH)), ENDPOINTS, strict=True)
    ]
    leases = [1 + each for each in range(BATCH)]
    values = (leases, *columns(attempts, len(AttemptRow._fields)), [], [], [])

    assert await read_by(adverse, settlement._SETTLE, *values) <= 2 * BATCH


def _accepted(apps: Sequence[str], word: str) -> list[object]:
    """Return the parameters for one message of each application, with a key, an event id and a delivery."""
    ids, now = padded(word, range(len(apps))), time.time_ns() // 1_000_000
    plain: list[Sequence[Value]] = [
        MessageRow(new, app, "org_1", "e", None, b"{}", new, None, None, None, None)
        for new, app in zip(ids, apps, strict=True)
    ]
    sent = [DeliveryRow(new, "ep_1", app, "org_1", now, 1, now) for new, app in zip(ids, apps, strict=True)]
    index = [["ep_1"] * len(apps), ["e"] * len(apps), ids]
    messages, rows = columns(plain, len(MessageRow._fields)), columns(sent, len(DeliveryRow._fields))
    return [list(apps), [1] * len(apps), ids, ids, now, now, 60_000, list(apps), ids, ids, *index, *messages, *rows]


async def _plan_accept(connection: asyncpg.Connection, app: str) -> None:
    """Accept a message again and again, for an application that exists, and take it back."""
    for _ in range(PLANNED):
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)"
            " VALUES ($1, 'org_1', '', '', 1, 1, 1)",
            app,
        )
        await connection.fetchval(intake._ACCEPT, *_accepted([app], "early"))
        await transaction.rollback()


async def test_accept_batch_reads_what_it_checks(adverse: asyncpg.Connection) -> None:
    await _plan_accept(adverse, "app_first")
    await adverse.execute(FILLED)

    assert await read_by(adverse, intake._ACCEPT, *_accepted(padded("app", range(BATCH)), "later")) <= 2 * BATCH
