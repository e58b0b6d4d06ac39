# SPDX-License-Identifier: MIT
"""Event types of an OpenAPI document: what is taken, how references are resolved, and what is bounded."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tidings.core.schemas import is_draft_7
from tidings.model.event_type import StatedEventType
from tidings.model.openapi_webhooks import EVENT_TYPES_MAX, FAULTS_MAX, TooManyWebhooks, event_types_in

Json = dict[str, Any]
PET: Json = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


def _document(webhooks: Json, **more: Any) -> Json:
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "webhooks": webhooks, **more}


def _with_schema(schema: object, *, media: Json | None = None, **operation: Any) -> Json:
    content = {"application/json": {"schema": schema, **(media or {})}}
    return {"post": {"requestBody": {"content": content}, **operation}}


def _read(document: object) -> list[StatedEventType]:
    found, faults = event_types_in(document, is_draft_7)
    assert [] == [(fault.place, fault.message) for fault in faults]
    return found


def _schema(schema: object, **components: Any) -> Any:
    [found] = _read(_document({"a": _with_schema(schema)}, components={"schemas": components}))
    return json.loads(found.schema or "null")


def _faults(document: object) -> list[tuple[tuple[str, ...], str]]:
    _, faults = event_types_in(document, is_draft_7)
    return [(fault.place, fault.message) for fault in faults]


def test_a_webhook_is_an_event_type_with_what_it_states() -> None:
    operation: Json = {
        "description": "A new pet.",
        "summary": "Pet",
        "deprecated": True,
        "x-svix-group-name": "pets",
        "x-svix-feature-flags": ["beta", "alpha", "beta"],
    }
    [found] = _read(_document({"pet.new": _with_schema(PET, **operation)}))

    assert ("pet.new", "A new pet.", True, "pets", ("beta", "alpha")) == (
        found.name,
        found.description,
        found.deprecated,
        found.group_name,
        found.feature_flags,
    )
    assert json.loads(found.schema or "") == PET


def test_what_a_document_does_not_state_is_none() -> None:
    [found] = _read(_document({"a": {}}))

    assert found == StatedEventType(
        name="a", description=None, deprecated=False, schema=None, group_name=None, feature_flags=None
    )


@pytest.mark.parametrize(
    ("item", "description"),
    [
        ({"description": "item", "post": {"summary": "summary", "requestBody": {"description": "body"}}}, "body"),
        ({"description": "item", "post": {"summary": "summary"}}, "item"),
        ({"summary": "item", "put": {"summary": "summary"}}, "summary"),
        ({"post": {"description": "post"}, "get": {"description": "get"}}, "post"),
    ],
)
def test_the_description_is_the_nearest_one(item: Json, description: str) -> None:
    assert [description] == [each.description for each in _read(_document({"a": item}))]


def test_extensions_at_the_path_item_and_the_former_flag_are_taken() -> None:
    item = {"post": {"x-svix-feature-flag": "beta"}, "x-svix-group-name": "pets"}
    [found] = _read(_document({"a": item}))

    assert ("pets", ("beta",)) == (found.group_name, found.feature_flags)
    [found] = _read(_document({"a": {"post": {"x-svix-feature-flags": []}}}))
    assert () == found.feature_flags


def test_both_sections_are_read_and_the_first_one_takes_precedence() -> None:
    document = _document({"a": {"post": {"description": "first"}}})
    document["x-webhooks"] = {"a": {"post": {"description": "second"}}, "b": {"post": {}}}

    assert [("a", "first"), ("b", None)] == [(each.name, each.description) for each in _read(document)]


def test_examples_of_the_media_type_become_examples_of_the_schema() -> None:
    cases: tuple[tuple[Json, list[object]], ...] = (
        ({"example": {"id": 1}}, [{"id": 1}]),
        ({"examples": {"one": {"value": {"id": 1}}, "two": {"$ref": "#/components/examples/Two"}}}, [{"id": 1}, 2]),
    )
    for media, expected in cases:
        components = {"examples": {"Two": {"value": 2}}}
        [found] = _read(_document({"a": _with_schema(PET, media=media)}, components=components))
        assert {**PET, "examples": expected} == json.loads(found.schema or "")
    [found] = _read(_document({"a": _with_schema({**PET, "examples": [{"id": 7}]}, media={"example": {"id": 1}})}))
    assert [{"id": 7}] == json.loads(found.schema or "")["examples"]


def test_json_precedes_other_bodies() -> None:
    content = {
        "text/plain": {"schema": {"type": "string"}},
        "application/vnd.pet+json": {"schema": {"type": "array"}},
        "application/json; charset=utf-8": {"schema": PET},
    }
    [found] = _read(_document({"a": {"post": {"requestBody": {"content": content}}}}))
    assert PET == json.loads(found.schema or "")
    del content["application/json; charset=utf-8"]
    [found] = _read(_document({"a": {"post": {"requestBody": {"content": content}}}}))
    assert {"type": "array"} == json.loads(found.schema or "")


# ----------------------------------------------------------------------------------------------------------------------
# References


def test_references_are_replaced_by_what_they_name() -> None:
    owner = {"type": "object", "properties": {"pet": {"$ref": "#/components/schemas/Pet"}}}

    assert PET == _schema({"$ref": "#/components/schemas/Pet"}, Pet=PET)
    assert {"type": "array", "items": {"type": "object", "properties": {"pet": PET}}} == _schema(
        {"type": "array", "items": {"$ref": "#/components/schemas/Owner"}}, Owner=owner, Pet=PET
    )
    assert {"type": "integer"} == _schema({"$ref": "#/components/schemas/Pet/properties/id"}, Pet=PET)
    assert PET == _schema({"$ref": "#/components/schemas/a~1b%20c"}, **{"a/b c": PET})
    assert PET == _schema({"$ref": "#/components/schemas/List/anyOf/1"}, List={"anyOf": [True, PET]})


def test_webhooks_and_bodies_may_be_references() -> None:
    components = {
        "pathItems": {"Item": {"post": {"requestBody": {"$ref": "#/components/requestBodies/Body"}}}},
        "requestBodies": {"Body": {"description": "d", "content": {"application/json": {"schema": PET}}}},
    }
    [found] = _read(_document({"a": {"$ref": "#/components/pathItems/Item"}}, components=components))

    assert ("d", PET) == (found.description, json.loads(found.schema or ""))


def test_members_beside_a_reference_are_kept() -> None:
    assert {**PET, "description": "d"} == _schema({"$ref": "#/components/schemas/Pet", "description": "d"}, Pet=PET)
    assert {"allOf": [PET], "required": ["name"]} == _schema(
        {"$ref": "#/components/schemas/Pet", "required": ["name"]}, Pet=PET
    )


def test_a_schema_that_contains_itself_keeps_one_definition() -> None:
    node = {
        "type": "object",
        "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/components/schemas/Node"}},
        "required": ["value"],
    }
    found = _schema({"$ref": "#/components/schemas/Node"}, Node=node)
    validator = jsonschema_rs.Draft7Validator(found)

    assert validator.is_valid({"value": 1, "next": {"value": 2, "next": {"value": 3}}})
    assert not validator.is_valid({"value": 1, "next": {"value": 2, "next": {"value": "3"}}})
    assert "components" not in str(found)


def test_schemas_that_contain_each_other_keep_a_definition_of_each() -> None:
    tree = {"type": "object", "properties": {"leaves": {"type": "array", "items": {"$ref": "#/components/schemas/L"}}}}
    leaf = {"type": "object", "properties": {"tree": {"$ref": "#/components/schemas/T"}, "n": {"type": "integer"}}}
    found = _schema({"properties": {"root": {"$ref": "#/components/schemas/T"}}}, T=tree, L=leaf)
    validator = jsonschema_rs.Draft7Validator(found)

    assert validator.is_valid({"root": {"leaves": [{"n": 1, "tree": {"leaves": [{"n": 2}]}}]}})
    assert not validator.is_valid({"root": {"leaves": [{"n": 1, "tree": {"leaves": [{"n": "2"}]}}]}})


def test_a_reference_in_data_is_none() -> None:
    schema = {
        "properties": {"$ref": {"type": "string"}, "example": {"$ref": "#/components/schemas/Pet"}},
        "example": {"$ref": "no/reference"},
        "const": {"$ref": "no/reference"},
        "x-mine": {"$ref": "no/reference"},
    }
    expected = {**schema, "properties": {"$ref": {"type": "string"}, "example": PET}}

    assert expected == _schema(schema, Pet=PET)


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("other.yaml#/Pet", "leads out of the document"),
        ("https://example.com/pet.json", "leads out of the document"),
        ("file:///etc/passwd", "leads out of the document"),
        ("#", "leads out of the document"),
        ("#pet", "leads out of the document"),
        ("#/components/schemas/Absent", "names nothing"),
        ("#/components/schemas/Pet/required/1", "names nothing"),
        ("#/components/schemas/Pet/required/-1", "names nothing"),
        ("#/components/schemas/Pet/required/\u0660", "names nothing"),
        ("#/components/schemas/Pet/required/0/x", "names nothing"),
    ],
)
def test_a_reference_to_nothing_is_a_fault(ref: str, words: str) -> None:
    document = _document({"a": _with_schema({"$ref": ref})}, components={"schemas": {"Pet": PET}})

    [(place, message)] = _faults(document)
    assert ("webhooks", "a", "requestBody") == place
    assert words in message


def test_references_that_lead_to_each_other_are_a_fault() -> None:
    items = {"A": {"$ref": "#/components/pathItems/B"}, "B": {"$ref": "#/components/pathItems/A"}}
    document = _document({"a": {"$ref": "#/components/pathItems/A"}}, components={"pathItems": items})

    assert [(("webhooks", "a"), "More than 50 references lead to each other.")] == _faults(document)
    schemas = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    looping = _document({"a": _with_schema({"$ref": "#/components/schemas/A"})}, components={"schemas": schemas})
    event_types_in(looping, is_draft_7)  # ends


def test_references_do_not_make_a_small_document_large() -> None:
    """Thirty levels of two references each stand for a thousand million schemas."""
    schemas: Json = {"S0": {"type": "string", "description": "x" * 100}}
    for level in range(1, 31):
        ref = {"$ref": f"#/components/schemas/S{level - 1}"}
        schemas[f"S{level}"] = {"properties": {"a": ref, "b": ref}}
    [(_, message)] = _faults(
        _document({"a": _with_schema({"$ref": "#/components/schemas/S30"})}, components={"schemas": schemas})
    )
    assert "more than 8 MiB" in message
    # All webhooks share one bound.
    large = {"type": "string", "description": "x" * 1_000_000}
    webhooks = {f"a{number}": _with_schema({"$ref": "#/components/schemas/L"}) for number in range(20)}
    assert any(
        "more than 8 MiB" in words for _, words in _faults(_document(webhooks, components={"schemas": {"L": large}}))
    )


def test_references_do_not_make_a_flat_document_deep() -> None:
    schemas: Json = {"S0": {"type": "string"}}
    for level in range(1, 200):
        schemas[f"S{level}"] = {"items": {"$ref": f"#/components/schemas/S{level - 1}"}}
    document = _document({"a": _with_schema({"$ref": "#/components/schemas/S199"})}, components={"schemas": schemas})

    [(_, message)] = _faults(document)
    assert "levels of nesting" in message
    deep: Json = {}
    for _ in range(5_000):
        deep = {"const": [deep]} if "const" not in deep else {"items": deep}
    assert 1 == len(_faults(_document({"a": _with_schema(deep)})))


# ----------------------------------------------------------------------------------------------------------------------
# OpenAPI 3.0, and faults


def test_schemas_of_openapi_3_0_become_draft_7() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "nullable": True},
            "kind": {"type": "string", "enum": ["a"], "nullable": True},
            "age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": False},
            "pet": {"$ref": "#/components/schemas/Pet", "description": "ignored"},
        },
    }
    document = _document({"a": _with_schema(schema)}, components={"schemas": {"Pet": PET}}) | {"openapi": "3.0.3"}
    [found] = _read(document)

    assert {
        "name": {"type": ["string", "null"]},
        "kind": {"type": ["string", "null"], "enum": ["a", None]},
        "age": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
        "pet": PET,
    } == json.loads(found.schema or "")["properties"]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], ()),
        ("text", ()),
        ({}, ("openapi",)),
        ({"swagger": "2.0", "webhooks": {"a": {}}}, ("openapi",)),
        ({"openapi": "3.1.0"}, ("webhooks",)),
        ({"openapi": "3.1.0", "webhooks": {}}, ("webhooks",)),
        ({"openapi": "3.1.0", "webhooks": []}, ("webhooks",)),
        ({"openapi": "3.0.0", "x-webhooks": "a"}, ("x-webhooks",)),
        (_document({"not a name": {}}), ("webhooks", "not a name")),
        (_document({"x" * 257: {}}), ("webhooks", "x" * 257)),
        (_document({"a": {"post": {"description": "x" * 4_097}}}), ("webhooks", "a", "description")),
        (_document({"a": {"post": {"x-svix-group-name": 1}}}), ("webhooks", "a", "x-svix-group-name")),
        (_document({"a": {"post": {"x-svix-group-name": "a b"}}}), ("webhooks", "a", "x-svix-group-name")),
        (_document({"a": {"post": {"x-svix-feature-flags": "beta"}}}), ("webhooks", "a", "x-svix-feature-flags")),
        (_document({"a": {"post": {"x-svix-feature-flags": ["a b"]}}}), ("webhooks", "a", "x-svix-feature-flags")),
        (
            _document({"a": {"post": {"x-svix-feature-flags": [f"f{n}" for n in range(26)]}}}),
            ("webhooks", "a", "x-svix-feature-flags"),
        ),
        (_document({"a": _with_schema({"type": "nothing"})}), ("webhooks", "a", "requestBody")),
        (_document({"a": _with_schema({"minimum": 1, "exclusiveMinimum": True})}), ("webhooks", "a", "requestBody")),
        (_document({"a": _with_schema("text")}), ("webhooks", "a", "requestBody")),
    ],
)
def test_a_fault_is_reported_with_its_place(document: object, place: tuple[str, ...]) -> None:
    assert [place] == [each for each, _ in _faults(document)]


def test_a_document_reports_a_limited_number_of_faults() -> None:
    assert FAULTS_MAX == len(_faults(_document({f"not a name {number}": {} for number in range(100)})))


def test_a_document_has_a_limited_number_of_webhooks() -> None:
    assert EVENT_TYPES_MAX == len(_read(_document({f"a{number}": {} for number in range(EVENT_TYPES_MAX)})))
    with pytest.raises(TooManyWebhooks, match="has 100,000 webhooks; an import takes at most 5,000"):
        event_types_in(_document({f"a{number}": {} for number in range(100_000)}), is_draft_7)


def test_the_webhooks_of_the_contract_are_read(shared_dir: Path) -> None:
    contract = json.loads((shared_dir / "contract" / "svix-openapi.json").read_text())
    found = {each.name: each for each in _read(contract)}

    assert contract["webhooks"].keys() | contract["x-webhooks"].keys() == found.keys()
    assert ("dispatch", ("attempt_log",)) == (
        found["message.attempt.log"].group_name,
        found["message.attempt.log"].feature_flags,
    )
    assert "$ref" not in "".join(each.schema or "" for each in found.values())
    assert all(json.loads(each.schema or "")["examples"] for each in found.values())
