# SPDX-License-Identifier: MIT
"""Messages."""

from typing import Any

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.clock import parse_rfc3339
from tidings.core.access import issue_app_token
from tidings.ids import AppId, timestamp_of

BODY: Json = {"eventType": "user.signup", "payload": {"a": 1}}


async def test_a_created_message_is_found_unchanged(api: Api) -> None:
    app = await api.app(uid="acme")
    body = {**BODY, "eventId": "e-1", "channels": ["a:b", "c+d", "a:b"], "tags": ["t"], "deliverAt": None}

    made = await api.made("/app/acme/msg", body)

    assert made == await api.read(f"/app/{app}/msg/{made['id']}") == await api.read("/app/acme/msg/e-1")
    assert {"eventId", "eventType", "payload", "channels", "tags", "id", "timestamp"} == made.keys()
    assert ["a:b", "c+d"] == made["channels"]
    assert timestamp_of(made["id"]) == parse_rfc3339(made["timestamp"])


async def test_a_message_is_accepted_with_and_without_a_trailing_slash(api: Api) -> None:
    app = await api.app()

    for path in (f"/app/{app}/msg", f"/app/{app}/msg/", f"/app/{app}/msg//"):
        assert (await api.post(path, json=BODY)).status_code == 202


async def test_a_payload_is_returned_bytewise_unchanged(api: Api) -> None:
    app = await api.app()
    payload = '{"z" : 1.50,\n "a":"\\u00e9 é \\u0000", "n": 123456789012345678901234567890}'.encode()

    made = await api.post(f"/app/{app}/msg", content=b'{"payload":' + payload + b',"eventType":"a"}')
    found = await api.get(f"/app/{app}/msg/{made.json()['id']}")

    assert payload in made.content
    assert payload in found.content


async def test_data_is_an_alias_of_payload(lite: Api) -> None:
    app = await lite.app()

    made = await lite.made(f"/app/{app}/msg", {"eventType": "a", "data": {"b": 2}})

    assert {"b": 2} == made["payload"]


async def test_a_payload_that_was_not_requested_is_an_empty_object(api: Api) -> None:
    app = await api.app()

    made = await api.made(f"/app/{app}/msg?with_content=false", BODY)

    assert {} == made["payload"]
    assert {} == (await api.read(f"/app/{app}/msg/{made['id']}", with_content="false"))["payload"]
    assert [{}] == [each["payload"] for each in (await api.read(f"/app/{app}/msg", with_content="false"))["data"]]
    assert {"a": 1} == (await api.read(f"/app/{app}/msg/{made['id']}"))["payload"]


async def test_a_deleted_payload_is_reported_as_deleted(api: Api) -> None:
    app = await api.app()
    msg = await api.message(app)
    async with api.db.write() as tx:
        await tx.run("UPDATE message SET payload = NULL WHERE id = :id", id=msg)

    assert {"expired": True} == (await api.read(f"/app/{app}/msg/{msg}"))["payload"]


async def test_an_event_id_is_used_once_in_an_application(api: Api) -> None:
    app, other = await api.app(), await api.app()
    await api.message(app, eventId="same")

    second = await api.post(f"/app/{app}/msg", json={**BODY, "eventId": "same"})

    assert (
        409,
        {
            "code": "conflict",
            "detail": "This uid or event id is already in use. Choose another one, or update the existing object.",
        },
    ) == (second.status_code, second.json())
    assert await api.message(other, eventId="same")


@pytest.mark.parametrize(
    "query",
    [
        "event_types=a,b",
        "event_types=a&event_types=b",
        "event_types[]=a&event_types[]=b",
        "event_types[0]=a&event_types[1]=b",
        "event_types=a&event_types%5B%5D=b,a",
    ],
)
async def test_the_event_types_filter_is_read_in_every_encoding(api: Api, query: str) -> None:
    app = await api.app()
    expected = [await api.message(app, eventType=name) for name in ("a", "b")]
    await api.message(app, eventType="c")

    page = (await api.get(f"/app/{app}/msg?{query}")).json()

    assert expected[::-1] == [message["id"] for message in page["data"]]


async def test_a_channel_filter_lists_the_messages_with_this_channel(api: Api) -> None:
    app = await api.app()
    await api.message(app)
    await api.message(app, channels=["ab", "A"])
    expected = await api.message(app, channels=["b", "a"])

    page = await api.read(f"/app/{app}/msg", channel="a")

    assert [expected] == [message["id"] for message in page["data"]]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("event_types=", ["query", "event_types", "__all__"]),
        ("channel=", ["query", "channel", "__all__"]),
        ("tag=%20", ["query", "tag", "__all__"]),
        ("iterator=app_0000000000000000000000000aa", ["query", "iterator", "__all__"]),
    ],
)
async def test_invalid_filters_are_refused(lite: Api, query: str, place: list[str]) -> None:
    response = await lite.get(f"/app/{await lite.app()}/msg?{query}")

    assert [place] == [loc for loc, _, _ in faults(response)]


CHANNELS = "Channels must have at least 1 and at most 10 items, or be set to null."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"eventType": ""}, (["body", "eventType", "__all__"], "String must be at least one character", "value_error")),
        ({"payload": [1]}, (["body", "payload"], "Payload must be an object.", "value_error")),
        ({"payload": None}, (["body", "payload"], "Payload must be an object.", "value_error")),
        ({"data": {}}, (["body", "payload"], "duplicate field `payload`", "value_error.jsondecode")),
        ({"channels": []}, (["body", "channels"], CHANNELS, "value_error")),
        ({"channels": [f"c{n}" for n in range(11)]}, (["body", "channels"], CHANNELS, "value_error")),
        (
            {"channels": ["a b"]},
            (
                ["body", "channels", "__all__"],
                r"String must match the following pattern: [a-zA-Z0-9\-_.:+].",
                "value_error",
            ),
        ),
        (
            {"tags": [f"t{n}" for n in range(6)]},
            (["body", "tags"], "Tags must have at most 5 items, or be set to null.", "value_error"),
        ),
        ({"payloadRetentionPeriod": 0}, (["body", "payloadRetentionPeriod"], "Validation error", "value_error")),
        ({"payloadRetentionPeriod": 91}, (["body", "payloadRetentionPeriod"], "Validation error", "value_error")),
        ({"payloadRetentionHours": 2161}, (["body", "payloadRetentionHours"], "Validation error", "value_error")),
        (
            {"payloadRetentionPeriod": 1, "payloadRetentionHours": 1},
            (
                ["body", "payloadRetentionHours"],
                "Only one of payloadRetentionPeriod and payloadRetentionHours may be set.",
                "value_error",
            ),
        ),
        (
            {"eventId": "msg_x"},
            (
                ["body", "eventId", "__all__"],
                "Uids are not allowed to have the same prefix as the ID. Prefix with _?",
                "value_error",
            ),
        ),
    ],
)
async def test_each_broken_rule_is_reported_with_its_message(lite: Api, body: Json, expected: tuple[Any, ...]) -> None:
    app = await lite.app()

    response = await lite.post(f"/app/{app}/msg", json={**BODY, **body})

    assert [expected] == faults(response)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"eventType":"a"}',
        b'{"payload":{}}',
        b'{"eventType":"a","payload":{"x":"\xff"}}',
        b'{"eventType":"a","payload":{"x":nul}}',
        b'{"eventType":"\\ud800","payload":{}}',
        b'{"eventType":"a","payload":' + b'{"a":' * 128 + b"1" + b"}" * 128 + b"}",
        b'{"eventType":"a","payload":' + b"[" * 500_000,
    ],
)
async def test_an_unreadable_body_is_refused(lite: Api, body: bytes) -> None:
    app = await lite.app()

    [(_, _, kind)] = faults(await lite.post(f"/app/{app}/msg", content=body))

    assert kind == "value_error.jsondecode"


@pytest.mark.parametrize(
    ("given", "hours"),
    [
        ({"payloadRetentionPeriod": 1}, 24),
        ({"payloadRetentionHours": 1}, 1),
        ({"payloadRetentionPeriod": None, "payloadRetentionHours": 48}, 48),
        ({"payloadRetentionPeriod": 90}, None),
        ({"payloadRetentionHours": 2160}, None),
        ({}, None),
    ],
)
async def test_retention_is_kept_with_the_message_unless_it_is_the_longest(
    api: Api, given: Json, hours: int | None
) -> None:
    app = await api.app()
    msg = await api.message(app, **given)

    async with api.db.read() as read:
        row = await read.one("SELECT expires_at FROM message WHERE id = :id", id=msg)

    assert row["expires_at"] == (None if hours is None else timestamp_of(msg) + hours * 3_600_000)


async def test_a_message_to_an_absent_application_is_not_found(api: Api) -> None:
    response = await api.post("/app/nope/msg", json=BODY)

    assert (404, {"code": "not_found", "detail": "Application not found"}) == (response.status_code, response.json())


async def test_the_body_is_read_before_the_application_is_looked_up(lite: Api) -> None:
    assert (await lite.post("/app/nope/msg", content=b"nonsense")).status_code == 422


async def test_an_invalid_application_id_in_the_path_is_refused(lite: Api) -> None:
    [(loc, _, _)] = faults(await lite.post("/app/a%20b/msg", json=BODY))

    assert ["path", "app_id_or_uid", "__all__"] == loc


async def test_a_message_may_create_its_application(api: Api) -> None:
    body = {**BODY, "application": {"name": "acme", "uid": "new"}}

    first = await api.made("/app/new/msg", body)
    await api.made("/app/new/msg", {**body, "application": {"name": "ignored", "uid": "other"}})

    assert "acme" == (await api.read("/app/new"))["name"]
    assert first == await api.read(f"/app/new/msg/{first['id']}")


@pytest.mark.parametrize(
    ("application", "kind"),
    [({"name": "a", "uid": "other"}, "application_uid_mismatch"), ({"name": "a"}, "application_uid_missing")],
)
async def test_an_implicit_application_has_the_uid_of_the_path(lite: Api, application: Json, kind: str) -> None:
    response = await lite.post("/app/new/msg", json={**BODY, "application": application})

    assert [(["body", "application", "uid"], kind)] == [(loc, kind) for loc, _, kind in faults(response)]


WRONG_APPLICATIONS: dict[str, tuple[Json, list[str]]] = {
    "no name": ({"name": ""}, ["name"]),
    "a control character": ({"name": "a\x01"}, ["name"]),
    "an empty uid": ({"name": "a", "uid": ""}, ["uid", "__all__"]),
    "an id for a uid": ({"name": "a", "uid": "app_1"}, ["uid", "__all__"]),
    "no rate": ({"name": "a", "throttleRate": 0}, ["throttleRate"]),
    "no rate by its older name": ({"name": "a", "rateLimit": 0}, ["rateLimit"]),
    "too much metadata": ({"name": "a", "metadata": {"k": "x" * 5_000}}, ["metadata"]),
}


@pytest.mark.parametrize("ref", ["there", "new"])
@pytest.mark.parametrize("case", WRONG_APPLICATIONS.values(), ids=WRONG_APPLICATIONS)
async def test_an_implicit_application_is_validated_even_if_it_exists(
    lite: Api, ref: str, case: tuple[Json, list[str]]
) -> None:
    await lite.app(uid="there")
    wrong, place = case
    application = {"uid": ref, **wrong}

    one = await lite.post(f"/app/{ref}/msg", json={**BODY, "application": application})
    portal = await lite.post(f"/auth/app-portal-access/{ref}", json={"application": application})
    batch = await lite.post("/app/there/msg/batch", json={"messages": [{**BODY, "application": application}]})

    for response in (one, portal):
        assert [["body", "application", *place]] == [loc for loc, *_ in faults(response)]
    assert [422] == [each["status"] for each in batch.json()["data"]]
    assert [] == (await lite.read("/app/there/msg"))["data"]
    assert ["there"] == [each["uid"] for each in (await lite.read("/app"))["data"]]


async def test_an_application_token_cannot_create_messages(lite: Api) -> None:
    app = await lite.app()
    token = issue_app_token(SECRET, ORG, AppId(app), lite.clock.now())

    assert (await lite.post(f"/app/{app}/msg", json=BODY, token=token)).status_code == 403


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(lite: Api, *, chunked: bool) -> None:
    app = await lite.app()
    body = b'{"eventType":"a","payload":{"x":"' + b"y" * 2_097_152 + b'"}}'

    async def pieces() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    response = await lite.post(f"/app/{app}/msg", content=pieces() if chunked else body)

    expected = {
        "code": "payload_too_large",
        "detail": "The request body exceeds the size limit of the server. Send a smaller one.",
    }
    assert (413, expected) == (response.status_code, response.json())


async def test_a_message_sent_twice_with_one_key_is_stored_once(api: Api) -> None:
    app = await api.app()
    headers = {"idempotency-key": "k"}

    first = await api.post(f"/app/{app}/msg", json=BODY, headers=headers)
    second = await api.post(f"/app/{app}/msg/", json={**BODY, "payload": {"other": 1}}, headers=headers)

    assert first.content == second.content
    assert 1 == len((await api.read(f"/app/{app}/msg"))["data"])
