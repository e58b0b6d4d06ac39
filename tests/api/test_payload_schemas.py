# SPDX-License-Identifier: MIT
"""Which values are accepted as the JSON Schema of an event type: those of Draft 7, with patterns as in JavaScript."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from api.kit import Api, faults

VALID: tuple[Any, ...] = (
    True,
    False,
    {},
    {"type": ["object", "null"]},
    {"properties": {"a": True, "$ref": {"type": "string"}}, "required": [], "additionalProperties": False},
    {"items": [{}, True], "contains": {}, "uniqueItems": True, "additionalItems": {}},
    {"enum": [1, 1]},
    {"enum": []},
    {"const": None},
    {"minLength": 1.0, "maxItems": 10**15, "multipleOf": 0.01},
    {"dependencies": {"a": ["b"], "c": {}, "d": True}},
    {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}},
    {"format": "nothing known", "nullable": True, "x-name": {"type": "bogus"}, "$defs": 7},
    {"$id": "https://example.com/invoice.json", "$comment": "c", "readOnly": True, "examples": [1], "default": {}},
    {"$schema": "https://json-schema.org/draft/2020-12/schema"},  # each schema is read as Draft 7
    {"$ref": "#/definitions/absent", "type": "string"},
    {"pattern": r"^\p{L}+$"},
    {"pattern": r"(?<year>\d{4})-\u{1F600}[^]\cA"},
    {"patternProperties": {r"^[\w-]+(?=x)": {}}},
)
INVALID: tuple[Any, ...] = (
    None,
    7,
    "object",
    [],
    {"type": "any"},
    {"type": []},
    {"type": ["object", "object"]},
    {"properties": []},
    {"properties": {"a": 7}},
    {"properties": {"a": {"items": {"not": {"type": "x"}}}}},
    {"properties": {"$id": {"type": "x"}}},
    {"required": ["a", "a"]},
    {"required": "a"},
    {"enum": "a"},
    {"minLength": -1},
    {"minLength": 1.5},
    {"minLength": True},
    {"multipleOf": 0},
    {"exclusiveMinimum": True},
    {"dependencies": {"a": ["b", "b"]}},
    {"allOf": []},
    {"anyOf": [7]},
    {"readOnly": 15},
    {"writeOnly": 1},
    {"$comment": 7},
    {"$id": "a b"},
    {"$id": "a%zz"},
    {"$ref": 7},
    {"$ref": "http://["},
    {"pattern": "("},
    {"pattern": "a**"},
    {"pattern": "(?i)a"},  # Python's, and not JavaScript's
    {"pattern": "(?P<year>a)"},
    {"patternProperties": {"[": {}}},
)


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


HOSTILE = (
    _nested(120),  # a body has at most 128 levels
    {"pattern": "(a+)+$"},
    {"pattern": "((a{0,1000}){0,1000}){0,1000}"},
    {"pattern": "(" * 500 + "a" + ")" * 500},
    {"pattern": "a" * 100_000},
    {"properties": {f"p{n}": {"enum": [n]} for n in range(5_000)}},
    {"$ref": "#", "definitions": {"a": {"$ref": "#/definitions/a"}}},
)


async def _answer(api: Api, schema: Any) -> Any:
    body = {"name": "a", "description": "d", "schemas": {"1": schema}}
    return await api.post("/event-type", json=body)


@pytest.mark.parametrize("schema", VALID, ids=str)
async def test_a_schema_is_stored_as_it_was_sent(lite: Api, schema: Any) -> None:
    response = await _answer(lite, schema)

    assert 201 == response.status_code, response.text
    assert schema == response.json()["schemas"]["1"]


@pytest.mark.parametrize("schema", INVALID, ids=str)
async def test_a_value_that_is_no_schema_is_refused_with_its_location(lite: Api, schema: Any) -> None:
    response = await _answer(lite, schema)

    assert 422 == response.status_code
    assert [(["body", "schemas", "1"], "not a valid JSON Schema (Draft 7)", "value_error.jsondecode")] == faults(
        response
    )


@pytest.mark.parametrize("schema", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_schema_built_to_exhaust_the_check_is_decided(lite: Api, schema: Any) -> None:
    assert 201 == (await _answer(lite, schema)).status_code


async def test_a_reference_is_not_fetched(lite: Api) -> None:
    fetched: list[object] = []

    def answer(_: object, writer: asyncio.StreamWriter) -> None:
        fetched.append(writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = "http://{}:{}/schema".format(*server.sockets[0].getsockname())

    async with server:
        response = await _answer(lite, {"$id": url, "$ref": url, "properties": {"a": {"$ref": f"{url}#/a"}}})

    assert 201 == response.status_code
    assert [] == fetched


def test_the_check_is_loaded_by_the_first_schema() -> None:
    program = "import sys, tidings.server.serving; print('jsonschema_rs' in sys.modules)"

    assert "False\n" == subprocess.check_output([sys.executable, "-c", program], text=True)
