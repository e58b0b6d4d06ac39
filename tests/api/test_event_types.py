# SPDX-License-Identifier: MIT
"""Event types."""

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core.access import issue_app_token
from tidings.ids import AppId

SCHEMAS: Json = {"1": {"type": "object", "z": 1, "a": [1.50]}}


async def test_a_created_resource_is_found_unchanged(api: Api) -> None:
    body = {
        "name": "user.signup",
        "description": "d",
        "schemas": SCHEMAS,
        "featureFlags": ["beta"],
        "groupName": "user",
    }

    made = await api.made("/event-type", body)

    assert made == await api.read("/event-type/user.signup")
    assert body.items() <= made.items()
    assert ("beta", False, False) == (made["featureFlag"], made["archived"], made["deprecated"])


async def test_the_former_name_of_the_feature_flag_is_accepted(lite: Api) -> None:
    made = await lite.made("/event-type", {"name": "a", "description": "d", "featureFlag": "beta"})

    assert ("beta", ["beta"]) == (made["featureFlag"], made["featureFlags"])


async def test_a_list_has_schemas_only_on_request(api: Api) -> None:
    made = await api.made("/event-type", {"name": "a", "description": "d", "schemas": SCHEMAS})

    assert [None] == [event_type["schemas"] for event_type in (await api.read("/event-type"))["data"]]
    assert [made] == (await api.read("/event-type", with_content="true"))["data"]


async def test_an_existing_name_is_a_conflict(api: Api) -> None:
    await api.made("/event-type", {"name": "a", "description": "d"})

    again = await api.post("/event-type", json={"name": "a", "description": "e"})

    expected = {
        "code": "event_type_exists",
        "detail": "An event type with this name already exists. Use PUT to replace it.",
    }
    assert (409, expected) == (again.status_code, again.json())


async def test_creating_an_archived_event_type_overwrites_it(api: Api) -> None:
    first = await api.made("/event-type", {"name": "a", "description": "d", "archived": True, "schemas": SCHEMAS})

    second = await api.made("/event-type", {"name": "a", "description": "e"})

    assert (False, "e", None) == (second["archived"], second["description"], second["schemas"])
    assert first["createdAt"] == second["createdAt"] < second["updatedAt"]


async def test_archived_event_types_are_listed_only_on_request(api: Api) -> None:
    made = await api.made("/event-type", {"name": "a", "description": "d", "archived": True})

    assert [] == (await api.read("/event-type"))["data"]
    assert [made] == (await api.read("/event-type", include_archived="true"))["data"]
    assert made == await api.read("/event-type/a")


async def test_an_application_token_sees_the_event_types_of_its_feature_flags(api: Api) -> None:
    app = AppId(await api.app())
    for name, flags in (("free", None), ("beta", ["beta", "gamma"]), ("other", ["delta"])):
        await api.made("/event-type", {"name": name, "description": "d", "featureFlags": flags})
    flagged = issue_app_token(SECRET, ORG, app, api.clock.now(), ("gamma",))
    plain = issue_app_token(SECRET, ORG, app, api.clock.now())

    async def seen(token: str) -> list[str]:
        return [event_type["name"] for event_type in (await api.get("/event-type", token=token)).json()["data"]]

    assert ["beta", "free", "other"] == await seen(api.token)
    assert ["beta", "free"] == await seen(flagged)
    assert ["free"] == await seen(plain)
    assert (await api.get("/event-type/beta", token=flagged)).status_code == 200
    assert (await api.get("/event-type/beta", token=plain)).status_code == 404


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": ""}, ["body", "name", "__all__"]),
        ({"name": "a b"}, ["body", "name", "__all__"]),
        ({"description": "\0"}, ["body", "description"]),
        ({"description": None}, ["body", "description"]),
        ({"featureFlags": []}, ["body", "featureFlags"]),
        ({"featureFlags": ["a b"]}, ["body", "featureFlags", "__all__"]),
        ({"groupName": "a b"}, ["body", "groupName", "__all__"]),
        ({"schemas": {"1": {"readOnly": 15}}}, ["body", "schemas", "1"]),
        ({"schemas": {"1": 7}}, ["body", "schemas", "1"]),
        ({"schemas": []}, ["body", "schemas"]),
    ],
)
async def test_each_broken_rule_is_reported_with_its_location(lite: Api, body: Json, place: list[str]) -> None:
    response = await lite.post("/event-type", json={"name": "a", "description": "d", **body})

    assert [place] == [loc for loc, _, _ in faults(response)]


async def test_the_iterator_of_event_types_is_a_name(lite: Api) -> None:
    response = await lite.get("/event-type", params={"iterator": "BAD-$$$ITERATOR"})

    wrong = r"String must match the following pattern: [a-zA-Z0-9\-_.]."
    assert [(["query", "iterator", "__all__"], wrong, "value_error")] == faults(response)
