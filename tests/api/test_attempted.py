# SPDX-License-Identifier: MIT
"""The state of messages at endpoints, listed by message and by endpoint."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from api.kit import Api, Json
from tidings.clock import rfc3339
from tidings.model.attempt import DeliveryEnd
from tidings.model.delivery import Lane
from tidings.storage.drivers.database import ListTuning, StorageTuning
from tidings.storage.tables import deliveries, intake
from tidings.storage.tables.intake import DeliveryRow
from tidings.storage.tables.settlement import note_delivered, note_ended

FAR = 9_000_000_000_000


@dataclass
class Setup:
    """An application with one endpoint, and messages with attempts."""

    api: Api
    app: str
    endpoint: str

    async def message(self, *outcomes: int, waits: bool = False, **more: object) -> str:
        """Create a message with attempts of these statuses; with `waits`, the last one has a scheduled retry."""
        msg = await self.api.message(self.app, **more)
        for number, status in enumerate(outcomes, 1):
            is_last = number == len(outcomes)
            scheduled = status == 2 and (waits or not is_last)
            code = 200 if status == 0 else 500
            at = FAR if scheduled else None
            await self.api.attempt(self.app, self.endpoint, msg, status=status, code=code, next_at=at)
        async with self.api.db.write() as tx:
            await tx.run("DELETE FROM delivery WHERE msg_id = :msg", msg=msg)
            if waits:
                row = DeliveryRow(msg, self.endpoint, self.app, "org", FAR)
                await intake.add_deliveries(tx, [row])
        return msg

    async def listed(self, **params: object) -> list[tuple[str, int]]:
        page = await self.api.read(f"/app/{self.app}/endpoint/{self.endpoint}/msg", **params)
        return [(each["id"], each["status"]) for each in page["data"]]


@pytest_asyncio.fixture
async def setup(api: Api) -> AsyncIterator[Setup]:
    app = await api.app()
    yield Setup(api, app, await api.endpoint(app))


async def test_each_filter_lists_the_matching_messages(setup: Setup) -> None:
    delivered = await setup.message(0)
    recovered = await setup.message(2, 2, 0)
    failed = await setup.message(2, 2)
    sending = await setup.message(2, waits=True)
    resent = await setup.message(0, 2)
    await setup.message()
    await setup.message(waits=True)

    everything = [(resent, 2), (sending, 3), (failed, 2), (recovered, 0), (delivered, 0)]
    assert everything == await setup.listed()
    assert [(resent, 0), (recovered, 0), (delivered, 0)] == await setup.listed(status=0)
    assert [] == await setup.listed(status=1)
    assert [(failed, 2)] == await setup.listed(status=2)
    assert [(sending, 3)] == await setup.listed(status=3)
    assert [] == await setup.listed(status=4)
    assert everything == await setup.listed(expanded_statuses="true")


async def test_a_message_reports_its_status(setup: Setup) -> None:
    msg = await setup.message(2, waits=True, tags=["t"], eventId="e")

    [body] = (await setup.api.read(f"/app/{setup.app}/endpoint/{setup.endpoint}/msg"))["data"]

    message = await setup.api.read(f"/app/{setup.app}/msg/{msg}")
    assert {**message, "status": 3, "statusText": "sending", "nextAttempt": rfc3339(FAR)} == body


async def test_a_message_without_a_retry_has_no_next_attempt(setup: Setup) -> None:
    await setup.message(2)

    [body] = (await setup.api.read(f"/app/{setup.app}/endpoint/{setup.endpoint}/msg", with_content="false"))["data"]

    assert "nextAttempt" not in body
    assert {} == body["payload"]


async def test_a_discarded_message_has_failed(setup: Setup) -> None:
    msg = await setup.message(2, waits=True)
    async with setup.api.db.write() as tx:
        assert 1 == await deliveries.discard_waiting(tx, setup.endpoint, limit=10)

    assert [(msg, 2)] == await setup.listed() == await setup.listed(status=2)
    assert [] == await setup.listed(status=3)


async def test_a_pending_message_that_is_expunged_has_failed(setup: Setup) -> None:
    msg = await setup.message(2, waits=True)

    await setup.api.call("DELETE", f"/app/{setup.app}/msg/{msg}/content")

    assert [(msg, 2)] == await setup.listed(status=2)


async def test_a_message_with_a_requested_resend_has_the_status_sending(setup: Setup) -> None:
    msg = await setup.message(2)

    await setup.api.post(f"/app/{setup.app}/msg/{msg}/endpoint/{setup.endpoint}/resend")

    assert [(msg, 3)] == await setup.listed(status=3)
    assert [] == await setup.listed(status=2)


async def test_a_manual_success_after_failures_makes_the_message_delivered(setup: Setup) -> None:
    msg = await setup.message(2)
    await setup.api.attempt(setup.app, setup.endpoint, msg)
    async with setup.api.db.write() as tx:
        await note_delivered(tx, [(msg, setup.endpoint)])
        await note_ended(tx, [(msg, setup.endpoint)], DeliveryEnd.DISCARDED)  # the last attempt has succeeded

    assert [] == await setup.listed(status=2)
    assert [(msg, 0)] == await setup.listed(status=0)
    async with setup.api.db.read() as read:
        rows = await read.rows("SELECT ended FROM attempt ORDER BY id")
    assert [DeliveryEnd.DELIVERED_LATER, None] == [row["ended"] for row in rows]


@pytest.mark.parametrize("candidates", [0, 300])
@pytest.mark.parametrize("status", [None, 0, 2, 3])
async def test_the_list_is_the_same_by_every_search_method(setup: Setup, status: int | None, candidates: int) -> None:
    made = [await setup.message(*outcomes, waits=waits) for outcomes, waits in [((0,), False), ((2,), False)] * 4]
    made += [await setup.message(2, waits=True) for _ in range(4)]
    expected = {None: made, 0: made[:8:2], 2: made[1:8:2], 3: made[8:]}[status]
    setup.api.db.tuning = StorageTuning(lists=ListTuning(rare_messages=2, candidates=candidates))
    params: Json = {} if status is None else {"status": status}
    path = f"/app/{setup.app}/endpoint/{setup.endpoint}/msg"

    first = await setup.api.read(path, limit=3, **params)
    second = await setup.api.read(path, limit=3, iterator=first["iterator"], **params)
    back = await setup.api.read(path, limit=3, iterator=second["prevIterator"], **params)

    assert expected[::-1][:3] == [each["id"] for each in first["data"]]
    assert expected[::-1][3:6] == [each["id"] for each in second["data"]]
    assert (first["data"], len(expected) <= 3) == (back["data"], first["done"])
    assert (len(expected) <= 6) is second["done"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"event_types": "a"}, [0, 2]),
        ({"event_types": "a,b"}, [0, 1, 2]),
        ({"channel": "c"}, [1]),
        ({"tag": "t"}, [2]),
        ({"tag": "t", "event_types": "b"}, []),
        ({"status": 2, "event_types": "a"}, [2]),
        ({"status": 0, "event_types": "a"}, [0]),
    ],
)
async def test_the_list_is_filtered_by_message(setup: Setup, params: Json, expected: list[int]) -> None:
    made = [
        await setup.message(0, eventType="a"),
        await setup.message(0, eventType="b", channels=["c"]),
        await setup.message(2, eventType="a", tags=["t"]),
        await setup.message(2, eventType="c"),
    ]

    assert [made[number] for number in expected][::-1] == [msg for msg, _ in await setup.listed(**params)]


async def test_the_list_is_limited_to_its_window(setup: Setup) -> None:
    made = [await setup.message(0) for _ in range(5)]
    stamps = [(await setup.api.read(f"/app/{setup.app}/msg/{msg}"))["timestamp"] for msg in made]

    assert made[3:][::-1] == [msg for msg, _ in await setup.listed(after=stamps[3])]
    assert made[:3][::-1] == [msg for msg, _ in await setup.listed(before=stamps[3])]
    assert [made[2]] == [msg for msg, _ in await setup.listed(after=stamps[2], before=stamps[3])]


async def test_the_messages_of_a_deleted_endpoint_are_not_listed(setup: Setup) -> None:
    await setup.message(0)
    await setup.api.call("DELETE", f"/app/{setup.app}/endpoint/{setup.endpoint}")

    assert (await setup.api.get(f"/app/{setup.app}/endpoint/{setup.endpoint}/msg")).status_code == 404


async def _endpoints(api: Api, app: str, msg: str, count: int) -> list[str]:
    made = []
    for number in range(count):
        endpoint = await api.endpoint(app)
        await api.attempt(app, endpoint, msg, status=2, code=500)
        await api.attempt(app, endpoint, msg, status=2 * (number % 2), code=200)
        made.append(endpoint)
    return made


async def test_the_endpoints_of_a_message_are_listed_in_order(api: Api) -> None:
    app = await api.app()
    msg = await api.message(app, eventId="e")
    made = await _endpoints(api, app, msg, 3)
    untried = await api.endpoint(app)

    page = await api.read(f"/app/{app}/msg/e/endpoint")

    assert [(made[0], 0), (made[1], 2), (made[2], 0)] == [(each["id"], each["status"]) for each in page["data"]]
    assert untried not in page
    assert page["done"]
    whole = await api.read(f"/app/{app}/endpoint/{made[1]}")
    expected = {name: value for name, value in whole.items() if name not in ("metadata", "x")}
    assert {**expected, "status": 2, "statusText": "fail", "nextAttempt": None} == page["data"][1]


async def test_a_deleted_endpoint_is_still_listed(api: Api) -> None:
    app = await api.app()
    msg = await api.message(app)
    made = await _endpoints(api, app, msg, 2)
    await api.call("DELETE", f"/app/{app}/endpoint/{made[0]}")

    assert made == [each["id"] for each in (await api.read(f"/app/{app}/msg/{msg}/endpoint"))["data"]]


async def test_the_endpoints_of_a_message_are_reported_in_pages(api: Api) -> None:
    app = await api.app()
    msg = await api.message(app)
    made = await _endpoints(api, app, msg, 5)
    path = f"/app/{app}/msg/{msg}/endpoint"

    first = await api.read(path, limit=2)
    second = await api.read(path, limit=2, iterator=first["iterator"])
    third = await api.read(path, limit=2, iterator=second["iterator"])
    back = await api.read(path, limit=2, iterator=third["prevIterator"])

    assert [made[:2], made[2:4], made[4:]] == [[each["id"] for each in page["data"]] for page in (first, second, third)]
    assert [False, False, True] == [page["done"] for page in (first, second, third)]
    assert (second["data"], False) == (back["data"], back["done"])


async def test_an_endpoint_with_a_retry_reports_its_time(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    msg = await api.message(app)
    await api.attempt(app, endpoint, msg, status=2, code=500, next_at=FAR)
    async with api.db.write() as tx:
        await tx.run("UPDATE delivery SET due_at = :far, lane = :lane", far=FAR, lane=int(Lane.LIVE))

    [body] = (await api.read(f"/app/{app}/msg/{msg}/endpoint"))["data"]

    assert (3, "sending", rfc3339(FAR)) == (body["status"], body["statusText"], body["nextAttempt"])


@pytest.mark.parametrize(
    "path",
    [
        lambda app, _: f"/app/{app}/msg/nope/endpoint",
        lambda app, _: f"/app/{app}/endpoint/nope/msg",
        lambda app, _: f"/app/{app}/msg/nope/attempt",
        lambda app, msg: f"/app/{app}/msg/{msg}/endpoint/nope/attempt",
        lambda app, _: f"/app/{app}/attempt/endpoint/nope/count",
    ],
)
async def test_an_absent_resource_is_not_found(lite: Api, path: Callable[[str, str], str]) -> None:
    app = await lite.app()

    assert (await lite.get(path(app, await lite.message(app)))).status_code == 404
