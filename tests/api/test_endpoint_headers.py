# SPDX-License-Identifier: MIT
"""Endpoints' own headers."""

import pytest

from api.kit import ORG, Api, Json, faults
from tidings.core.routing import RoutingCache


async def _made(api: Api, **more: object) -> str:
    app = await api.app()
    return f"/app/{app}/endpoint/{await api.endpoint(app, **more)}/headers"


async def _write(api: Api, method: str, path: str, body: Json) -> None:
    response = await api.call(method, path, json=body)
    assert (204, b"") == (response.status_code, response.content), response.text


async def _read(api: Api, path: str) -> Json:
    return await api.read(path)


async def test_there_are_none_at_first(api: Api) -> None:
    assert {"headers": {}, "sensitive": []} == await _read(api, await _made(api))


async def test_what_is_put_replaces_and_what_is_patched_merges(api: Api) -> None:
    path = await _made(api)

    await _write(api, "PATCH", path, {"headers": {"X-One": "1", "x-two": "2", "x-three": "3", "x-four": "4"}})
    await _write(api, "PATCH", path, {"headers": {"x-two": "b", "X-ONE": None, "x-three": None}})
    assert {"X-One": "1", "x-two": "b", "x-four": "4"} == (await _read(api, path))["headers"]
    await _write(api, "PATCH", path, {"headers": {"x-five": "5"}, "deleteHeaders": ["x-two", "x-five", "absent"]})
    assert {"X-One": "1", "x-four": "4"} == (await _read(api, path))["headers"]
    await _write(api, "PUT", path, {"headers": {"x-new": "n"}})
    assert {"headers": {"x-new": "n"}, "sensitive": []} == await _read(api, path)


async def test_what_was_given_when_the_endpoint_was_made_is_told(api: Api) -> None:
    path = await _made(api, headers={"X-Mine": "1"})

    assert {"X-Mine": "1"} == (await _read(api, path))["headers"]


async def test_the_values_of_some_are_told_to_nobody(api: Api) -> None:
    secret = ["X-Auth-Token", "x-api-key", "WWW-Authenticate", "Authorization"]
    path = await _made(api)

    await _write(api, "PUT", path, {"headers": {**dict.fromkeys(secret, "s3cret"), "x-other": "o"}})

    told = await api.get(path)
    assert {"headers": {"x-other": "o"}, "sensitive": secret} == told.json()
    assert "s3cret" not in told.text


async def test_the_next_send_carries_them(api: Api) -> None:
    path = await _made(api)
    await _write(api, "PUT", path, {"headers": {"X-Mine": "1"}})

    routing = await RoutingCache(api.db).load(ORG, path.split("/")[2])

    assert routing is not None
    assert (("X-Mine", "1"),) == routing.receivers[0].headers


FORBIDDEN = [
    ("content-length", "Header uses a forbidden key."),
    ("User-Agent", "Header uses a forbidden key."),
    ("some:thing", "Invalid Header Name."),
    ("nul\0", "Invalid Header Name."),
    ("", "Invalid Header Name."),
    ("Grüße", "Invalid Header Name."),
    ("svix-foo", "Header starts with a forbidden prefix."),
    ("X-Svix-Foo", "Header starts with a forbidden prefix."),
    ("x-amzn-foo", "Header starts with a forbidden prefix."),
]


@pytest.mark.parametrize(("name", "words"), FORBIDDEN)
async def test_a_name_that_is_not_free_is_refused(lite: Api, name: str, words: str) -> None:
    path = await _made(lite, headers={"x-kept": "1"})

    for method, kind in (("PUT", "value_error.jsondecode"), ("PATCH", "value_error")):
        found = faults(await lite.call(method, path, json={"headers": {name: "v", "x-new": "n"}}))
        assert [(["body", "headers", name], words, kind)] == found
    assert {"x-kept": "1"} == (await _read(lite, path))["headers"]


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\0b", "é", "x" * 4097])
async def test_a_value_that_cannot_be_sent_is_refused(lite: Api, value: str) -> None:
    path = await _made(lite)

    for method in ("PUT", "PATCH"):
        assert 422 == (await lite.call(method, path, json={"headers": {"x-a": value}})).status_code
    await _write(lite, "PUT", path, {"headers": {"x-a": "x" * 4096}})
