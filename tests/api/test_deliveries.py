# SPDX-License-Identifier: MIT
"""Explanations of deliveries: every state and every reason, from rows as the service writes them."""

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from api.delivery_cases import CASES, FAILS, Setup, waiting
from api.kit import SECRET, Api
from tidings import ids
from tidings.clock import HOUR, rfc3339
from tidings.core.access import issue_org_token
from tidings.ids import OrgId
from tidings.model import explanation

OTHER: Final = OrgId(ids.new(ids.ORG, 0))


@pytest.mark.parametrize("arrange", CASES, ids=lambda each: each.__name__)
async def test_each_delivery_is_explained_by_a_state_and_a_reason(
    api: Api, arrange: Callable[[Setup], Awaitable[None]]
) -> None:
    setup = Setup(api)
    await arrange(setup)

    row = await setup.only()

    state, code, certain, attempts = CASES[arrange]
    assert (setup.endpoint, state, code, certain, attempts) == (
        row["endpointId"],
        row["state"],
        row["reason"]["code"],
        row["reason"]["certain"],
        row["attemptCount"],
    )
    assert (row["lastAttempt"] is None) == (attempts == 0)
    assert (row["nextAttemptAt"] is None) == (state != "scheduled")
    assert row["reason"]["detail"].endswith(".")


def test_every_state_and_every_reason_has_a_case() -> None:
    known = set(re.findall(r'(?:Reason|CHANNEL: |TYPE: |FILTER: )\(\s*"(\w+)"', inspect.getsource(explanation)))

    assert known == {code for _, code, _, _ in CASES.values()}
    assert {each.value for each in explanation.DeliveryState} == {state for state, _, _, _ in CASES.values()}


async def test_a_row_shows_its_last_attempt_the_next_one_and_its_task(api: Api) -> None:
    setup = Setup(api)
    await setup.begin(uid="mine")
    await setup.send()
    task = ids.new(ids.TASK, api.clock.now())
    attempt = await api.attempt(setup.app, setup.endpoint, setup.msg, next_at=api.clock.now() + HOUR, **FAILS)
    due = api.clock.now() + HOUR
    await setup.row(attempts=1, due_at=due, task_id=task)

    assert {
        "endpointId": setup.endpoint,
        "endpointUid": "mine",
        "url": "http://example.com/in",
        "state": "scheduled",
        "reason": {
            "code": "retry_scheduled",
            "detail": "Attempt 1 failed with status 500, and the retry schedule has another attempt.",
            "certain": True,
        },
        "attemptCount": 1,
        "lastAttempt": {
            "id": attempt,
            "timestamp": rfc3339(ids.timestamp_of(attempt)),
            "status": 2,
            "responseStatusCode": 500,
            "triggerType": 0,
        },
        "nextAttemptAt": rfc3339(due),
        "taskId": task,
    } == await setup.only()


async def test_every_endpoint_has_a_row_on_one_page(api: Api) -> None:
    setup = Setup(api)
    await setup.begin()
    expected = [setup.endpoint, *[await api.endpoint(setup.app, channels=["other"]) for _ in range(4)]]
    gone = await api.endpoint(setup.app)
    await api.call("DELETE", f"/app/{setup.app}/endpoint/{gone}")
    await setup.send(eventId="mine")
    deleted = expected.pop(2)
    await api.call("DELETE", f"/app/{setup.app}/endpoint/{deleted}")
    await api.endpoint(await api.app())
    setup.msg = "mine"

    found, iterator, done = [], None, False
    while not done:
        page = await setup.listed(limit=2, **({} if iterator is None else {"iterator": iterator}))
        found += [each["endpointId"] for each in page["data"]]
        iterator, done = page["iterator"], page["done"]
    backwards = await setup.listed(limit=3, order="descending")

    assert sorted([*expected, deleted]) == found
    assert found[:-4:-1] == [each["endpointId"] for each in backwards["data"]]
    assert 422 == (await api.get(f"/app/{setup.app}/msg/mine/delivery?iterator=msg_1")).status_code


async def test_a_message_of_an_application_without_endpoints_has_no_rows(api: Api) -> None:
    setup = Setup(api)
    setup.app = await api.app()
    await setup.send()

    assert ([], True) == ((page := await setup.listed())["data"], page["done"])


async def test_only_the_organization_and_its_application_see_a_message(api: Api) -> None:
    setup = Setup(api)
    await waiting(setup)
    other = Setup(api)
    await waiting(other)
    access = await api.made(f"/auth/app-portal-access/{setup.app}", {"capabilities": ["ViewBase"]})
    mine, stranger = access["token"], issue_org_token(SECRET, OTHER, api.clock.now())
    path = f"/app/{setup.app}/msg/{setup.msg}/delivery"

    assert 200 == (await api.get(path, token=mine)).status_code
    assert 404 == (await api.get(f"/app/{other.app}/msg/{other.msg}/delivery", token=mine)).status_code
    assert 404 == (await api.get(f"/app/{setup.app}/msg/{other.msg}/delivery", token=mine)).status_code
    assert 404 == (await api.get(path, token=stranger)).status_code
    assert 401 == (await api.get(path, token="nothing")).status_code
