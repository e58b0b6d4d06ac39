# SPDX-License-Identifier: MIT
"""Endpoints."""

from typing import Any

import pytest

from api.kit import Api, Json, faults
from tidings.clock import parse_rfc3339
from tidings.ids import timestamp_of

SECRET = "whsec_" + "e" * 32


async def _version(api: Api, app: str) -> int:
    async with api.db.read() as read:
        return int(
            (await read.one("SELECT routing_version FROM application WHERE id = :id", id=app))["routing_version"]
        )


async def test_omitted_members_get_their_defaults(api: Api) -> None:
    app = await api.app()

    made = await api.made(f"/app/{app}/endpoint", {"url": "http://Example.com"})

    unset = {"uid", "rateLimit", "throttleRate", "eventTypes", "filterTypes", "channels"}
    assert {"http://example.com/"} == {made["url"]}
    assert {"description": "", "version": 1, "disabled": False, "metadata": {}}.items() <= made.items()
    assert dict.fromkeys(unset) == {name: made[name] for name in unset}
    assert parse_rfc3339(made["createdAt"]) == parse_rfc3339(made["updatedAt"]) == timestamp_of(made["id"])


async def test_a_created_resource_is_found_unchanged(api: Api) -> None:
    app = await api.app(uid="acme")
    for name in ("user.signup", "user.login"):
        await api.made("/event-type", {"name": name, "description": "d"})

    made = await api.made(
        "/app/acme/endpoint",
        {
            "url": "https://user:pass@example.com/In?q=1",
            "description": "Grüße",
            "uid": "main",
            "version": 2,
            "disabled": True,
            "filterTypes": ["user.signup", "user.login", "user.signup"],
            "channels": ["a:b+c"],
            "rateLimit": 9,
            "metadata": {"k": "v"},
            "headers": {"X-Mine": "1"},
        },
    )

    assert made == await api.read(f"/app/{app}/endpoint/{made['id']}") == await api.read("/app/acme/endpoint/main")
    assert ["user.signup", "user.login"] == made["eventTypes"] == made["filterTypes"]
    assert (9, 9, 2, True) == (made["rateLimit"], made["throttleRate"], made["version"], made["disabled"])
    assert "headers" not in made


async def test_null_is_accepted_for_every_optional_member(lite: Api) -> None:
    nulls = dict.fromkeys(["uid", "eventTypes", "channels", "secret", "metadata", "throttleRate", "headers"])

    assert await lite.endpoint(await lite.app(), **nulls)


async def test_an_endpoint_is_found_in_its_own_application_only(api: Api) -> None:
    mine, other = await api.app(), await api.app()
    endpoint = await api.endpoint(mine, uid="same")

    assert (await api.get(f"/app/{other}/endpoint/{endpoint}")).status_code == 404
    assert (await api.get(f"/app/{other}/endpoint/same")).status_code == 404
    assert await api.endpoint(other, uid="same")


async def test_a_uid_is_used_once_in_an_application(api: Api) -> None:
    app = await api.app()
    await api.endpoint(app, uid="same")

    second = await api.post(f"/app/{app}/endpoint", json={"url": "http://example.com", "uid": "same"})

    assert (
        409,
        {
            "code": "conflict",
            "detail": "This uid or event id is already in use. Choose another one, or update the existing object.",
        },
    ) == (second.status_code, second.json())


async def test_a_given_secret_is_returned_unchanged(api: Api) -> None:
    app = await api.app()

    given = await api.endpoint(app, secret=SECRET)
    made = await api.endpoint(app)

    assert {"key": SECRET} == await api.read(f"/app/{app}/endpoint/{given}/secret")
    fresh = (await api.read(f"/app/{app}/endpoint/{made}/secret"))["key"]
    assert fresh.startswith("whsec_")
    assert len("whsec_") + 32 == len(fresh)


async def test_an_endpoint_subscribes_only_to_existing_event_types(api: Api) -> None:
    app = await api.app()
    await api.made("/event-type", {"name": "known", "description": "d"})
    await api.made("/event-type", {"name": "archived", "description": "d", "archived": True})

    body = {"url": "http://example.com", "eventTypes": ["known", "archived", "unknown"]}
    response = await api.post(f"/app/{app}/endpoint", json=body)

    wrong = "The following event types don't exist: archived, unknown"
    assert [(["body", "eventTypes"], wrong, "value_error")] == faults(response)


async def test_a_new_endpoint_invalidates_the_compiled_routing(api: Api) -> None:
    app = await api.app()
    before = await _version(api, app)

    await api.endpoint(app)

    assert before + 1 == await _version(api, app)


async def test_a_refused_endpoint_changes_nothing(api: Api) -> None:
    app = await api.app()
    await api.endpoint(app, uid="same")
    before = await _version(api, app)

    await api.post(f"/app/{app}/endpoint", json={"url": "http://example.com", "uid": "same"})

    assert before == await _version(api, app)


RULES: list[tuple[Json, tuple[list[str], str, str]]] = [
    ({"url": "ftp://example.com"}, (["body", "url"], "Endpoint URL schemes must be http or https", "value_error")),
    (
        {"eventTypes": []},
        (["body", "eventTypes"], "eventTypes can't be empty, it must have at least one item.", "value_error"),
    ),
    (
        {"channels": []},
        (
            ["body", "channels"],
            "Channels must have at least 1 and at most 10 items, or be set to null.",
            "value_error",
        ),
    ),
    (
        {"channels": [f"c{n}" for n in range(11)]},
        (
            ["body", "channels"],
            "Channels must have at least 1 and at most 10 items, or be set to null.",
            "value_error",
        ),
    ),
    ({"channels": [""]}, (["body", "channels", "__all__"], "String must be at least one character", "value_error")),
    ({"channels": ["x" * 129]}, (["body", "channels", "__all__"], "String too long", "value_error")),
    ({"rateLimit": 0}, (["body", "rateLimit"], "Endpoint rate limits must be at least one if set", "value_error")),
    (
        {"throttleRate": 0},
        (["body", "throttleRate"], "Endpoint throttle rate must be at least one if set", "value_error"),
    ),
    ({"version": 0}, (["body", "version"], "Endpoint versions must be at least one if set", "value_error")),
    ({"description": "\x08"}, (["body", "description"], "Control characters 0x00-0x08 not allowed.", "value_error")),
    ({"secret": "whsec_" + "e" * 28}, (["body", "secret"], "secret length invalid", "value_error")),
    ({"headers": {"some:thing": "x"}}, (["body", "headers", "some:thing"], "Invalid Header Name.", "value_error")),
    (
        {"headers": {"svix-foo": "x"}},
        (["body", "headers", "svix-foo"], "Header starts with a forbidden prefix.", "value_error"),
    ),
    (
        {"headers": {"Content-Length": "1"}},
        (["body", "headers", "Content-Length"], "Header uses a forbidden key.", "value_error"),
    ),
    ({"headers": {"x": "a\r\nb: c"}}, (["body", "headers", "x"], "Invalid Header Value.", "value_error")),
    (
        {"uid": "ep_x"},
        (
            ["body", "uid", "__all__"],
            "Uids are not allowed to have the same prefix as the ID. Prefix with _?",
            "value_error",
        ),
    ),
]


@pytest.mark.parametrize(("body", "expected"), RULES)
async def test_each_broken_rule_is_reported_with_its_message(lite: Api, body: Json, expected: tuple[Any, ...]) -> None:
    app = await lite.app()

    response = await lite.post(f"/app/{app}/endpoint", json={"url": "http://example.com", **body})

    assert [expected] == faults(response)


@pytest.mark.parametrize(
    "body",
    [
        {"url": "https://[127.0.0.1]"},
        {"url": "https://[::1%lo]"},
        {"url": "https://::1"},
        {"url": "invalid url"},
        {"url": "http://example.com/\0"},
        {"url": None},
        {"description": None},
        {"disabled": None},
        {"secret": "w"},
        {"secret": "whsec_%"},
        {"secret": "whpk_" + "e" * 32},
        {"secret": "hwsec_" + "e" * 32},
        {"version": 70_000},
    ],
)
async def test_an_unreadable_body_is_refused(lite: Api, body: Json) -> None:
    app = await lite.app()

    response = await lite.post(f"/app/{app}/endpoint", json={"url": "http://example.com", **body})

    [(loc, _, kind)] = faults(response)
    assert (["body", next(iter(body))], "value_error.jsondecode") == (loc, kind)


async def test_an_application_is_looked_up_before_the_body_is_read(lite: Api) -> None:
    assert (await lite.post("/app/app_nope/endpoint", content=b"nonsense")).status_code == 404
