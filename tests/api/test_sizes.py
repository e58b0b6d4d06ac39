# SPDX-License-Identifier: MIT
"""Everything that a caller can store is bounded, member by member."""

from collections.abc import Mapping

import pytest

from api.kit import Api, Json, faults

WORDS = "x" * 4_097
NAMES = [f"type.{n}" for n in range(501)]
FLAGS = [f"flag-{n}" for n in range(26)]
SINCE = "2023-11-14T00:00:00Z"
URL = "http://example.com"
TYPE: Json = {"name": "a", "description": "a"}
TOO_MUCH: list[tuple[str, str, Json, str]] = [
    ("POST", "/app", {"name": WORDS}, "name"),
    ("PUT", "/app/{app}", {"name": WORDS}, "name"),
    ("PATCH", "/app/{app}", {"name": WORDS}, "name"),
    ("POST", "/app", {"name": "a", "metadata": {"k": WORDS}}, "metadata"),
    ("PATCH", "/app/{app}", {"metadata": {"k": WORDS}}, "metadata"),
    ("POST", "/app/{app}/endpoint", {"url": URL, "description": WORDS}, "description"),
    ("PATCH", "/app/{app}/endpoint/{ep}", {"description": WORDS}, "description"),
    ("POST", "/app/{app}/endpoint", {"url": URL, "eventTypes": NAMES}, "eventTypes"),
    ("POST", "/app/{app}/endpoint", {"url": URL, "filterTypes": NAMES}, "eventTypes"),
    ("PUT", "/app/{app}/endpoint/{ep}", {"url": URL, "eventTypes": NAMES}, "eventTypes"),
    ("PATCH", "/app/{app}/endpoint/{ep}", {"eventTypes": NAMES}, "eventTypes"),
    ("POST", "/app/{app}/endpoint", {"url": URL, "metadata": {"k": WORDS}}, "metadata"),
    ("POST", "/event-type", {**TYPE, "description": WORDS}, "description"),
    ("PUT", "/event-type/a", {"description": WORDS}, "description"),
    ("PATCH", "/event-type/a", {"description": WORDS}, "description"),
    ("POST", "/event-type", {**TYPE, "featureFlags": FLAGS}, "featureFlags"),
    ("PATCH", "/event-type/a", {"featureFlags": FLAGS}, "featureFlags"),
    ("POST", "/auth/app-portal-access/{app}", {"featureFlags": FLAGS}, "featureFlags"),
    ("POST", "/auth/app/{app}/expire-all", {"sessionIds": [f"s{n}" for n in range(1_001)]}, "sessionIds"),
    ("POST", "/app/{app}/msg/bulk-expunge", {"ids": [f"m{n}" for n in range(1_001)]}, "ids"),
    ("POST", "/stats/usage/app", {"since": SINCE, "until": SINCE, "appIds": [f"a{n}" for n in range(1_001)]}, "appIds"),
    ("POST", "/app/{app}/endpoint/{ep}/bulk-replay", {"since": SINCE, "eventTypes": NAMES}, "eventTypes"),
]


@pytest.mark.parametrize(("method", "path", "body", "member"), TOO_MUCH)
async def test_a_value_over_its_limit_is_refused_and_named(
    lite: Api, method: str, path: str, body: Json, member: str
) -> None:
    await lite.made("/event-type", TYPE)
    app = await lite.app()
    places: Mapping[str, str] = {"app": app, "ep": await lite.endpoint(app)}

    response = await lite.call(method, path.format(**places), json=body)

    assert {member} == {loc[1] for loc, _, _ in faults(response)}


async def test_values_at_the_limit_are_accepted(lite: Api) -> None:
    for name in NAMES[:500]:
        await lite.made("/event-type", {"name": name, "description": "x"})
    app = await lite.app(name=WORDS[:-1], metadata={"k": "v" * 4_000})

    endpoint = await lite.made(
        f"/app/{app}/endpoint", {"url": URL, "description": WORDS[1:], "eventTypes": NAMES[:500]}
    )

    assert 500 == len(endpoint["eventTypes"])
    await lite.made("/event-type", {**TYPE, "featureFlags": FLAGS[:25]})
