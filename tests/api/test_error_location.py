# SPDX-License-Identifier: MIT
"""A refusal names the place in the body, the key of a map included."""

import pytest

from api.kit import Api, Json, faults
from tidings.api.error_location import located

STRING = "Expected `str`, got `int`"


@pytest.mark.parametrize(
    ("sentence", "body", "place"),
    [
        (STRING, b"{}", ()),
        (f"{STRING} - at `$.name`", b'{"name":1}', ("name",)),
        (f"{STRING} - at `$.channels[1]`", b'{"channels":["a",1]}', ("channels", "[1]")),
        (f"{STRING} - at `$.headers[...]`", b'{"headers":{"a":"1","b":"2","c":3}}', ("headers", "c")),
        (
            f"{STRING} - at `$.list[1].headers[...]`",
            b'{"list":[{},{"headers":{"c":3}}]}',
            ("list", "[1]", "headers", "c"),
        ),
        (f"{STRING} - at `$.list[1].headers[...]`", b'{"list":[0],"list":[]}', ("list", "[1]", "headers")),
        (f"{STRING} - at `$.headers[...]`", b'{"headers":{"c":3},', ("headers",)),
        (f"{STRING} - at `$.headers[...]`", b'{"headers":{"c":true}}', ("headers",)),
        ("Something else - at `$.headers[...]`", b'{"headers":{"c":3}}', ("headers",)),
        ("Object missing required field `url` - at `$.app`", b'{"app":{}}', ("app", "url")),
    ],
)
def test_the_location_of_an_error_is_read_from_its_message(sentence: str, body: bytes, place: tuple[str, ...]) -> None:
    assert (place, sentence.partition(" - at")[0]) == located(sentence, body)


@pytest.mark.parametrize("wrong", [1, 1.5, True, [], {}, None])
async def test_the_location_of_an_error_has_the_key_of_a_map(lite: Api, wrong: object) -> None:
    app = await lite.app()
    endpoint = f"/app/{app}/endpoint/{await lite.endpoint(app)}"
    values = {"x-first": "1", "x-wrong": wrong}
    sending: list[tuple[str, str, str, Json]] = [
        ("POST", "/app", "metadata", {"name": "a"}),
        ("PUT", f"/app/{app}", "metadata", {"name": "a"}),
        ("PATCH", f"/app/{app}", "metadata", {}),
        ("POST", f"/app/{app}/endpoint", "metadata", {"url": "http://a"}),
        ("POST", f"/app/{app}/endpoint", "headers", {"url": "http://a"}),
        ("PUT", endpoint, "metadata", {"url": "http://a"}),
        ("PATCH", endpoint, "metadata", {}),
        ("PUT", f"{endpoint}/headers", "headers", {}),
        ("PATCH", f"{endpoint}/headers", "headers", {}),
    ]
    for method, path, name, body in sending:
        response = await lite.call(method, path, json={**body, name: values})
        if wrong is None and (method, name) == ("PATCH", "headers"):
            assert 204 == response.status_code
            continue
        assert [["body", name, "x-wrong"]] == [loc for loc, *_ in faults(response)], (method, path, name)
