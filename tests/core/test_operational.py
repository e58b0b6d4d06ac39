# SPDX-License-Identifier: MIT
"""An operational event exists if and only if its change does, and for a limited time."""

import contextlib
import json
from functools import partial
from typing import Any

from tidings.clock import DAY
from tidings.core import operational
from tidings.ids import DEFAULT_ORG, MANAGEMENT_ORG, timestamp_of
from tidings.storage.drivers.database import Database

NOW = 1_700_000_000_000


async def _events(db: Database) -> list[tuple[Any, ...]]:
    async with db.read() as read:
        rows = await read.rows("SELECT org_id, type, payload, id FROM operational_event ORDER BY id")
        return [tuple(row) for row in rows]


async def test_an_operational_event_is_stored_in_the_form_of_its_delivery(db: Database) -> None:
    async with db.write() as tx:
        await operational.emit(tx, DEFAULT_ORG, operational.ENDPOINT_CREATED, {"appId": "a", "appUid": None}, NOW)

    [(org, kind, payload, event_id)] = await _events(db)

    assert (DEFAULT_ORG, "endpoint.created", NOW) == (org, kind, timestamp_of(event_id))
    assert payload == '{"data":{"appId":"a","appUid":null},"type":"endpoint.created"}'
    assert json.loads(payload)["type"] == kind


async def test_a_rolled_back_operational_event_is_not_stored(db: Database) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with db.write() as tx:
            await operational.emit(tx, DEFAULT_ORG, operational.ENDPOINT_DELETED, {}, NOW)
            raise ZeroDivisionError

    assert await _events(db) == []


async def test_there_are_no_operational_events_about_the_management_organization(db: Database) -> None:
    stored: list[str] = []
    listener = partial(stored.append, "stored")
    operational.listeners.add(listener)
    try:
        async with db.write() as tx:
            await operational.emit(tx, MANAGEMENT_ORG, operational.ENDPOINT_CREATED, {}, NOW)
        assert ([], []) == (stored, await _events(db))

        async with db.write() as tx:
            await operational.emit(tx, DEFAULT_ORG, operational.ENDPOINT_CREATED, {}, NOW)
            assert [] == stored
        assert ["stored"] == stored
    finally:
        operational.listeners.remove(listener)


async def test_operational_events_older_than_two_weeks_are_deleted(db: Database) -> None:
    async with db.write() as tx:
        for age in (15, 14.5, 13, 0):
            await operational.emit(tx, DEFAULT_ORG, f"{age}", {}, NOW - round(age * DAY))

    await operational.prune(db, NOW)

    assert [kind for _, kind, _, _ in await _events(db)] == ["13", "0"]
