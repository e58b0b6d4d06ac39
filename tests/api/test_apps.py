# SPDX-License-Identifier: MIT
"""Applications."""

import asyncio
from typing import Any

import pytest

from api.kit import SECRET, Api, Json, faults
from tidings.clock import parse_rfc3339
from tidings.core.access import issue_org_token
from tidings.ids import OrgId, timestamp_of


async def test_a_created_resource_is_found_unchanged(api: Api) -> None:
    made = await api.made("/app", {"name": "acme", "uid": "a-1", "throttleRate": 7, "metadata": {"k": "v\0"}})

    assert made == await api.read(f"/app/{made['id']}") == await api.read("/app/a-1") == await api.read("/app/a-1/")
    assert made["createdAt"] == made["updatedAt"]
    assert parse_rfc3339(made["createdAt"]) == timestamp_of(made["id"])
    assert {
        "name": "acme",
        "uid": "a-1",
        "throttleRate": 7,
        "rateLimit": 7,
        "metadata": {"k": "v\0"},
    }.items() <= made.items()


async def test_omitted_members_are_left_out_or_null(api: Api) -> None:
    made = await api.made("/app", {"name": "acme", "metadata": None, "unknown": [1]})

    assert {"name", "id", "createdAt", "updatedAt", "metadata", "throttleRate"} == made.keys()
    assert made["throttleRate"] is None
    assert {} == made["metadata"]


async def test_the_former_name_of_the_rate_counts_unless_both_are_given(lite: Api) -> None:
    older = await lite.made("/app", {"name": "a", "rateLimit": 3})
    both = await lite.made("/app", {"name": "b", "rateLimit": 3, "throttleRate": 4})

    assert (3, 3) == (older["throttleRate"], older["rateLimit"])
    assert (4, 4) == (both["throttleRate"], both["rateLimit"])


async def test_a_uid_is_unique_in_an_organization(api: Api) -> None:
    await api.made("/app", {"name": "one", "uid": "same"})

    second = await api.post("/app", json={"name": "two", "uid": "same"})

    assert second.status_code == 409
    assert {
        "code": "conflict",
        "detail": "An application with this uid already exists. Choose another uid, or set get_if_exists=true.",
    } == second.json()


async def test_get_if_exists_returns_the_existing_application_unchanged(api: Api) -> None:
    first = await api.post("/app?get_if_exists=true", json={"name": "one", "uid": "same"})
    second = await api.post("/app?get_if_exists=true", json={"name": "two", "uid": "same"})
    without = await api.post("/app?get_if_exists=true", json={"name": "two"})

    assert [201, 200, 201] == [first.status_code, second.status_code, without.status_code]
    assert first.json() == second.json()


async def test_of_many_concurrent_requests_one_creates_the_application(api: Api) -> None:
    calls = [api.post("/app?get_if_exists=true", json={"name": "x", "uid": "same"}) for _ in range(10)]

    responses = await asyncio.gather(*calls)

    assert [200] * 9 + [201] == sorted(response.status_code for response in responses)
    assert 1 == len({response.json()["id"] for response in responses})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": ""}, (["body", "name"], "Application names must be at least one character", "value_error")),
        ({"name": "a\0"}, (["body", "name"], "Control characters 0x00-0x08 not allowed.", "value_error")),
        ({"uid": ""}, (["body", "uid", "__all__"], "String must be at least one character", "value_error")),
        ({"uid": "x" * 257}, (["body", "uid", "__all__"], "String too long", "value_error")),
        (
            {"uid": "a b"},
            (
                ["body", "uid", "__all__"],
                r"String must match the following pattern: [a-zA-Z0-9\-_.].",
                "value_error",
            ),
        ),
        (
            {"uid": "app_x"},
            (
                ["body", "uid", "__all__"],
                "Uids are not allowed to have the same prefix as the ID. Prefix with _?",
                "value_error",
            ),
        ),
        ({"rateLimit": 0}, (["body", "rateLimit"], "Application rate limits must be at least 1 if set", "value_error")),
        (
            {"throttleRate": 0},
            (["body", "throttleRate"], "Application throttle rate must be at least 1 if set", "value_error"),
        ),
    ],
)
async def test_each_broken_rule_is_reported_with_its_message(lite: Api, body: Json, expected: tuple[Any, ...]) -> None:
    response = await lite.post("/app", json={"name": "acme", **body})

    assert [expected] == faults(response)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", ["body", "", ""]),
        (b"{", ["body", "", ""]),
        (b"[]", ["body", "", ""]),
        (b"{}", ["body", "name"]),
        (b'{"name":1}', ["body", "name"]),
        (b'{"name":null}', ["body", "name"]),
        (b'{"name":"a","metadata":{"x":1}}', ["body", "metadata", "x"]),
        (b'{"name":"a","metadata":{"x":"1","1":null,"y":[2],"z":2}}', ["body", "metadata", "1"]),
        (b'{"name":"a","metadata":{"x":"1","a.b[0] c":{}}}', ["body", "metadata", "a.b[0] c"]),
        (b'{"name":"a","metadata":{"x":true}}', ["body", "metadata", "x"]),
        (b'{"name":"a","metadata":{"x":1.5}}', ["body", "metadata", "x"]),
        (b'{"name":"a","metadata":{"":1}}', ["body", "metadata", ""]),
        (b'{"name":"a","metadata":{"x":1}, nonsense', ["body", "metadata"]),
        (b'{"name":"a","metadata":{"x":1,"x":"1"}}', ["body", "metadata"]),
        (b'{"name":"a","metadata":[1]}', ["body", "metadata"]),
        (b'{"name":"a","metadata":{"x":"' + b"y" * 4096 + b'"}}', ["body", "metadata"]),
        (b'{"name":"a","throttleRate":65536}', ["body", "throttleRate"]),
        (b'{"name":"a","throttleRate":-1}', ["body", "throttleRate"]),
        (b'{"name":"\xff"}', ["body", "", ""]),
        (b'{"name":"a","other":"\xff"}', ["body", "", ""]),
        (b'{"name":"\\ud800"}', ["body", "name"]),
        (b'{"name":"a","other":' + b"[" * 129 + b"]" * 129 + b"}", ["body", "", ""]),
        (b"[" * 1_000_000, ["body", "", ""]),
        (b'"' + b'\\"' * 100_000 + b"[" * 200, ["body", "", ""]),
    ],
)
async def test_an_unreadable_body_is_reported_with_its_location(lite: Api, body: bytes, place: list[str]) -> None:
    response = await lite.post("/app", content=body)

    [(loc, _, kind)] = faults(response)
    assert (place, "value_error.jsondecode") == (loc, kind)


async def test_many_brackets_that_do_not_nest_are_accepted(lite: Api) -> None:
    body = b'{"name":"a","other":[' + b"[],{}," * 1000 + b'"' + b"[" * 1000 + b'"]}'

    assert (await lite.post("/app", content=body)).status_code == 201


async def test_a_body_needs_no_content_type(lite: Api) -> None:
    response = await lite.post("/app", content=b'{"name":"a"}', headers={"content-type": "text/nonsense"})

    assert response.status_code == 201


async def test_an_absent_application_is_not_found(api: Api) -> None:
    for ref in ("app_nope", "nope", "a%00b", "%ff", "app_" + "0" * 27, "é", "%F0%9F%98%80"):
        response = await api.get(f"/app/{ref}")

        assert response.status_code == 404, ref
        assert {"code": "not_found", "detail": "Entity not found"} == response.json(), ref


async def test_another_organization_can_use_the_same_uid(api: Api) -> None:
    other = issue_org_token(SECRET, OrgId("org_other"), api.clock.now())
    mine = await api.made("/app", {"name": "mine", "uid": "same"})

    theirs = await api.made("/app", {"name": "theirs", "uid": "same"}, token=other)

    assert mine["id"] != theirs["id"]
    assert (await api.get(f"/app/{mine['id']}", token=other)).status_code == 404
    assert [theirs] == (await api.get("/app", token=other)).json()["data"]
