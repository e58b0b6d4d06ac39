# SPDX-License-Identifier: MIT
"""The scan for missing messages has the predicate of accept: event types and channels in SQL, then the payload."""

import json
from itertools import product
from typing import Any

import pytest

from message_path import add_app, add_endpoint
from tidings import ids
from tidings.clock import SystemClock
from tidings.ids import DEFAULT_ORG, AppId, MessageId
from tidings.model import payload_filter
from tidings.model.json_document import JsonDocument
from tidings.model.message import AcceptedMessage
from tidings.model.routing import mismatch
from tidings.storage.drivers.database import Database
from tidings.storage.tables import endpoints, intake, replays
from tidings.storage.tables.key_ranges import ScanVerdict
from tidings.storage.tables.replays import MessageRange

TYPES = [None, ["a"], ["a", "b.c"], ["other"]]
CHANNELS = [None, ["eu"], ["eu", "us"], ["other"]]
FILTERS: list[Any] = [
    None,
    [{"path": "$.n", "operator": ">=", "value": 2}],
    [{"path": "$.n", "operator": "!=", "value": 1}, {"path": "$.x", "operator": "exists", "value": False}],
]
MESSAGES = list(
    product(["a", "b.c", "d"], [None, ("eu",), ("us", "asia")], [b'{"n":1}', b'{"n":2}', b'{"x":0}', b"plain words"])
)


@pytest.mark.parametrize("payload_bytes", [20, 1 << 20])
async def test_the_scan_agrees_with_the_predicate_of_accept(db: Database, payload_bytes: int) -> None:
    app = AppId(await add_app(db))
    endpoint_id = await add_endpoint(db, app, "http://example.com/")
    stored = await _store(db, app)
    found: dict[str, set[str]] = {}
    expected: dict[str, set[str]] = {}
    for case in product(TYPES, CHANNELS, FILTERS):
        name = json.dumps(case)
        await _set(db, endpoint_id, *case)
        async with db.read() as read:
            [endpoint] = (await endpoints.by_ids(read, [endpoint_id])).values()
        found[name] = await _missing(db, endpoint_id, app, payload_bytes)
        expected[name] = {
            each.id
            for each in stored
            if mismatch(endpoint, each.event_type, each.channels, JsonDocument(each.payload)) is None
        }
    assert found == expected
    assert 5 < len({frozenset(each) for each in expected.values()})


async def _store(db: Database, app: AppId) -> list[AcceptedMessage]:
    made = sorted(ids.new(ids.MESSAGE, SystemClock().now()) for _ in MESSAGES)
    stored = [
        AcceptedMessage(MessageId(msg_id), app, DEFAULT_ORG, event_type, payload, channels=channels)
        for msg_id, (event_type, channels, payload) in zip(made, MESSAGES, strict=True)
    ]
    async with db.write() as tx:
        await intake.add(tx, stored)
    return stored


async def _set(db: Database, endpoint_id: str, types: Any, channels: Any, conditions: Any) -> None:
    texts = [None if each is None else json.dumps(each) for each in (types, channels)]
    if conditions is not None:
        assert payload_filter.stored(json.dumps(conditions)).is_readable
    async with db.write() as tx:
        await tx.run(
            "UPDATE endpoint SET event_types = :types, channels = :channels, filter = :filter WHERE id = :id",
            types=texts[0],
            channels=texts[1],
            filter=None if conditions is None else json.dumps(conditions),
            id=endpoint_id,
        )


async def _missing(db: Database, endpoint_id: str, app: str, payload_bytes: int) -> set[str]:
    """Scan in chunks, as a task does; each message is scanned once."""
    first, sends, scanned, is_last = "", set[str](), 0, False
    while not is_last:
        async with db.read() as read:
            found = await replays.missing(
                read, endpoint_id, MessageRange(app, first, "n", 50), payload_bytes=payload_bytes
            )
        sends |= {msg_id for msg_id, verdict in found.verdicts if verdict is ScanVerdict.SEND}
        scanned += found.count
        first = f"{found.last_id}0"
        is_last = found.count < 50 and not found.is_cut
    assert scanned == len(MESSAGES)
    return sends
