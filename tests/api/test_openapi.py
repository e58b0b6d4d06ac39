# SPDX-License-Identifier: MIT
"""Our document contains everything that the contract has, for every operation that we serve."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidings import ids
from tidings.api.openapi import document
from tidings.api.query import Query, parameters_of
from tidings.model.signature import parse_secret
from tidings.table import TABLE

Json = dict[str, Any]

OURS_ALONE = {"v1.health.live", "v1.health.ping", "v1.health.ready", "v1.message.list-deliveries"}
# Our deviations from the contract, each with its reason.
STATUSES = {"v1.health.get": {"200"}}  # svix-server also returns the status of its components
TAGS = {"Background Task": "Background Tasks"}  # client generators derive the class name from it
UNSTORED: dict[str, set[str]] = {}


def _operations(found: Json) -> dict[str, Json]:
    return {
        operation["operationId"]: {**operation, "at": (method, path)}
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
    }


@pytest.fixture(scope="module")
def ours() -> Json:
    found: Json = json.loads(json.dumps(document(TABLE)))
    return found


@pytest.fixture(scope="module")
def theirs(shared_dir: Path) -> Json:
    file = shared_dir / "contract" / "svix-openapi.json"
    if not file.is_file():
        pytest.skip(f"{file} is absent")
    found: Json = json.loads(file.read_text())
    return found


@pytest.fixture(scope="module")
def pairs(ours: Json, theirs: Json) -> list[tuple[Json, Json]]:
    contract = _operations(theirs)
    return [
        (mine, contract[name])
        for name, mine in _operations(ours).items()
        if name not in OURS_ALONE and name in contract
    ]


def _names(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"].rpartition("/")[2]} if "$ref" in schema else set()
        return own.union(*(_names(value) for value in schema.values()))
    return set().union(*(_names(item) for item in schema)) if isinstance(schema, list) else set()


def test_each_operation_has_the_path_of_the_contract(pairs: list[tuple[Json, Json]]) -> None:
    assert 17 <= len(pairs)
    for mine, contract in pairs:
        assert contract["at"] == mine["at"]
        assert [TAGS.get(tag, tag) for tag in contract["tags"]] == mine["tags"]


def test_each_operation_has_the_parameters_of_the_contract(pairs: list[tuple[Json, Json]]) -> None:
    for mine, contract in pairs:
        given = {(each["name"], each["in"]) for each in mine["parameters"]}
        expected = {(each["name"], each["in"]) for each in contract.get("parameters", ())}
        assert expected <= given, mine["operationId"]


def test_each_operation_has_the_responses_of_the_contract(pairs: list[tuple[Json, Json]]) -> None:
    for mine, contract in pairs:
        expected = STATUSES.get(mine["operationId"], {status for status in contract["responses"] if status < "300"})
        assert expected == {status for status in mine["responses"] if status < "300" and status.isdigit()}
        for status, response in contract["responses"].items():
            if mine.get("security") and status in mine["responses"]:
                assert _names(response) == _names(mine["responses"][status]), (mine["operationId"], status)


def test_each_operation_has_the_body_of_the_contract(pairs: list[tuple[Json, Json]]) -> None:
    for mine, contract in pairs:
        assert _names(contract.get("requestBody", {})) == _names(mine.get("requestBody", {}))
        assert contract.get("security", []) == mine["security"]


def test_each_schema_has_the_members_of_the_contract(ours: Json, theirs: Json) -> None:
    for name, mine in ours["components"]["schemas"].items():
        contract = theirs["components"]["schemas"].get(name)
        if contract is None:
            continue
        missing = set(contract.get("properties", {})) - set(mine.get("properties", {}))
        assert UNSTORED.get(name, set()) == missing, name
        if name.endswith("In"):
            assert set(contract.get("required", ())) == set(mine.get("required", ()))
        assert set(contract.get("required", ())) <= set(mine.get("required", ())), name
        assert sorted(contract.get("enum", ())) == sorted(mine.get("enum", ())), f"{name}: SDKs fail at unknown values"


def test_every_reference_has_a_target(ours: Json) -> None:
    assert _names(ours) <= ours["components"]["schemas"].keys()


def test_the_document_has_no_internal_annotations(ours: Json) -> None:
    assert '"x-alias"' not in json.dumps(ours)
    assert '"x-required"' not in json.dumps(ours)


@pytest.mark.parametrize(
    ("operation", "schema"),
    [
        ("v1.endpoint.rotate-secret", {"EndpointSecretOut"}),
        ("v1.health.get", set()),
        ("v1.endpoint.recover", {"DryRunOut"}),
    ],
)
def test_a_response_that_few_callers_get_is_in_the_document(ours: Json, operation: str, schema: set[str]) -> None:
    assert schema == _names(_operations(ours)[operation]["responses"]["2XX"])


def _enums(found: Any, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield each schema that has an enum, and its place in the document."""
    if isinstance(found, dict):
        if isinstance(found.get("enum"), list):
            yield path, found
        for name, value in found.items():
            yield from _enums(value, f"{path}/{name}")
    elif isinstance(found, list):
        for value in found:
            yield from _enums(value, path)


def test_every_enum_has_its_type_and_numbers_have_names(ours: Json, theirs: Json) -> None:
    enums = dict(_enums(ours))
    assert 15 <= len(enums)
    for path, schema in enums.items():
        is_number = all(isinstance(value, int) for value in schema["enum"])
        assert ("integer" if is_number else "string") == schema["type"], path
        assert is_number == ("x-enum-varnames" in schema), path
        contract = theirs["components"]["schemas"].get(path.rpartition("/")[2], {})
        expected = dict(zip(contract.get("enum", ()), contract.get("x-enum-varnames", ()), strict=False))
        assert expected.items() <= dict(zip(schema["enum"], schema.get("x-enum-varnames", ()), strict=False)).items()


def test_enums_are_named_after_their_subject(ours: Json) -> None:
    names = ours["components"]["schemas"].keys()

    assert {"EndpointHealthStatus", "EndpointDisabledReason", "ServiceHealthStatus", "Ordering"} <= names
    assert set() == {"Status", "Reason", "HealthStatus", "Order"} & names


def test_only_open_operations_require_no_token(ours: Json) -> None:
    open_to_all = {name for name, each in _operations(ours).items() if each["security"] == []}

    health = {f"v1.health.{each}" for each in ("get", "live", "ping", "ready")}
    assert {*health, "v1.export.get"} == open_to_all


def test_the_document_requires_rates_of_at_least_one(ours: Json) -> None:
    found = [
        (schema["properties"][member].get("minimum"), schema["properties"][member].get("maximum"))
        for name, schema in ours["components"]["schemas"].items()
        for member in ("rateLimit", "throttleRate")
        if member in schema.get("properties", {}) and not name.endswith("Out")
    ]

    assert 14 == len(found)
    assert {(1, 65_535)} == set(found)


_WORDS = {"maxLength": 4_096, "pattern": r"^[^\x00-\x08]*$"}
_BOUNDS: dict[tuple[str, str], Json] = {
    ("ApplicationIn", "name"): {"minLength": 1, **_WORDS},
    ("ApplicationPatch", "name"): {"minLength": 1, **_WORDS},
    ("EndpointIn", "description"): _WORDS,
    ("EndpointUpsertIn", "description"): _WORDS,
    ("EndpointPatch", "description"): _WORDS,
    ("EventTypeIn", "description"): _WORDS,
    ("EventTypeUpsertIn", "description"): _WORDS,
    ("EventTypePatch", "description"): _WORDS,
    ("EventTypeIn", "featureFlag"): {"maxLength": 256, "pattern": r"^[a-zA-Z0-9\-_.]+$"},
    ("EventTypeIn", "featureFlags"): {"minItems": 1, "maxItems": 25},
    ("AppPortalAccessIn", "featureFlags"): {"maxItems": 25},
    ("EndpointIn", "eventTypes"): {"minItems": 1, "maxItems": 500},
    ("BulkReplayIn", "eventTypes"): {"maxItems": 500},
    ("EndpointIn", "headers"): {"maxProperties": 50},
    ("EndpointHeadersIn", "headers"): {"maxProperties": 50},
    ("EndpointHeadersPatchIn", "headers"): {"maxProperties": 50},
    ("EndpointHeadersPatchIn", "deleteHeaders"): {"maxItems": 50},
    ("AppUsageStatsIn", "appIds"): {"minItems": 1, "maxItems": 1_000},
    ("BulkExpungeContentsIn", "ids"): {"maxItems": 1_000},
    ("ApplicationTokenExpireIn", "sessionIds"): {"maxItems": 1_000},
    ("MessageBatchIn", "messages"): {"minItems": 1, "maxItems": 1_000},
}


@pytest.mark.parametrize(("schema", "member"), _BOUNDS)
def test_the_document_states_the_bounds_of_the_server(ours: Json, schema: str, member: str) -> None:
    found = ours["components"]["schemas"][schema]["properties"][member]
    expected = _BOUNDS[schema, member]

    assert expected == {name: found.get(name) for name in expected}
    assert found.get("minItems") == expected.get("minItems")


@pytest.mark.parametrize("schema", ["EndpointIn", "EndpointHeadersIn", "EndpointHeadersPatchIn"])
def test_the_document_states_the_rules_of_headers(ours: Json, schema: str) -> None:
    found = ours["components"]["schemas"][schema]["properties"]["headers"]

    assert {"pattern": r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"} == found["propertyNames"]
    assert 4_096 == found["additionalProperties"]["maxLength"]
    assert r"^[\t\x20-\x7e]*$" == found["additionalProperties"]["pattern"]


@pytest.mark.parametrize("schema", ["ApplicationIn", "ApplicationPatch", "EndpointIn", "EndpointPatch"])
def test_the_document_bounds_values_of_metadata(ours: Json, schema: str) -> None:
    found = ours["components"]["schemas"][schema]["properties"]["metadata"]

    assert {"type": "string", "maxLength": 4_096} == found["additionalProperties"]


def _is_taken(secret: str) -> bool:
    try:
        parse_secret(secret)
    except ValueError as error:
        return "signing test" in str(error)  # each half of a surrogate pair alone, which the patterns cannot express
    return True


@pytest.mark.parametrize("prefix", ["", "whsec_", "whsk_", "whpk_"])
@pytest.mark.parametrize("size", [*range(20, 80)])
def test_the_document_allows_every_secret_that_the_server_accepts(ours: Json, prefix: str, size: int) -> None:
    pattern = ours["components"]["schemas"]["EndpointSecretRotateIn"]["properties"]["key"]["pattern"]
    text = prefix + base64.b64encode(bytes(range(size))).decode()

    for secret in (text, text.rstrip("="), text[:-1], text + "=", text[:-3] + "B==", text[:-2] + "B="):
        assert _is_taken(secret) == bool(re.search(pattern, secret)), secret


@pytest.mark.parametrize("timestamp", [0, 1_700_000_000_000, 5_693_000_000_000])
def test_the_document_allows_every_iterator_that_the_server_accepts(ours: Json, timestamp: int) -> None:
    parameters = _operations(ours)["v1.message.list"]["parameters"]
    pattern = next(each["schema"]["pattern"] for each in parameters if each["name"] == "iterator")
    known = ids.new("msg_", timestamp)

    assert re.search(pattern, known)
    assert re.search(pattern, f"-{known}")
    for wrong in ("msg_" + "z" * 27, "msg_" + "b" + "0" * 26, known[:-1], known + "0", known.replace("msg", "app")):
        assert not ids.is_id(wrong, "msg_")
        assert not re.search(pattern, wrong)


def test_every_operation_has_the_responses_of_the_connection(ours: Json) -> None:
    for name, operation in _operations(ours).items():
        expected = {"400", "431", "500", "501", "503"} | ({"413"} if "requestBody" in operation else set())
        assert expected <= operation["responses"].keys(), name


def test_every_429_in_the_document_has_a_retry_after_header(ours: Json) -> None:
    found = [
        operation["responses"]["429"] for operation in _operations(ours).values() if "429" in operation["responses"]
    ]

    assert 60 <= len(found)
    assert all(response["headers"].keys() == {"Retry-After"} for response in found)


def test_the_document_has_the_response_of_an_unhealthy_service(ours: Json) -> None:
    assert {"HealthOut"} == _names(_operations(ours)["v1.health.get"]["responses"]["500"])


@pytest.mark.parametrize("operation", ["v1.event-type.list", "v1.background-task.items"])
def test_the_document_allows_every_name_that_the_server_accepts_as_an_iterator(ours: Json, operation: str) -> None:
    route = next(route for route in TABLE if route.operation == operation)
    query: type[Query] = route.query
    kind = next(each.kind for each in parameters_of(query) if each.name == "iterator")
    found = next(each["schema"] for each in _operations(ours)[operation]["parameters"] if each["name"] == "iterator")

    for text in ("", "-", "--", "a", "-a", *("x" * size for size in (256, 257, 512, 513)), "-" + "x" * 256, "a\0"):
        assert (kind.wrong(text) is None) == bool(re.search(found["pattern"], text)), text
