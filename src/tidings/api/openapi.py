# SPDX-License-Identifier: MIT
"""The OpenAPI document, built from the table of routes and the types in it."""

from collections.abc import Iterable, Iterator
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, get_origin

from tidings import __version__
from tidings.api.dry_run import DryRunOut
from tidings.api.enums import Json, name_of
from tidings.api.field_docs import FieldDocs, prose
from tidings.api.query import DryRunQuery, Parameter, Query, parameters_of
from tidings.api.routes import PREFIX, Access, AnyRoute, EventStream
from tidings.api.schemas import REF, components, content
from tidings.api.texts import DRY_RUN, EXAMPLES, PATH, REFUSALS, RETRY_AFTER, SUCCESSES, TAGS, WEBHOOK_TAKEN
from tidings.api.webhooks import TAG, WEBHOOKS
from tidings.api.wire import HttpErrorOut, HTTPValidationError
from tidings.model import text

_SCHEME: Final = "HTTPBearer"
_ALWAYS: Final = (400, 431, 500, 501, 503)
"""Responses that any operation can have: those of the connection, and those to failures of the service."""
_REFUSALS: Final = tuple(sorted((401, 403, 404, 409, 422, 429, *_ALWAYS)))
_RETRY_AFTER: Final[Json] = {"Retry-After": {"description": RETRY_AFTER, "schema": {"type": "integer"}, "example": 1}}
_NAME: Final = {"type": "string", "maxLength": text.LENGTH_MAX, "pattern": r"^[a-zA-Z0-9\-_.]+$"}
_PATH: Final[dict[str, Json]] = {
    "event_type_name": _NAME,
    "attempt_id": {"type": "string", "pattern": "^atmpt_[A-Za-z0-9]{27}$"},
    "env_id": {"type": "string", "minLength": 1},
    "integ_id": {"type": "string", "pattern": "^integ_[A-Za-z0-9]{27}$"},
    "key_id": {"type": "string", "pattern": "^key_[A-Za-z0-9]{27}$"},
    "task_id": {"type": "string", "pattern": "^qtask_[A-Za-z0-9]{27}$"},
}
_REFERENCE: Final = {**_NAME, "minLength": 1}
"""An id, or the identifier that the caller chose."""
_EVENTS: Final[Json] = {"text/event-stream": {"schema": {"type": "string"}}}
_IDEMPOTENCY_KEY: Final[Json] = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "description": PATH["idempotency-key"],
    "schema": {"type": "string"},
    "example": EXAMPLES["idempotency-key"],
}


def document(table: Iterable[AnyRoute]) -> Json:
    """Return the document of all routes in a table."""
    table, docs = tuple(table), FieldDocs()
    paths: Json = {}
    for route in table:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, docs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tidings",
            "version": __version__,
            "description": "A self-hosted webhook service, wire-compatible with the Svix API.",
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name, "description": TAGS[name]} for name in dict.fromkeys([*(route.tag for route in table), TAG])
        ],
        "paths": paths,
        "webhooks": {type_: {"post": _webhook(type_, body)} for type_, body in WEBHOOKS.items()},
        "components": {
            "schemas": dict(sorted(_schemas(table, docs))),
            "securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer", "description": PATH["authorization"]}},
        },
    }


def _operation(route: AnyRoute, docs: FieldDocs) -> Json:
    operation: Json = {
        "operationId": route.operation,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": list(_parameters(route, docs)),
        "responses": {str(status): response for status, response in _responses(route)},
    }
    description = prose(route.handler.__doc__)
    if description:
        operation["description"] = description
    if route.is_deprecated:
        operation["deprecated"] = True
    operation["security"] = [] if route.access is Access.OPEN else [{_SCHEME: []}]
    if route.has_body:
        operation["requestBody"] = {"required": True, "content": content(route.body)}
    return operation


def _webhook(type_: str, body: type) -> Json:
    return {
        "operationId": type_,
        "tags": [TAG],
        "summary": f"Receive the operational event {type_}",
        "description": prose(body.__doc__),
        "requestBody": {"required": True, "content": content(body)},
        "responses": {"2XX": {"description": WEBHOOK_TAKEN}},
        "security": [],
    }


def _parameters(route: AnyRoute, docs: FieldDocs) -> Iterator[Json]:
    for segment in route.path.split("/"):
        if segment.startswith("{"):
            name = segment.strip("{}")
            yield {
                "name": name,
                "in": "path",
                "required": True,
                "description": PATH[name],
                "schema": _PATH.get(name, _REFERENCE),
                "example": EXAMPLES[name],
            }
    declared: type[Query] = route.query
    texts = docs.of(declared)
    for parameter in parameters_of(declared):
        found: Json = {"name": parameter.name, "in": "query", "required": False}
        found["description"] = texts.get(parameter.field, parameter.kind.text)
        found["schema"] = _parameter_schema(parameter)
        if parameter.kind.example is not None:
            found["example"] = parameter.kind.example
        yield found
    if route.method == "POST":
        yield _IDEMPOTENCY_KEY


def _parameter_schema(parameter: Parameter) -> Json:
    enum = parameter.kind.schema.get("enum")
    schema: Json = {"$ref": REF.format(name=name_of(enum))} if isinstance(enum, type) else {**parameter.kind.schema}
    if parameter.kind.is_list:
        return {"type": "array", "items": schema, "uniqueItems": True}
    if isinstance(parameter.default, bool | int):
        schema["default"] = parameter.default
    return schema


def _responses(route: AnyRoute) -> Iterator[tuple[int | str, Json]]:
    for status, kind in route.responses.items():
        response: Json = {"description": _success(status, kind)}
        if kind is not None:
            response["content"] = _EVENTS if kind is EventStream else content(kind)
        yield status, response
    varies = _varies(route)
    if varies is not None:
        # A range of statuses. Generators prefer an exact status, so clients are generated from the usual response.
        words, kind = varies
        yield "2XX", {"description": words} if kind is None else {"description": words, "content": content(kind)}
    for status in _refusals(route):
        yield status, _refusal(status)


def _success(status: int, kind: object) -> str:
    if kind in SUCCESSES:
        return SUCCESSES[kind]
    return SUCCESSES.get(status, "") + prose((get_origin(kind) or kind).__doc__).partition("\n")[0]


def _refusals(route: AnyRoute) -> tuple[int, ...]:
    if route.access is Access.OPEN and "{" not in route.path:  # it has no input that can be invalid
        return tuple(status for status in _ALWAYS if status not in route.responses)
    return tuple(sorted((*_REFUSALS, 413))) if route.has_body else _REFUSALS


def _refusal(status: int) -> Json:
    kind = HTTPValidationError if status == HTTPStatus.UNPROCESSABLE_ENTITY else HttpErrorOut
    response: Json = {"description": REFUSALS[status], "content": content(kind)}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        response["headers"] = _RETRY_AFTER
    return response


def _varies(route: AnyRoute) -> tuple[str, object] | None:
    return (DRY_RUN, DryRunOut) if issubclass(route.query, DryRunQuery) else route.varies


def _schemas(table: Iterable[AnyRoute], docs: FieldDocs) -> Iterator[tuple[str, Json]]:
    """Yield the schema of every type that a route refers to, directly or through other types."""
    kinds: list[Any] = [HttpErrorOut, HTTPValidationError, *WEBHOOKS.values()]
    enums: list[type[Enum]] = []
    for route in table:
        kinds += [route.body] if route.has_body else []
        kinds += [kind for kind in route.responses.values() if kind not in (None, EventStream)]
        varies = _varies(route)
        kinds += [varies[1]] if varies is not None and varies[1] is not None else []
        declared: type[Query] = route.query
        found = (parameter.kind.schema.get("enum") for parameter in parameters_of(declared))
        enums += [enum for enum in found if isinstance(enum, type) and issubclass(enum, Enum)]
    return components(kinds, enums, docs)
