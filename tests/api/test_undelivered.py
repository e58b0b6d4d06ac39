# SPDX-License-Identifier: MIT
"""Lists of undelivered messages over HTTP: each state and reason, pages, filters, and who sees what."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from api.delivery_cases import (
    CASES,
    FAILS,
    Setup,
    always_blocked,
    canceled_after_attempts,
    delivered_though_a_later_resend_failed,
    discarded_by_disabling_after_attempts,
    exhausted,
    lost_its_retry,
    sending,
    waiting,
)
from api.kit import ORG, SECRET, Api, Json, faults
from tidings import ids
from tidings.clock import DAY, HOUR, rfc3339
from tidings.core.access import issue_org_token
from tidings.ids import OrgId
from tidings.model.api_key import KeyScope
from tidings.model.undelivered import UndeliveredState

OTHER: Final = OrgId(ids.new(ids.ORG, 0))
STATES: Final = [each.value for each in UndeliveredState]


async def lists(api: Api, setup: Setup, **params: Any) -> list[dict[str, Json]]:
    """Return both lists in every state."""
    paths = (f"/app/{setup.app}/endpoint/{setup.endpoint}/delivery", "/delivery")
    return [{state: await api.read(path, state=state, **params) for state in STATES} for path in paths]


UNDELIVERED: Final = [
    *(arrange for arrange, (state, *_) in CASES.items() if state in STATES),
    always_blocked,
    canceled_after_attempts,
    delivered_though_a_later_resend_failed,
    discarded_by_disabling_after_attempts,
]


@pytest.mark.parametrize("arrange", UNDELIVERED, ids=lambda each: each.__name__)
async def test_each_undelivered_message_is_in_the_list_of_its_state(
    api: Api, arrange: Callable[[Setup], Awaitable[None]]
) -> None:
    """The explanation of the message has the same state and reason."""
    setup = Setup(api)
    await arrange(setup)
    state, code, certain, attempts = CASES[arrange]
    if arrange is always_blocked:  # no request was made, and none is left: in the list, it is exhausted
        state = "exhausted"
    is_listed = state in STATES and arrange is not lost_its_retry  # whose row was deleted without a record
    of_all = {each: await api.read("/delivery", state=each) for each in STATES}

    for found in [of_all] if code == "endpoint_deleted" else await lists(api, setup):
        for each, page in found.items():
            rows = [row for row in page["data"] if row["endpointId"] == setup.endpoint]
            assert (len(rows) == 1) == (is_listed and each == state), (each, rows)
            assert {"count": len(page["data"]), "isExact": True} == page["count"]
            assert page["done"]
        if not is_listed:
            continue
        [row] = found[state]["data"]
        assert (setup.msg, setup.endpoint, state) == (row["msgId"], row["endpointId"], row["state"])
        assert (code, certain, attempts) == (row["reason"]["code"], row["reason"]["certain"], row["attemptCount"])
        assert (row["nextAttemptAt"] is None) == (state != "scheduled")
        assert rfc3339(ids.timestamp_of(setup.msg)) == row["timestamp"] == found[state]["oldestMessageAt"]


async def test_a_row_shows_the_message_the_endpoint_and_its_last_attempt(api: Api) -> None:
    setup = Setup(api)
    await setup.begin(uid="mine")
    await setup.send(eventId="order-7", channels=["eu"])
    attempt = await api.attempt(setup.app, setup.endpoint, setup.msg, **FAILS)
    await setup.ended()

    page = await api.read(f"/app/{setup.app}/endpoint/mine/delivery")

    created = rfc3339(ids.timestamp_of(setup.msg))
    assert page == {
        "data": [
            {
                "msgId": setup.msg,
                "appId": setup.app,
                "endpointId": setup.endpoint,
                "endpointUid": "mine",
                "url": "http://example.com/in",
                "eventType": "user.signup",
                "eventId": "order-7",
                "timestamp": created,
                "state": "exhausted",
                "reason": {
                    "code": "stopped_early",
                    "detail": "Attempt 1 failed with status 500, and no other attempt follows: the receiver ended the"
                    " delivery, or the retry schedule was changed.",
                    "certain": False,
                },
                "attemptCount": 1,
                "lastAttempt": {
                    "id": attempt,
                    "timestamp": rfc3339(ids.timestamp_of(attempt)),
                    "status": 2,
                    "responseStatusCode": 500,
                    "triggerType": 0,
                },
                "nextAttemptAt": None,
                "taskId": None,
            }
        ],
        "iterator": f"0_{setup.msg}_{setup.endpoint}",
        "prevIterator": f"-0_{setup.msg}_{setup.endpoint}",
        "done": True,
        "count": {"count": 1, "isExact": True},
        "oldestMessageAt": created,
    }


@pytest.mark.parametrize("state", STATES)
async def test_the_pages_of_a_list_lead_forwards_and_back(api: Api, state: str) -> None:
    setup = Setup(api)
    await setup.begin()
    made = []
    for number in range(7):
        await setup.send()
        made.append(setup.msg)
        if state == "exhausted":
            await api.attempt(setup.app, setup.endpoint, setup.msg, **FAILS)
            await setup.ended()
        elif state == "in_flight":
            sql = "UPDATE delivery SET lease = 7, lease_until = :until WHERE msg_id = :msg"
            await setup.run(sql, until=api.clock.now() + HOUR + number, msg=setup.msg)
        else:
            await setup.row(due_at=api.clock.now() + HOUR + number)
    for path in (f"/app/{setup.app}/endpoint/{setup.endpoint}/delivery", "/delivery"):
        first = await api.read(path, state=state, limit=3)
        second = await api.read(path, state=state, limit=3, iterator=first["iterator"])
        third = await api.read(path, state=state, limit=3, iterator=second["iterator"])
        back = await api.read(path, state=state, limit=3, iterator=third["prevIterator"])
        start = await api.read(path, state=state, limit=3, iterator=second["prevIterator"])

        pages = [[row["msgId"] for row in page["data"]] for page in (first, second, third)]
        assert [made[:3], made[3:6], made[6:]] == pages
        assert [False, False, True] == [page["done"] for page in (first, second, third)]
        assert {"count": 7, "isExact": True} == first["count"]
        assert [(None, None)] * 3 == [(page["count"], page["oldestMessageAt"]) for page in (second, third, back)]
        assert (second["data"], first["data"]) == (back["data"], start["data"])
        after = await api.read(path, state=state, iterator=third["iterator"])
        assert ([], None, True) == (after["data"], after["iterator"], after["done"])


async def test_filters_choose_the_messages(api: Api) -> None:
    setup = Setup(api)
    await setup.begin()
    made = []
    for more in ({"eventType": "a.b", "tags": ["vip"]}, {"eventType": "c.d", "channels": ["eu"]}, {"eventType": "e.f"}):
        await setup.send(**more)
        made.append(setup.msg)
        await api.attempt(setup.app, setup.endpoint, setup.msg, **FAILS)
        await setup.ended()
        api.clock.advance(DAY)
    second = rfc3339(ids.timestamp_of(made[1]))

    cases: list[tuple[list[str], Json]] = [
        (made, {}),
        (made[:2], {"event_types": "a.b,c.d"}),
        (made[1:2], {"channel": "eu"}),
        (made[:1], {"tag": "vip"}),
        (made[1:], {"after": second}),
        (made[:1], {"before": second}),
        ([], {"event_types": "a.b", "channel": "eu"}),
    ]
    for wanted, params in cases:
        for found in await lists(api, setup, **params):
            assert wanted == [row["msgId"] for row in found["exhausted"]["data"]], params
            assert len(wanted) == found["exhausted"]["count"]["count"]


async def test_only_the_organization_sees_its_list_and_an_application_its_endpoint(api: Api) -> None:
    setup, other = Setup(api), Setup(api)
    await exhausted(setup)
    await sending(other)
    capabilities = {"capabilities": ["ViewBase"]}
    mine = (await api.made(f"/auth/app-portal-access/{setup.app}", capabilities))["token"]
    stranger = issue_org_token(SECRET, OTHER, api.clock.now())
    operator = (await api.key(KeyScope.OPERATOR)).text
    path, foreign = (f"/app/{each.app}/endpoint/{each.endpoint}/delivery" for each in (setup, other))

    assert 200 == (await api.get(path, token=mine)).status_code
    assert 403 == (await api.get("/delivery", token=mine)).status_code
    assert 403 == (await api.get("/delivery", token=operator)).status_code
    for denied in (foreign, foreign.replace(other.app, setup.app)):
        assert 404 == (await api.get(denied, token=mine)).status_code
    assert 404 == (await api.get(path, token=stranger)).status_code
    assert 401 == (await api.get("/delivery", token="nothing")).status_code
    for state in STATES:
        found = (await api.get("/delivery", token=stranger, params={"state": state})).json()
        assert ([], 0, None) == (found["data"], found["count"]["count"], found["oldestMessageAt"])
        assert ORG != OTHER


async def test_wrong_parameters_are_refused(api: Api) -> None:
    setup = Setup(api)
    await waiting(setup)
    path = f"/app/{setup.app}/endpoint/{setup.endpoint}/delivery"
    msg, endpoint = ids.new(ids.MESSAGE, 0), ids.new(ids.ENDPOINT, 0)

    assert 400 == (await api.get(path, params={"state": "delivered"})).status_code
    for iterator in ("x", setup.msg, f"0_{msg}", f"-1_{msg}_{endpoint}", f"0_{endpoint}_{msg}", f"0_{msg}_{endpoint}x"):
        response = await api.get(path, params={"iterator": iterator})
        if iterator.startswith("-1"):  # a page before a row that does not exist
            assert 200 == response.status_code
            continue
        [(place, text, _)] = faults(response)
        assert place == ["query", "iterator", "__all__"]
        assert "iterator" in text
    assert 422 == (await api.get(path, params={"limit": 251})).status_code
    assert 404 == (await api.get(path.replace(setup.endpoint, "unknown"))).status_code
