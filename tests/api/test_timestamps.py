# SPDX-License-Identifier: MIT
"""Every timestamp in a request follows the rules of RFC 3339; the fields are found in our own document."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio

from api.kit import ORG, SECRET, Api, Json
from tidings.api.openapi import document
from tidings.clock import MINUTE, parse_rfc3339
from tidings.core.access import issue_org_token
from tidings.table import TABLE

LEAP = "2016-12-31T23:59:60Z"
SPELLINGS = [LEAP, "2016-12-31t23:59:60.000z", "2017-01-01T00:00:00+00:00", "2017-01-01 01:00:00+01:00"]
WRONG = [
    "2016-W52-6T10:00:00Z",
    "20161231T100000Z",
    "2016-12-31T10Z",
    "2016-12-31T10:00Z",
    "2016-12-31T10:00:00+0000",
    "2016-12-31T10:00:00,5Z",
    "2016-12-31T10:00:00",
    "2016-12-31T10:00:61Z",
    "2016-12-31",
    "",
]
SOUND = "2016-12-31T23:59:00Z"
BODY: Json = {"since": SOUND, "until": LEAP, "eventType": "a.b", "payload": {}}


def _inputs() -> Iterator[tuple[str, str, str, str]]:
    """Yield method, path, place and name of each timestamp that a request can have by our document."""
    ours: Json = document(TABLE)
    for path, methods in ours["paths"].items():
        for method, operation in methods.items():
            for each in operation["parameters"]:
                if each["schema"].get("format") == "date-time":
                    yield method, path, "query", each["name"]
            content = operation.get("requestBody", {}).get("content", {})
            reference = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
            members = ours["components"]["schemas"].get(reference, {}).get("properties", {})
            yield from ((method, path, "body", name) for name in members if members[name].get("format") == "date-time")


INPUTS = list(_inputs())


@pytest_asyncio.fixture
async def before_leap(lite: Api) -> Api:
    """Give the API two minutes before a leap second."""
    lite.clock.advance(parse_rfc3339(LEAP) - 2 * MINUTE - lite.clock.now())
    lite.token = issue_org_token(SECRET, ORG, lite.clock.now())
    return lite


async def _answered(api: Api, given: tuple[str, str, str, str], text: str) -> tuple[int, str]:
    method, path, place, name = given
    app = await api.app()
    known = {"app_id": app, "endpoint_id": await api.endpoint(app), "msg_id": await api.message(app)}
    for parameter, value in known.items():
        path = path.replace(f"{{{parameter}}}", value)
    more: dict[str, Any] = {"params": {name: text}} if place == "query" else {"json": {**BODY, name: text}}
    response = await api.call(method.upper(), path.removeprefix("/api/v1"), **more)
    return response.status_code, response.text


def test_the_document_describes_timestamps() -> None:
    assert {"before", "after", "since", "until", "deliverAt"} == {name for *_, name in INPUTS}
    assert 20 <= len(INPUTS)


@pytest.mark.parametrize("given", INPUTS, ids="-".join)
async def test_every_timestamp_of_rfc_3339_is_accepted(before_leap: Api, given: tuple[str, str, str, str]) -> None:
    for text in SPELLINGS:
        status, words = await _answered(before_leap, given, text)
        assert 200 <= status < 300, (text, words)


@pytest.mark.parametrize("given", INPUTS, ids="-".join)
async def test_timestamps_outside_rfc_3339_are_refused(before_leap: Api, given: tuple[str, str, str, str]) -> None:
    for text in WRONG:
        status, words = await _answered(before_leap, given, text)
        assert (400 if given[2] == "query" else 422) == status, text
        assert given[3] in words
