# SPDX-License-Identifier: MIT
"""A preview reports which recent messages a filter matches, without storing or sending anything."""

from typing import Any

import pytest

from api.kit import Api, Json
from tidings.core.tuning import CoreTuning
from tidings.model.payload_filter import CONDITIONS_MAX

PAID: Json = {"path": "$.status", "operator": "==", "value": "paid"}


async def _preview(api: Api, app: str, **body: Any) -> list[Json]:
    answer = await api.post(f"/app/{app}/msg/preview/filter", json={"filter": [PAID], **body})
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["data"]
    return found


async def _rows(api: Api, table: str) -> int:
    async with api.db.read() as read:
        return int((await read.one(f"SELECT count(*) AS n FROM {table}"))["n"])


async def test_each_of_the_latest_messages_has_a_result_and_a_reason(api: Api) -> None:
    app, other = await api.app(), await api.app()
    await api.message(other, payload={"status": "paid"})
    paid = await api.message(app, payload={"status": "paid"})
    opened = await api.message(app, payload={"status": "open"})
    words = await api.message(app, transformationsParams={"rawPayload": "plain words"})
    expunged = await api.message(app, payload={"status": "paid"})
    await api.call("DELETE", f"/app/{app}/msg/{expunged}/content")
    before = await _rows(api, "delivery")

    found = await _preview(api, app)

    condition = 'The condition $.status == "paid" does not hold: the payload has another value at the path.'
    assert [(each["id"], each["result"], each["detail"]) for each in found] == [
        (expunged, "unknown", "The payload of the message is not kept."),
        (words, "excluded", "The payload cannot be parsed."),
        (opened, "excluded", condition),
        (paid, "matches", None),
    ]
    assert found[0]["eventType"] == "user.signup"
    assert (await _rows(api, "delivery"), await _rows(api, "endpoint")) == (before, 0)


async def test_event_types_and_channels_exclude_before_the_payload(api: Api) -> None:
    app = await api.app()
    for more in ({"eventType": "a"}, {"eventType": "b"}, {"eventType": "a", "channels": ["eu"]}):
        await api.message(app, payload={"status": "paid"}, **more)
    found = await _preview(api, app, eventTypes=["a"], channels=["eu", "us"])
    assert [(each["result"], each["detail"]) for each in found] == [
        ("matches", None),
        ("excluded", "The event type is not among the chosen ones."),
        ("excluded", "The message has none of the channels."),
    ]


async def test_a_preview_is_bounded_in_messages_and_bytes(lite: Api) -> None:
    app = await lite.app()
    for _ in range(25):
        await lite.message(app, payload={"status": "paid", "x": "y" * 1_000})
    assert len(await _preview(lite, app)) == 20
    assert len(await _preview(lite, app, limit=3)) == 3
    assert len(await _preview(lite, app, limit=50)) == 25
    few = lite.tuned(core=CoreTuning(preview_bytes=2_500))
    assert len(await _preview(few, app, limit=50)) == 8


@pytest.mark.parametrize(
    "body",
    [
        {"filter": []},
        {"filter": None},
        {"filter": [PAID] * (CONDITIONS_MAX + 1)},
        {"filter": [{**PAID, "path": "status"}]},
        {"limit": 0},
        {"limit": 51},
        {"eventTypes": []},
        {"channels": ["a b"]},
    ],
)
async def test_an_invalid_preview_is_refused(lite: Api, body: Json) -> None:
    app = await lite.app()
    answer = await lite.post(f"/app/{app}/msg/preview/filter", json={"filter": [PAID], **body})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"][1] == next(iter(body))


async def test_a_preview_of_another_organization_or_application_is_not_found(api: Api) -> None:
    app, other = await api.app(), await api.app()
    await api.message(other, payload={"status": "paid"})
    access = await api.made(f"/auth/app-portal-access/{app}", {})
    for path, status in ((app, 200), (other, 404)):
        answer = await api.post(f"/app/{path}/msg/preview/filter", json={"filter": [PAID]}, token=access["token"])
        assert answer.status_code in (status, 403 if status == 404 else status), (answer.status_code, answer.text)
