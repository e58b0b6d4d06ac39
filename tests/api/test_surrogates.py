# SPDX-License-Identifier: MIT
"""Unpaired surrogates are preserved in payloads, however encoded, and refused in every decoded member."""

import pytest

from api.kit import Api, Json
from api.sockets import Wire

HALF = rb"\ud83d"
PAYLOAD = rb'{"s":"\ud83d", "\ude00\\":["\ud83d\ude00"]}'
MESSAGE = b'{"eventType":"a.b","payload":%b}' % PAYLOAD


async def _stored(api: Api, path: str) -> bytes:
    response = await api.get(path)
    assert response.status_code == 200
    return response.content


async def test_a_message_keeps_an_unpaired_surrogate_in_its_payload(api: Api) -> None:
    app = await api.app()

    for member in (b"payload", b"data"):
        body = MESSAGE.replace(b'"payload"', b'"%b"' % member)
        made = await api.post(f"/app/{app}/msg", content=body, headers={"idempotency-key": str(member)})
        again = await api.post(f"/app/{app}/msg", content=body, headers={"idempotency-key": str(member)})

        assert (202, made.content) == (made.status_code, again.content)
        assert b'"payload":' + PAYLOAD in made.content
        assert b'"payload":' + PAYLOAD in await _stored(api, f"/app/{app}/msg/{made.json()['id']}")
    assert b'"payload":' + PAYLOAD in await _stored(api, f"/app/{app}/msg")


async def test_the_hot_route_accepts_an_unpaired_surrogate(wire: Wire) -> None:
    [(status, _, body)] = await wire.exchange(wire.request(MESSAGE))

    assert status == 202
    assert b'"payload":' + PAYLOAD in body


async def test_a_batch_keeps_and_refuses_unpaired_surrogates_like_single_messages(api: Api) -> None:
    app = await api.app()
    bad = MESSAGE.replace(b"a.b", HALF)

    response = await api.post(f"/app/{app}/msg/batch", content=b'{"messages":[%b,%b,%b]}' % (MESSAGE, bad, MESSAGE))

    statuses = [each["status"] for each in response.json()["data"]]
    assert (202, [202, 422, 202]) == (response.status_code, statuses)
    assert "lone surrogate" in response.json()["data"][1]["error"]["detail"][0]["msg"]
    assert b'"payload":' + PAYLOAD in await _stored(api, f"/app/{app}/msg/{response.json()['data'][2]['id']}")


async def test_a_broadcast_and_an_example_accept_an_unpaired_surrogate(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)

    broadcast = await api.post("/msg/broadcast", content=MESSAGE)
    example = await api.post(f"/app/{app}/endpoint/{endpoint}/send-example", content=MESSAGE)

    assert (202, 202) == (broadcast.status_code, example.status_code), broadcast.text
    assert b'"payload":' + PAYLOAD in await _stored(api, f"/app/{app}/msg/{example.json()['id']}")


async def test_a_raw_object_with_an_unpaired_surrogate_is_rendered_as_an_object(api: Api) -> None:
    app = await api.app()
    raw = rb'"{\"s\":\"\\ud83d\"}"'

    made = await api.post(
        f"/app/{app}/msg",
        content=b'{"eventType":"a","payload":{},"transformationsParams":{"rawPayload":%b}}' % raw,
    )

    assert 202 == made.status_code
    assert rb'"payload":{"s":"\ud83d"}' in made.content


REFUSED: list[tuple[str, str, bytes, list[str]]] = [
    ("POST", "/app", b'{"name":"%b"}', ["body", "name"]),
    ("POST", "/app", b'{"name":"a","uid":"%b"}', ["body", "uid"]),
    ("POST", "/app", b'{"name":"a","metadata":{"a":"%b"}}', ["body", "metadata"]),
    ("POST", "/app", b'{"name":"a","metadata":{"%b":"a"}}', ["body", "metadata"]),
    ("PATCH", "/app/mine", b'{"name":"%b"}', ["body", "name"]),
    ("PUT", "/app/mine", b'{"name":"a","uid":"%b"}', ["body", "uid"]),
    ("POST", "/app/mine/endpoint", b'{"url":"http://a","description":"%b"}', ["body", "description"]),
    ("POST", "/app/mine/endpoint", b'{"url":"http://a/%b"}', ["body", "url"]),
    ("POST", "/event-type", b'{"name":"a","description":"%b"}', ["body", "description"]),
    ("POST", "/event-type", b'{"name":"a","description":"","schemas":{"1":{"title":"%b"}}}', ["body", "schemas"]),
    ("POST", "/app/mine/msg", b'{"eventType":"%b","payload":{}}', ["body", "eventType"]),
    ("POST", "/app/mine/msg", b'{"eventType":"a","payload":{"a":"%b"},"eventId":"\\udc00"}', ["body", "eventId"]),
    ("POST", "/app/mine/msg", b'{"eventType":"a","payload":{},"tags":["%b"]}', ["body", "tags"]),
    ("POST", "/app/mine/msg", b'{"eventType":"a","payload":{},"channels":["%b"]}', ["body", "channels"]),
    (
        "POST",
        "/app/mine/msg",
        b'{"eventType":"a","payload":{},"application":{"name":"%b"}}',
        ["body", "application"],
    ),
    (
        "POST",
        "/app/mine/msg",
        b'{"eventType":"a","payload":{},"transformationsParams":{"rawPayload":"%b"}}',
        ["body", "transformationsParams", "rawPayload"],
    ),
    ("POST", "/msg/broadcast", b'{"eventType":"%b","payload":{}}', ["body", "eventType"]),
]


@pytest.mark.parametrize(("method", "path", "body", "loc"), REFUSED)
async def test_decoded_members_refuse_unpaired_surrogates_with_a_reason(
    lite: Api, method: str, path: str, body: bytes, loc: list[str]
) -> None:
    await lite.app(uid="mine")

    response = await lite.call(method, path, content=body.replace(b"%b", HALF))

    assert 422 == response.status_code
    [fault] = response.json()["detail"]
    assert (loc, True) == (fault["loc"], "lone surrogate" in fault["msg"])


async def test_ignored_members_may_have_unpaired_surrogates(lite: Api) -> None:
    made: Json = (await lite.post("/app", content=b'{"name":"a","unknown":"%b"}' % HALF)).json()

    assert "a" == made["name"]
