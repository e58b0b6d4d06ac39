# SPDX-License-Identifier: MIT
"""Signing secrets of endpoints, from the API to the signature."""

import base64
from dataclasses import replace

import pytest

from api.kit import ORG, Api, Json, faults
from tidings.clock import HOUR, SECOND
from tidings.core.routing import RoutingCache
from tidings.model.encryption import Encryption
from tidings.model.signature import SignatureType, parse_secret, signed_content, verify

PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
PYTHON = {"user-agent": "svix-libs/2.9.1/python python/3.11.0 Linux/x86_64"}
MSG_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 1}'


def _secret(letter: str) -> str:
    return "whsec_" + letter * 32


async def _rotated(api: Api, path: str, **body: object) -> None:
    api.clock.advance(10)
    response = await api.post(f"{path}/secret/rotate", json=body)
    assert (204, b"") == (response.status_code, response.content), response.text


async def _made(api: Api, **more: object) -> str:
    app = await api.app()
    return f"/app/{app}/endpoint/{await api.endpoint(app, **more)}"


async def _key(api: Api, path: str) -> str:
    return str((await api.read(f"{path}/secret"))["key"])


async def _signature(api: Api, path: str) -> bytes:
    """Sign as delivery does, from the same stored data."""
    routing = await RoutingCache(api.db, api.context.services.encryption).load(ORG, path.split("/")[2])
    assert routing is not None
    return routing.receivers[0].ring.sign(MSG_ID, api.clock.now() // SECOND, BODY)


def _use_encryption(api: Api, encryption: Encryption) -> None:
    object.__setattr__(api.context, "services", replace(api.context.services, encryption=encryption))


@pytest.mark.parametrize(
    ("given", "expected"), [(_secret("e"), _secret("e")), (PAIR, PUBLIC), ("e" * 32, _secret("e"))]
)
async def test_a_given_secret_is_rendered_for_its_receiver(api: Api, given: str, expected: str) -> None:
    path = await _made(api, secret=given)

    assert expected == await _key(api, path)
    await _rotated(api, path)
    assert expected != await _key(api, path)
    await _rotated(api, path, key=given)
    assert expected == await _key(api, path)


@pytest.mark.parametrize(
    "wrong",
    [
        "w",
        "whsec_%",
        "whsec_wronglength",
        "e" * 28,
        "e" * 104,
        "_" * 32,
        "hwsec_" + "e" * 32,
        PUBLIC,
        PAIR[:-4],
        "whsk_" + base64.b64encode(bytes(64)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(76)).decode(),
        "",
    ],
)
async def test_an_invalid_secret_is_refused(lite: Api, wrong: str) -> None:
    path = await _made(lite)
    before = await _key(lite, path)
    made = path.rpartition("/")[0]

    assert [["body", "key"]] == [
        loc for loc, *_ in faults(await lite.post(f"{path}/secret/rotate", json={"key": wrong}))
    ]
    refused = await lite.post(made, json={"url": "http://a", "secret": wrong})
    assert [["body", "secret"]] == [loc for loc, *_ in faults(refused)]
    assert before == await _key(lite, path)


async def test_generated_keys_have_the_configured_type(api: Api) -> None:
    path = await _made(api)
    _use_encryption(api, Encryption(default=SignatureType.ED25519))

    assert (await _key(api, path)).startswith("whsec_")
    await _rotated(api, path)
    assert (await _key(api, path)).startswith("whpk_")
    assert (await _key(api, await _made(api))).startswith("whpk_")


async def test_a_message_is_signed_with_every_valid_secret(api: Api) -> None:
    long = "whsec_" + base64.b64encode(bytes(range(75))).decode()
    path = await _made(api, secret=_secret("a"))
    for key in (PAIR, long, _secret("b")):
        await _rotated(api, path, key=key, gracePeriodSeconds=60)

    signature = await _signature(api, path)

    assert ["v1", "v1", "v1a", "v1"] == [entry.split(b",")[0].decode() for entry in signature.split(b" ")]
    timestamp = api.clock.now() // SECOND
    for key in (_secret("a"), PAIR, long, _secret("b")):
        assert verify([parse_secret(key)], MSG_ID, timestamp, BODY, signature), key
    first = signature.split(b" ")[0]
    assert parse_secret(_secret("b")).sign(signed_content(MSG_ID, timestamp, BODY)) == first
    api.clock.advance(61 * SECOND)
    assert 1 == len((await _signature(api, path)).split(b" "))


async def test_without_a_grace_period_the_old_secret_ends_immediately(api: Api) -> None:
    path = await _made(api, secret=_secret("a"))

    await _rotated(api, path, gracePeriodSeconds=0)

    signature = await _signature(api, path)
    assert not verify([parse_secret(_secret("a"))], MSG_ID, api.clock.now() // SECOND, BODY, signature)


@pytest.mark.parametrize("body", [{}, {"gracePeriodSeconds": None, "key": None}])
async def test_the_default_grace_period_is_a_day(api: Api, body: Json) -> None:
    path = await _made(api)
    await _rotated(api, path, **body)

    api.clock.advance(24 * HOUR - SECOND)
    assert 2 == len((await _signature(api, path)).split(b" "))
    api.clock.advance(2 * SECOND)
    assert 1 == len((await _signature(api, path)).split(b" "))


async def test_an_eleventh_rotation_is_refused_until_a_secret_expires(api: Api) -> None:
    path = await _made(api)
    for _ in range(10):
        await _rotated(api, path, gracePeriodSeconds=60)
    before = await _key(api, path)

    refused = await api.post(f"{path}/secret/rotate", json={})

    assert (400, "limit_reached") == (refused.status_code, refused.json()["code"])
    assert refused.json()["detail"].startswith(
        "You can only rotate a key 10 times; please wait for old keys to expire."
    )
    assert before == await _key(api, path)
    await _rotated(api, path, gracePeriodSeconds=0)
    api.clock.advance(60 * SECOND)
    await _rotated(api, path)


@pytest.mark.parametrize("grace", [-1, 604_801, 10**30])
async def test_a_grace_period_is_at_most_a_week(lite: Api, grace: int) -> None:
    path = await _made(lite)

    ((loc, _, _),) = faults(await lite.post(f"{path}/secret/rotate", json={"gracePeriodSeconds": grace}))

    assert ["body", "gracePeriodSeconds"] == loc
    await _rotated(lite, path, gracePeriodSeconds=604_800)


@pytest.mark.parametrize(
    ("agent", "status"),
    [
        ("svix-libs/2.9.1/python python/3.11.0 Linux/x86_64", 200),
        ("svix-libs/2.10.0/python", 200),
        ("svix-libs/3.0.0/python", 200),
        ("svix-libs/2.8.0/python", 200),
        ("svix-libs/2.7.0/python", 200),
        ("svix-libs/2.7.0/rust", 200),
        ("svix-libs/2.9.1/rust", 200),
        ("svix-libs/2.9.1/javascript node/22", 200),
        ("svix-libs/2.7.3-beta.1/go", 200),
        ("svix-libs/2.7", 200),
        ("svix-libs/3", 200),
        ("acme/1.0 svix-libs/2.8.0/ruby", 200),
        ("svix-libs/9999999.1/python", 200),
        ("svix-libs/2.6.0/python", 204),
        ("svix-libs/2.6.9/rust", 204),
        ("svix-libs/2.0.0/kotlin", 204),
        ("svix-libs/2", 204),
        ("svix-libs/1.86.0/python", 204),
        ("not-svix-libs/2.9.1/python", 204),
        ("svix-libs/x.y", 204),
        ("python-httpx/2.8", 204),
        ("", 204),
    ],
)
async def test_the_response_of_a_rotation_holds_the_key(lite: Api, agent: str, status: int) -> None:
    path = await _made(lite)

    response = await lite.post(f"{path}/secret/rotate", json={"key": PAIR}, headers={"user-agent": agent})

    assert status == response.status_code
    assert ({"key": PUBLIC} if status == 200 else None) == (response.json() if response.content else None)


async def test_a_rotation_runs_once_for_each_idempotency_key(api: Api) -> None:
    path = await _made(api)
    headers = {"idempotency-key": "k", **PYTHON}

    first = await api.post(f"{path}/secret/rotate", json={}, headers=headers)
    second = await api.post(f"{path}/secret/rotate", json={}, headers=headers)

    assert first.json() == second.json() == await api.read(f"{path}/secret")
    assert 2 == len((await _signature(api, path)).split(b" "))


async def test_secrets_are_encrypted_with_a_main_secret(api: Api) -> None:
    before = await _made(api, secret=_secret("a"))
    _use_encryption(api, Encryption("main"))
    after = await _made(api, secret=_secret("b"))

    assert (_secret("a"), _secret("b")) == (await _key(api, before), await _key(api, after))
    await _rotated(api, before)
    assert 2 == len((await _signature(api, before)).split(b" "))
    async with api.db.read() as read:
        stored = [bytes(row["secret"]) for row in await read.rows("SELECT secret FROM endpoint ORDER BY id")]
    assert [65, 65] == [len(each) for each in stored]

    path, body = f"{after}/secret/rotate", {"key": _secret("c")}
    for _ in range(2):
        response = await api.post(path, json=body, headers={"idempotency-key": "k", **PYTHON})
        assert (200, {"key": _secret("c")}) == (response.status_code, response.json())
    async with api.db.read() as read:
        [kept] = [bytes(row["body"]) for row in await read.rows("SELECT body FROM idempotency_record")]
    assert 65 == len(kept)

    _use_encryption(api, Encryption())
    refused = await api.get(f"{after}/secret")
    assert (503, "unavailable") == (refused.status_code, refused.json()["code"])
    assert "main_secret" in refused.json()["detail"]
    with pytest.raises(ValueError, match="main_secret"):
        await _signature(api, after)


async def test_a_secret_stored_without_a_marker_is_read(api: Api) -> None:
    path = await _made(api)
    async with api.db.write() as tx:
        await tx.run("UPDATE endpoint SET secret = :secret", secret=b"x" * 24)

    assert "whsec_" + base64.b64encode(b"x" * 24).decode() == await _key(api, path)
