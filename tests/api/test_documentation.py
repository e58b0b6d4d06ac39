# SPDX-License-Identifier: MIT
"""The OpenAPI document is documentation: descriptions everywhere, and examples that are valid."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import voice
from tidings.api.openapi import document
from tidings.table import TABLE

Json = dict[str, Any]

SUMMARY_MAX = 72
VERBS = {
    *(
        "Archive",
        "Broadcast",
        "Cancel",
        "Check",
        "Count",
        "Create",
        "Delete",
        "Download",
        "Enable",
        "Explain",
        "Export",
    ),
    *(
        "Follow",
        "Get",
        "Import",
        "List",
        "Pause",
        "Preview",
        "Receive",
        "Rename",
        "Replace",
        "Resend",
        "Resume",
        "Retry",
        "Revoke",
        "Rotate",
        "Run",
        "Send",
    ),
    *("Set", "Show", "Update", "Wait"),
}


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
    """Return the names of the properties or parameters without a description."""
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


def _properties(ours: Json) -> Iterator[tuple[str, Json]]:
    for name, schema in ours["components"]["schemas"].items():
        for member, found in schema.get("properties", {}).items():
            yield f"{name}.{member}", found


def test_every_schema_and_every_property_is_described(ours: Json) -> None:
    assert [] == _undescribed(iter(ours["components"]["schemas"].items()))
    assert [] == _undescribed(_properties(ours))


MAIN = {
    *("id", "uid", "appId", "appUid", "endpointId", "endpointUid", "msgId", "attemptId", "taskId", "eventId"),
    *("eventType", "eventTypes", "filterTypes", "channel", "channels", "tag", "tags", "payload", "url", "secret"),
    *("key", "headers", "metadata", "iterator", "prevIterator", "since", "until", "timestamp", "createdAt"),
    *("updatedAt", "startedAt", "finishedAt", "deliverAt", "nextAttempt", "status", "statusText", "task", "kind"),
    *("state", "type", "name", "throttleRate", "rateLimit", "ratePerSecond", "expiry", "responseStatusCode", "code"),
}


def _has_example(ours: Json, schema: Json) -> bool:
    if "$ref" in schema:
        return "example" in ours["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return "example" in schema or any(_has_example(ours, each) for each in schema.get("anyOf", ()))


def test_the_main_properties_have_an_example(ours: Json) -> None:
    found = [(name, each) for name, each in _properties(ours) if name.rpartition(".")[2] in MAIN]

    assert len(found) > len(MAIN)
    assert [] == [name for name, each in found if not _has_example(ours, each)]


def test_examples_of_properties_are_valid(ours: Json) -> None:
    found = [*_properties(ours), *ours["components"]["schemas"].items()]
    examples = [(name, each) for name, each in found if "example" in each]

    assert [] == [name for name, each in examples if not _validator(ours, each).is_valid(each["example"])]


def test_an_example_that_breaks_its_schema_is_found(ours: Json) -> None:
    assert not _validator(ours, {"type": "string", "format": "date-time"}).is_valid("yesterday")
    assert not _validator(ours, {"$ref": "#/components/schemas/MessageStatus"}).is_valid("success")


def test_every_operation_has_an_imperative_summary_and_a_description(operations: dict[str, Json]) -> None:
    for name, operation in operations.items():
        summary = operation["summary"]
        assert len(summary) <= SUMMARY_MAX, name
        assert summary[-1] != ".", name
        assert summary.partition(" ")[0] in VERBS, f"{name}: the summary begins with a verb; add a new one to VERBS"
    assert [] == _undescribed(iter(operations.items()))


def test_the_document_has_no_signal_words(ours: Json) -> None:
    fragment = voice.Fragment(Path("openapi.json"), 1, "string", "\n".join(_texts(ours)))

    assert [] == [str(hit) for hit in voice.hits_in(fragment) if voice.exception(hit) is None]


def _texts(found: object) -> Iterator[str]:
    """Yield the descriptions and summaries."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name in {"description", "summary"} and isinstance(value, str):
                yield value
            yield from _texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from _texts(value)
