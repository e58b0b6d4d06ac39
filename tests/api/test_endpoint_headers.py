# SPDX-License-Identifier: MIT
"""Custom headers of endpoints."""

import pytest

from api.kit import ORG, Api, Json, faults
from tidings.core.routing import RoutingCache
from tidings.core.signing import encrypt_stored_secrets
from tidings.core.tuning import CoreTuning
from tidings.delivery.target import compile_target
from tidings.model.encryption import Encryption
from tidings.storage.tables import endpoints


async def _made(api: Api, **more: object) -> str:
    app = await api.app()
    return f"/app/{app}/endpoint/{await api.endpoint(app, **more)}/headers"


async def _write(api: Api, method: str, path: str, body: Json) -> None:
    response = await api.call(method, path, json=body)
    assert (204, b"") == (response.status_code, response.content), response.text


async def _read(api: Api, path: str) -> Json:
    return await api.read(path)


async def test_a_new_endpoint_has_no_headers(api: Api) -> None:
    assert {"headers": {}, "sensitive": []} == await _read(api, await _made(api))


async def test_a_put_replaces_and_a_patch_merges(api: Api) -> None:
    path = await _made(api)

    await _write(api, "PATCH", path, {"headers": {"X-One": "1", "x-two": "2", "x-three": "3", "x-four": "4"}})
    await _write(api, "PATCH", path, {"headers": {"x-two": "b", "X-ONE": None, "x-three": None}})
    assert {"x-two": "b", "x-four": "4"} == (await _read(api, path))["headers"]
    await _write(api, "PATCH", path, {"headers": {"x-five": "5"}, "deleteHeaders": ["X-Two", "x-five", "absent"]})
    assert {"x-four": "4"} == (await _read(api, path))["headers"]
    await _write(api, "PUT", path, {"headers": {"x-new": "n"}})
    assert {"headers": {"x-new": "n"}, "sensitive": []} == await _read(api, path)


async def test_headers_given_at_creation_are_returned(api: Api) -> None:
    path = await _made(api, headers={"X-Mine": "1"})

    assert {"X-Mine": "1"} == (await _read(api, path))["headers"]


async def test_the_values_of_sensitive_headers_are_hidden(api: Api) -> None:
    secret = ["X-Auth-Token", "x-api-key", "WWW-Authenticate", "Authorization"]
    path = await _made(api)

    await _write(api, "PUT", path, {"headers": {**dict.fromkeys(secret, "s3cret"), "x-other": "o"}})

    response = await api.get(path)
    assert {"headers": {"x-other": "o"}, "sensitive": secret} == response.json()
    assert "s3cret" not in response.text


async def test_the_next_send_has_the_new_headers(api: Api) -> None:
    path = await _made(api)
    await _write(api, "PUT", path, {"headers": {"X-Mine": "1"}})

    routing = await RoutingCache(api.db).load(ORG, path.split("/")[2])

    assert routing is not None
    assert (("X-Mine", "1"),) == routing.receivers[0].headers


async def _sent(api: Api, path: str, encryption: Encryption | None = None) -> list[str]:
    """Return the custom header lines of a request to the endpoint."""
    routing = await RoutingCache(api.db, encryption or Encryption()).load(ORG, path.split("/")[2])
    assert routing is not None
    receiver = routing.receivers[0]
    plain = compile_target(receiver.url, version="1").request("msg_1", 1, b"v1,A", b"{}").split(b"\r\n")
    found = compile_target(receiver.url, version="1", headers=dict(receiver.headers))
    lines = found.request("msg_1", 1, b"v1,A", b"{}").split(b"\r\n")
    return [line.decode() for line in lines if line not in plain]


async def _stored(api: Api) -> list[str]:
    async with api.db.read() as read:
        return [row["headers"] for row in await read.rows("SELECT headers FROM endpoint ORDER BY id")]


@pytest.mark.parametrize(
    "given", [{"Authorization": "a", "authorization": "b"}, {"AUTHORIZATION": "x", "authorization": "b"}]
)
async def test_header_names_are_case_insensitive_and_the_last_one_counts(api: Api, given: Json) -> None:
    path = await _made(api, headers={"Host": "one", "X-A": "1", "host": "two"})
    assert {"X-A": "1", "host": "two"} == (await _read(api, path))["headers"]
    assert ["host: two", "X-A: 1"] == await _sent(api, path)

    await _write(api, "PUT", path, {"headers": given})
    assert ["authorization"] == (await _read(api, path))["sensitive"]
    assert ["authorization: b"] == await _sent(api, path)
    await _write(api, "PATCH", path, {"headers": {"Authorization": "c", "AUTHORIZATION": "new", "x-b": "1"}})
    assert ["AUTHORIZATION: new", "x-b: 1"] == await _sent(api, path)
    await _write(api, "PATCH", path, {"headers": {"X-B": "2", "x-b": None}, "deleteHeaders": ["authorizatioN"]})
    assert [] == await _sent(api, path)
    assert {"headers": {}, "sensitive": []} == await _read(api, path)


async def test_stored_headers_that_differ_in_case_are_read_and_sent_once(api: Api) -> None:
    path = await _made(api)
    older = '{"X-Mine":"old","Connection":"close","expect":"100-continue","Trailer":"x-t","x-mine":"new"}'
    async with api.db.write() as tx:
        await tx.run("UPDATE endpoint SET headers = :older", older=older)

    assert {"Connection", "expect", "Trailer", "x-mine"} == (await _read(api, path))["headers"].keys()
    assert ["x-mine: new"] == await _sent(api, path)
    await _write(
        api, "PATCH", path, {"headers": {"X-MINE": "3", "connection": None}, "deleteHeaders": ["EXPECT", "trailer"]}
    )
    assert {"X-MINE": "3"} == (await _read(api, path))["headers"]


async def test_headers_are_limited_in_number_and_size(api: Api) -> None:
    path = await _made(api)
    app = path.split("/")[2]
    many = {f"x-{n}": "v" for n in range(51)}
    big = {f"x-{n}": "v" * 4_093 for n in range(4)}
    assert sum(len(name) + len(value) for name, value in big.items()) == 16 * 1024
    for wrong, words in ((many, "at most 50 headers"), ({**big, "a": ""}, "at most 16384 bytes")):
        body = {"url": "http://example.com", "headers": wrong}
        refused = [
            await api.post(f"/app/{app}/endpoint", json=body),
            await api.call("PUT", path, json={"headers": wrong}),
        ]
        for response in refused:
            ((loc, result, _),) = faults(response)
            assert (["body", "headers"], True) == (loc, words in result)

    await _write(api, "PUT", path, {"headers": {**big, "X-0": "v" * 4_093}})
    ((loc, result, _),) = faults(await api.call("PATCH", path, json={"headers": {"a": ""}}))
    assert (["body", "headers"], "An endpoint's headers have at most 16384 bytes in all.") == (loc, result)
    await _write(api, "PATCH", path, {"headers": {"a": "b"}, "deleteHeaders": ["x-0"]})
    too_many: list[Json] = [{"headers": dict.fromkeys(many)}, {"headers": {}, "deleteHeaders": list(many)}]
    for body in too_many:
        assert 422 == (await api.call("PATCH", path, json=body)).status_code


async def test_the_endpoints_of_an_application_are_limited_in_number(api: Api) -> None:
    object.__setattr__(api.context.services, "endpoints_max", 2)
    app = await api.app()
    first = await api.endpoint(app)
    await api.endpoint(app)
    body = {"url": "http://example.com"}

    for method, path in (("POST", ""), ("PUT", "/new")):
        refused = await api.call(method, f"/app/{app}/endpoint{path}", json=body)
        result = {"code": "limit_reached", "detail": "An application has at most 2 endpoints. Delete one first."}
        assert (400, result) == (refused.status_code, refused.json())
    assert 200 == (await api.call("PUT", f"/app/{app}/endpoint/{first}", json=body)).status_code
    await api.call("DELETE", f"/app/{app}/endpoint/{first}")
    await api.endpoint(app)
    await api.endpoint(await api.app())


def _use_encryption(api: Api, encryption: Encryption) -> None:
    object.__setattr__(api.context.services, "encryption", encryption)


async def test_headers_are_encrypted_with_a_main_secret(api: Api) -> None:
    encryption = Encryption("main")
    _use_encryption(api, encryption)
    path = await _made(api, headers={"Authorization": "s3cret", "x-mine": "é".encode().hex()})
    await api.endpoint(path.split("/")[2])

    stored, empty = await _stored(api)
    assert "{}" == empty
    assert not [word for word in ("s3cret", "Authorization", "{") if word in stored]
    assert {"x-mine": "c3a9"} == (await _read(api, path))["headers"]
    assert ["Authorization: s3cret", "x-mine: c3a9"] == await _sent(api, path, encryption)
    await _write(api, "PATCH", path, {"headers": {"x-mine": "2"}})
    assert ["Authorization: s3cret", "x-mine: 2"] == await _sent(api, path, encryption)
    await _write(api, "PUT", path, {"headers": {"x-put": "3"}})
    assert "x-put" not in (await _stored(api))[0]

    for other in (Encryption(), Encryption("another")):
        _use_encryption(api, other)
        for response in (await api.get(path), await api.call("PATCH", path, json={"headers": {"x-a": "b"}})):
            assert (503, "unavailable") == (response.status_code, response.json()["code"])
            assert "main_secret" in response.json()["detail"]
        routing = await RoutingCache(api.db, other).load(ORG, path.split("/")[2])
        assert routing is not None
        with pytest.raises(ValueError, match="main_secret"):
            routing.receivers[0].ring.sign("msg_1", 1, b"{}")


async def test_data_stored_before_the_main_secret_is_encrypted(api: Api) -> None:
    app = await api.app()
    paths = [f"/app/{app}/endpoint/{await api.endpoint(app, headers={'x-mine': str(n)})}" for n in range(5)]
    keys = [(await api.read(f"{path}/secret"))["key"] for path in paths]
    await api.post(f"{paths[0]}/secret/rotate", json={})
    keys[0] = (await api.read(f"{paths[0]}/secret"))["key"]
    await api.call("DELETE", paths[4])
    encryption = Encryption("main")
    assert 0 == await encrypt_stored_secrets(api.db, Encryption())

    tuning = CoreTuning(encrypted_at_once=2)
    assert [5, 0] == [await encrypt_stored_secrets(api.db, encryption, tuning) for _ in range(2)]

    async with api.db.read() as read:
        found = await endpoints.stored_keys(read, after="", limit=10)
    assert 5 == len(found)
    for each in found:
        assert each.headers is None
        assert all(stored[0] & 0x80 for stored in (each.secret, *(old.stored for old in each.old_secrets)))
    assert 1 == len(found[0].old_secrets)
    _use_encryption(api, encryption)
    for number, path in enumerate(paths[:4]):
        assert {"x-mine": str(number)} == (await _read(api, f"{path}/headers"))["headers"]
        assert keys[number] == (await api.read(f"{path}/secret"))["key"]
    routing = await RoutingCache(api.db, encryption).load(ORG, app)
    assert routing is not None
    assert [(("x-mine", str(n)),) for n in range(4)] == [each.headers for each in routing.receivers]
    assert 2 == len(routing.receivers[0].ring.sign("msg_1", api.clock.now() // 1_000, b"{}").split(b" "))


async def test_encryption_does_not_undo_a_concurrent_change(api: Api) -> None:
    path = await _made(api, headers={"x-mine": "1"})
    async with api.db.read() as read:
        [seen] = await endpoints.stored_keys(read, after="", limit=1)
    await _write(api, "PUT", path, {"headers": {"x-mine": "2"}})
    await api.post(f"{path.removesuffix('/headers')}/secret/rotate", json={})

    assert seen.headers is not None
    async with api.db.write() as tx:
        headers = await endpoints.replace_headers(tx, seen.id, plaintext=seen.headers, encrypted="x")
        secrets = await endpoints.replace_secrets(tx, seen, b"x", ())

    assert (0, 0) == (headers, secrets)


FORBIDDEN = [
    *(
        (name, "Header uses a forbidden key: the sender sets headers about the connection. Remove it.")
        for name in ("Connection", "proxy-connection", "Expect", "Trailer", "HTTP2-Settings")
    ),
    *(
        (name, "Header uses a forbidden key.")
        for name in ("Keep-Alive", "TE", "Trailers", "Transfer-Encoding", "UPGRADE")
    ),
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
async def test_a_reserved_header_name_is_refused(lite: Api, name: str, words: str) -> None:
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


async def test_variables_stored_before_the_main_secret_are_encrypted(api: Api) -> None:
    app = await api.app()
    paths = [f"/app/{app}/endpoint/{await api.endpoint(app)}/transformation" for _ in range(4)]
    for number, path in enumerate(paths[:3]):
        await api.call("PATCH", path, json={"variables": {"TOKEN": f"secret-{number}"}})
    await api.call("PATCH", paths[3], json={"variables": {}})
    encryption, tuning = Encryption("main"), CoreTuning(encrypted_at_once=2)
    keys = 4
    assert [3 + keys, 0] == [await encrypt_stored_secrets(api.db, encryption, tuning) for _ in range(2)]

    async with api.db.read() as read:
        stored = [row["variables"] for row in await read.rows("SELECT variables FROM transformation")]
    assert not any("secret-" in each for each in stored)
    assert 1 == stored.count("{}")
    _use_encryption(api, encryption)
    for number, path in enumerate(paths[:3]):
        assert {"TOKEN": f"secret-{number}"} == (await _read(api, path))["variables"]
