# SPDX-License-Identifier: MIT
"""The OpenAPI document is documentation: descriptions everywhere, and examples that are valid."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from tidings.api.openapi import document
from tidings.api.table import TABLE

Json = dict[str, Any]

DIALECT = re.compile(
    r"\b(tell|tells|told|whoever|somebody|nobody|anybody|anew|shall|all the same|so many|the peer|stands?|"
    r"a timestamp|patient|in turns|gone)\b(?!`)",
    re.IGNORECASE,
)
SUMMARY_MAX = 72
NUMBERS_WITHOUT_END = 40


@pytest.fixture(scope="module")
def ours() -> Json:
    found: Json = json.loads(json.dumps(document(TABLE)))
    return found


@pytest.fixture(scope="module")
def operations(ours: Json) -> dict[str, Json]:
    groups = (*ours["paths"].values(), *ours["webhooks"].values())
    return {operation["operationId"]: operation for group in groups for operation in group.values()}


def _parameters(operations: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    for name, operation in operations.items():
        for parameter in operation.get("parameters", ()):
            yield f"{name}: {parameter['name']}", parameter


def _validator(ours: Json, schema: Json) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": ours["components"]}, validate_formats=True, ignore_unknown_formats=True
    )


def _undescribed(found: Iterator[tuple[str, Json]]) -> list[str]:
    """Return the names of those without a sentence of description."""
    return [name for name, each in found if not each.get("description", "").rstrip("`").endswith((".", ":"))]


def test_every_parameter_is_described_and_has_an_example(operations: dict[str, Json]) -> None:
    assert [] == _undescribed(_parameters(operations))
    assert [] == [name for name, parameter in _parameters(operations) if "example" not in parameter]


def test_examples_of_parameters_are_valid(ours: Json, operations: dict[str, Json]) -> None:
    for name, parameter in _parameters(operations):
        assert _validator(ours, parameter["schema"]).is_valid(parameter["example"]), name


def test_every_response_header_and_tag_is_described(ours: Json, operations: dict[str, Json]) -> None:
    responses = [
        (f"{name}: {status}", each) for name, one in operations.items() for status, each in one["responses"].items()
    ]
    headers = [(name, each) for name, response in responses for each in response.get("headers", {}).values()]

    assert [] == _undescribed(iter([*responses, *headers, *((tag["name"], tag) for tag in ours["tags"])]))
