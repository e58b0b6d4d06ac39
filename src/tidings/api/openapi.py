# SPDX-License-Identifier: MIT
"""The OpenAPI document, made from the table of routes and from the types in it."""

import inspect
from collections.abc import Iterable, Iterator
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import msgspec

from tidings import __version__
from tidings.api.dry_run import DryRunOut
from tidings.api.enums import NAMES, enums_in, name_of, schema_of
from tidings.api.query import DryRunQuery, Parameter, Query, parameters_of
from tidings.api.routes import PREFIX, Access, AnyRoute, EventStream
from tidings.api.webhooks import TAG, WEBHOOKS
from tidings.api.wire import HttpErrorOut, HTTPValidationError
from tidings.model import text

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_RENAMED: Final = {_REF.format(name=kind.__name__): _REF.format(name=name) for kind, name in NAMES.items()}
_SCHEME: Final = "HTTPBearer"
_ANYWHERE: Final = (400, 431, 500, 501, 503)
"""What the connection or a fault of ours answers, whichever operation is asked for."""
_REFUSALS: Final = tuple(sorted((401, 403, 404, 409, 422, 429, *_ANYWHERE)))
_RETRY_AFTER: Final[Json] = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
_NAME: Final = {"type": "string", "maxLength": text.LONGEST, "pattern": r"^[a-zA-Z0-9\-_.]+$"}
_PATH: Final[dict[str, Json]] = {
    "event_type_name": _NAME,
    "attempt_id": {"type": "string", "pattern": "^atmpt_[A-Za-z0-9]{27}$"},
    "task_id": {"type": "string", "pattern": "^qtask_[A-Za-z0-9]{27}$"},
}
_REFERENCE: Final = {**_NAME, "minLength": 1}
"""An id, or the identifier that the caller gave."""
_EVENTS: Final[Json] = {"text/event-stream": {"schema": {"type": "string"}}}
_KEY: Final[Json] = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "description": "Requests with one key are done once and answered alike, for twelve hours.",
    "schema": {"type": "string"},
}


def document(table: Iterable[AnyRoute]) -> Json:
    """Return the document of all routes in a table."""
    table = tuple(table)
    paths: Json = {}
    for route in table:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tidings",
            "version": __version__,
            "description": "Webhooks, sent for certain, and repaired in bulk where they were not.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys([*(route.tag for route in table), TAG])],
        "paths": paths,
        "webhooks": {type_: {"post": _webhook(type_, body)} for type_, body in WEBHOOKS.items()},
        "components": {
            "schemas": dict(sorted(dict(_schemas(table)).items())),
            "securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: AnyRoute) -> Json:
    operation: Json = {
        "operationId": route.operation,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": list(_parameters(route)),
        "responses": {str(status): response for status, response in _responses(route)},
    }
    description = inspect.getdoc(route.handler)
    if description:
        operation["description"] = description
    if route.is_deprecated:
        operation["deprecated"] = True
    operation["security"] = [] if route.access is Access.OPEN else [{_SCHEME: []}]
    if route.has_body:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _webhook(type_: str, body: type) -> Json:
    return {
        "operationId": type_,
        "tags": [TAG],
        "summary": type_,
        "description": inspect.getdoc(body),
        "requestBody": {"required": True, "content": _content(body)},
        "responses": {"2XX": {"description": "The receiver has taken the event"}},
        "security": [],
    }


def _parameters(route: AnyRoute) -> Iterator[Json]:
    for segment in route.path.split("/"):
        if segment.startswith("{"):
            name = segment.strip("{}")
            yield {"name": name, "in": "path", "required": True, "schema": _PATH.get(name, _REFERENCE)}
    for parameter in _request_parameters(route):
        yield {"name": parameter.name, "in": "query", "required": False, "schema": _parameter_schema(parameter)}
    if route.method == "POST":
        yield _KEY


def _parameter_schema(parameter: Parameter) -> Json:
    enum = parameter.kind.schema.get("enum")
    schema: Json = {"$ref": _REF.format(name=name_of(enum))} if isinstance(enum, type) else {**parameter.kind.schema}
    if parameter.kind.is_list:
        return {"type": "array", "items": schema, "uniqueItems": True}
    if isinstance(parameter.default, bool | int):
        schema["default"] = parameter.default
    return schema


def _responses(route: AnyRoute) -> Iterator[tuple[int | str, Json]]:
    for status, kind in route.answers.items():
        response: Json = {"description": HTTPStatus(status).phrase}
        if kind is not None:
            response["content"] = _EVENTS if kind is EventStream else _content(kind)
        yield status, response
    varies = _varies(route)
    if varies is not None:
        # A range, which generators leave aside where there is a status: what a client is made for stays the usual.
        words, kind = varies
        yield "2XX", {"description": words} if kind is None else {"description": words, "content": _content(kind)}
    for status in _refusals(route):
        yield status, _refusal(status)


def _refusals(route: AnyRoute) -> tuple[int, ...]:
    if route.access is Access.OPEN and "{" not in route.path:  # it asks for nothing that could be wrong
        return tuple(status for status in _ANYWHERE if status not in route.answers)
    return tuple(sorted((*_REFUSALS, 413))) if route.has_body else _REFUSALS


def _refusal(status: int) -> Json:
    kind = HTTPValidationError if status == HTTPStatus.UNPROCESSABLE_ENTITY else HttpErrorOut
    response: Json = {"description": HTTPStatus(status).phrase, "content": _content(kind)}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        response["headers"] = _RETRY_AFTER
    return response


def _varies(route: AnyRoute) -> tuple[str, object] | None:
    return (
        ("What the task would do, for a dry run", DryRunOut) if issubclass(route.query, DryRunQuery) else route.varies
    )


def _content(kind: object) -> Json:
    (schema,), _ = msgspec.json.schema_components((kind,), ref_template=_REF)
    return {"application/json": {"schema": _plain(schema)}}


def _schemas(table: Iterable[AnyRoute]) -> Iterator[tuple[str, Json]]:
    """Yield the schema of every type that a route names, and of every type that those name."""
    kinds: list[Any] = [HttpErrorOut, HTTPValidationError, *WEBHOOKS.values()]
    enums: list[type[Enum]] = []
    for route in table:
        kinds += [route.body] if route.has_body else []
        kinds += [kind for kind in route.answers.values() if kind not in (None, EventStream)]
        varies = _varies(route)
        kinds += [varies[1]] if varies is not None and varies[1] is not None else []
        found = (parameter.kind.schema.get("enum") for parameter in _request_parameters(route))
        enums += [enum for enum in found if isinstance(enum, type) and issubclass(enum, Enum)]
    _, components = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=_REF)
    enums += enums_in(kinds)
    named = {enum.__name__ for enum in enums}
    yield from ((name, _object(schema)) for name, schema in components.items() if name not in named)
    yield from ((name_of(enum), schema_of(enum)) for enum in dict.fromkeys(enums))


def _request_parameters(route: AnyRoute) -> tuple[Parameter, ...]:
    declared: type[Query] = route.query
    return parameters_of(declared)


def _object(schema: Json) -> Json:
    """Tidy a type's schema: members that are there for compatibility only are read, and not told of."""
    plain: Json = _plain(schema)
    properties: Json = plain.get("properties", {})
    for name, member in list(properties.items()):
        if member.pop("x-alias", None):
            del properties[name]
        elif member.pop("x-required", None):
            plain["required"] = [*plain.get("required", ()), name]
    return plain


def _plain(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Write "this or null" as a list of types, which more generators read than `anyOf`, and leave out nulls."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        name: value if name in ("enum", "default", "required") else _plain(value)
        for name, value in schema.items()
        if not (name == "default" and value is None)
    }
    if isinstance(plain.get("$ref"), str):
        plain["$ref"] = _RENAMED.get(plain["$ref"], plain["$ref"])
    if isinstance(plain.get("enum"), list) and "type" not in plain:  # a literal
        plain["type"] = "string"
    options = plain.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options and len(options) > 1:
        rest = [option for option in options if option != {"type": "null"}]
        if len(rest) == 1 and isinstance(rest[0].get("type"), str):
            del plain["anyOf"]
            plain = {**rest[0], **plain, "type": [rest[0]["type"], "null"]}
    return plain
