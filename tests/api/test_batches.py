# SPDX-License-Identifier: MIT
"""Many messages in one request: each has its own result, and all valid ones commit together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from api.kit import Api, Json, faults
from database_proxy import DatabaseProxy
from tidings.core.tuning import CoreTuning
from tidings.storage.drivers.database import Database, Write


def a_message(**more: Any) -> Json:
    return {"eventType": "user.signup", "payload": {"a": 1}, **more}


async def sent(api: Api, app: str, *messages: Json, **more: Any) -> list[Json]:
    answer = await api.post(f"/app/{app}/msg/batch", json={"messages": messages}, **more)
    assert answer.status_code == 202, answer.text
    found: list[Json] = answer.json()["data"]
    return found


async def stored(api: Api, table: str) -> int:
    async with api.db.read() as read:
        return int((await read.one(f"SELECT count(*) AS n FROM {table}"))["n"])


class Transactions(DatabaseProxy):
    """A database that records how many messages each transaction stores, and fails one of them before its commit."""

    def __init__(self, db: Database, *, fails: int = 0) -> None:
        super().__init__(db)
        self.sizes: list[int] = []
        self._fails = fails

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        async with self.db.write(**options) as tx:
            before = await self._messages(tx)
            yield tx
            if added := await self._messages(tx) - before:
                self.sizes.append(added)
                if len(self.sizes) == self._fails:
                    raise ZeroDivisionError

    async def _messages(self, tx: Write) -> int:
        return int((await tx.one("SELECT count(*) AS n FROM message"))["n"])


async def test_every_message_is_stored_with_its_deliveries_and_reported_at_its_index(api: Api) -> None:
    app = await api.app()
    await api.endpoint(app)

    results = await sent(api, app, *(a_message(payload={"n": n}, eventId=f"e{n}") for n in range(300)))

    assert [202] * 300 == [result["status"] for result in results]
    assert (300, 300) == (await stored(api, "message"), await stored(api, "delivery"))
    for n in (0, 7, 299):
        message = await api.read(f"/app/{app}/msg/e{n}")
        assert ({"n": n}, results[n]["id"], results[n]["timestamp"]) == (
            message["payload"],
            message["id"],
            message["timestamp"],
        )
    assert [result["id"] for result in results] == sorted(result["id"] for result in results)


async def test_an_invalid_message_of_a_batch_is_refused_like_a_single_one(api: Api) -> None:
    app = await api.app()
    wrong = [
        {"eventType": "user.signup"},
        a_message(eventType="no spaces"),
        a_message(eventType=5),
        a_message(payload=1),
    ]
    alone = [await api.post(f"/app/{app}/msg", json=each) for each in wrong]

    results = await sent(api, app, a_message(), *wrong, a_message())

    assert [202, 422, 422, 422, 422, 202] == [result["status"] for result in results]
    assert [each.json() for each in alone] == [result["error"] for result in results[1:-1]]
    assert 2 == await stored(api, "message")


async def test_an_event_id_is_used_once_within_a_batch_and_across_batches(api: Api) -> None:
    app = await api.app()

    first = await sent(api, app, a_message(eventId="a"), a_message(eventId="a"), a_message(eventId="b"))
    second = await sent(api, app, a_message(eventId="b"), a_message(eventId="c"))

    assert ([202, 409, 202], [409, 202]) == ([r["status"] for r in first], [r["status"] for r in second])
    assert {"code", "detail"} == second[0]["error"].keys()
    assert "id" not in second[0]


async def test_an_idempotency_key_applies_to_the_whole_batch(api: Api) -> None:
    app = await api.app()
    headers = {"idempotency-key": "k"}

    first = await sent(api, app, a_message(), a_message(), headers=headers)
    again = await sent(api, app, a_message(), a_message(), headers=headers)

    assert first == again
    assert 2 == await stored(api, "message")


async def test_a_batch_is_stored_whole_or_not_at_all(api: Api) -> None:
    app = await api.app()
    await api.endpoint(app)

    answer = await api.over(Transactions(api.db, fails=1)).post(
        f"/app/{app}/msg/batch", json={"messages": [a_message()] * 5}
    )

    assert 500 == answer.status_code
    assert (0, 0) == (await stored(api, "message"), await stored(api, "delivery"))


async def test_a_batch_is_written_in_one_transaction(api: Api) -> None:
    app, transactions = await api.app(), Transactions(api.db)

    await sent(api.over(transactions), app, *[a_message()] * 1_000)

    assert [1_000] == transactions.sizes


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_batch_has_one_to_a_thousand_messages(lite: Api, count: int) -> None:
    app = await lite.app()

    answer = await lite.post(f"/app/{app}/msg/batch", json={"messages": [a_message()] * count})

    assert [["body", "messages"]] == [place for place, _, _ in faults(answer)]


async def test_an_absent_application_gets_no_message(lite: Api) -> None:
    answer = await lite.post("/app/nobody/msg/batch", json={"messages": [a_message()]})

    assert 404 == answer.status_code


@pytest.mark.parametrize("many", [9, 10])
async def test_a_batch_with_too_many_deliveries_is_refused(api: Api, many: int) -> None:
    api = api.tuned(core=CoreTuning(request_fan_out=9 * 12))
    app = await api.app()
    for _ in range(12):
        await api.endpoint(app)

    answer = await api.post(f"/app/{app}/msg/batch", json={"messages": [a_message()] * many})

    if many == 9:
        assert (202, 9, 108) == (answer.status_code, await stored(api, "message"), await stored(api, "delivery"))
    else:
        assert (400, "too_many_deliveries") == (answer.status_code, answer.json()["code"])
        assert (0, 0) == (await stored(api, "message"), await stored(api, "delivery"))


def in_parts(api: Api, *, deliveries: int) -> Api:
    """Limit the deliveries of one transaction."""
    return api.tuned(core=CoreTuning(request_batch_fan_out=deliveries))


async def with_many_endpoints(api: Api) -> str:
    """Create an application with twelve endpoints."""
    app = await api.app()
    for _ in range(12):
        await api.endpoint(app)
    return app


def many(count: int) -> list[Json]:
    return [a_message(payload={"n": n}) if n % 4 else a_message(payload=n) for n in range(count)]


async def test_a_batch_with_many_deliveries_is_stored_in_parts_and_answered_as_one(api: Api) -> None:
    transactions = Transactions(api.db)
    api = in_parts(api.over(transactions), deliveries=36)
    app = await with_many_endpoints(api)
    headers = {"idempotency-key": "k"}

    results = await sent(api, app, *many(20), headers=headers)
    again = await sent(api, app, *many(20), headers=headers)

    assert [422 if n % 4 == 0 else 202 for n in range(20)] == [each["status"] for each in results]
    assert [3] * 5 == transactions.sizes
    assert results == again
    assert (15, 180) == (await stored(api, "message"), await stored(api, "delivery"))
    body = [(await api.read(f"/app/{app}/msg/{each['id']}"))["payload"] for each in results if "id" in each]
    assert [{"n": n} for n in range(20) if n % 4] == body


@pytest.mark.parametrize("deliveries", [24, 36, 10_000])
async def test_a_half_stored_batch_is_completed_by_a_retry_with_its_key(api: Api, deliveries: int) -> None:
    api = in_parts(api.over(Transactions(api.db, fails=3)), deliveries=36)
    app = await with_many_endpoints(api)
    headers, body = {"idempotency-key": "k"}, {"messages": many(20)}
    broken = await api.post(f"/app/{app}/msg/batch", json=body, headers=headers)
    before = await stored(api, "message")
    api = in_parts(api, deliveries=deliveries)

    results = await sent(api, app, *many(20), headers=headers)

    assert (500, 6) == (broken.status_code, before)
    assert (15, 180) == (await stored(api, "message"), await stored(api, "delivery"))
    assert 15 == len({each["id"] for each in results if "id" in each})


async def test_parts_of_a_batch_without_a_key_are_stored_too(api: Api) -> None:
    api = in_parts(api, deliveries=1)
    app = await with_many_endpoints(api)

    results = await sent(api, app, *many(6))

    assert [422, 202, 202, 202, 422, 202] == [each["status"] for each in results]
    assert (4, 48) == (await stored(api, "message"), await stored(api, "delivery"))
