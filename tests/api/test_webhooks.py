# SPDX-License-Identifier: MIT
"""The webhooks in our document match the operational events as they are recorded."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.kit import ORG, Api, Json
from tasks.kit import QUICK, until, working
from tidings.api.openapi import document
from tidings.api.webhooks import WEBHOOKS
from tidings.clock import DAY, HOUR, rfc3339
from tidings.core import operational
from tidings.core.health_recorder import HealthEvent, HealthEventKind, HealthRecorder
from tidings.core.routing import RoutingCache
from tidings.core.state_changes import StateReporter
from tidings.table import TABLE
from tidings.tasks.registry import handlers

REPORTED = (HealthEventKind.FAILING, HealthEventKind.EXHAUSTED, HealthEventKind.RECOVERED, HealthEventKind.GONE)


@pytest.fixture(scope="module")
def ours() -> Json:
    found: Json = json.loads(json.dumps(document(TABLE)))
    return found


def _validator(ours: Json, type_: str) -> Any:
    body = ours["webhooks"][type_]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**body, "components": ours["components"]}, validate_formats=True)


async def _recorded(api: Api) -> list[Json]:
    async with api.db.read() as read:
        rows = await read.rows("SELECT payload FROM operational_event ORDER BY id")
    return [json.loads(row["payload"]) for row in rows]


async def _write(api: Api, events: list[HealthEvent]) -> None:
    async with api.db.write() as tx:
        await HealthRecorder(DAY).write(tx, events, api.clock.now())


async def _cause_every_event(api: Api, **names: str) -> None:
    """Cause every operational event, for an application and an endpoint with or without uids."""
    app = await api.app(**{name: value for name, value in names.items() if name == "uid"})
    endpoint = await api.endpoint(app, **{name: value for name, value in names.items() if name == "uid"})
    path = f"/app/{app}/endpoint/{endpoint}"
    msg = await api.message(app, **({"eventId": names["uid"]} if names else {}))
    attempt = await api.attempt(app, endpoint, msg, status=2, code=500)
    routing = await RoutingCache(api.db).load(ORG, app)
    assert routing is not None
    events = [HealthEvent(kind, routing.receivers[0], msg, attempt, 500) for kind in REPORTED]
    for _ in range(9):
        await api.attempt(app, endpoint, msg, status=2, code=500)
    for kinds in ((HealthEventKind.FAILED_IN_A_ROW,), (HealthEventKind.EXHAUSTED,)):
        await _write(api, [HealthEvent(kind, routing.receivers[0], msg, attempt, 500) for kind in kinds])
    api.clock.advance(HOUR)
    await StateReporter().warn_of_disabling(api.db, api.clock.now() + DAY // 2)
    await _write(api, [HealthEvent(HealthEventKind.SUCCEEDED, routing.receivers[0])])
    await _write(api, events)
    for disabled in (False, True):
        assert 200 == (await api.call("PATCH", path, json={"disabled": disabled})).status_code
    services = api.context.services
    task = await api.made(f"{path}/recover?force=true", {"since": rfc3339(api.clock.now() - HOUR)})
    await api.call("PATCH", path, json={"disabled": False})
    async with working(api.db, *handlers(services.clock, services.notifier).values(), limits=QUICK):
        await until(api.db, task["id"])
    assert 204 == (await api.call("DELETE", path)).status_code


async def test_every_operational_event_matches_its_schema(api: Api, ours: Json) -> None:
    await _cause_every_event(api)
    await _cause_every_event(api, uid="mine")

    recorded = await _recorded(api)

    assert set(WEBHOOKS) == {each["type"] for each in recorded}
    for event in recorded:
        _validator(ours, event["type"]).validate(event)
        data = ours["components"]["schemas"][f"{_schema(ours, event['type'])}Data"]
        assert set(data["properties"]) == set(event["data"])


def _schema(ours: Json, type_: str) -> str:
    body = ours["webhooks"][type_]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return str(body["$ref"].rpartition("/")[2])


def test_the_document_has_every_operational_event(ours: Json) -> None:
    events = set(operational.TYPES)

    assert events == set(ours["webhooks"]) == set(WEBHOOKS)
    for type_ in events:
        assert _validator(ours, type_).is_valid({"type": "another", "data": {}}) is False


def test_every_operational_event_has_its_name_in_the_contract(ours: Json, shared_dir: Path) -> None:
    contract = json.loads((shared_dir / "contract" / "svix-openapi.json").read_text())

    assert operational.OWN == WEBHOOKS.keys() - contract["webhooks"].keys()
    for type_ in WEBHOOKS.keys() - operational.OWN:
        theirs, mine = contract["webhooks"][type_]["post"], ours["webhooks"][type_]["post"]
        assert (theirs["operationId"], theirs["tags"]) == (mine["operationId"], mine["tags"])
        assert _schema(contract, type_) == _schema(ours, type_)
