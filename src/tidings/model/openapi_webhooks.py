# SPDX-License-Identifier: MIT
"""The event types that an OpenAPI document describes as webhooks.

The names of the extensions are those of the Svix API: `x-svix-group-name` and `x-svix-feature-flags`, at the operation
or at its path item.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tidings.model import text
from tidings.model.event_type import StatedEventType
from tidings.model.openapi_document import Document, DocumentError, SchemaCopy

EVENT_TYPES_MAX: Final = 5_000
"""The most webhooks of one document."""
FAULTS_MAX: Final = 20
"""The most faults that a reader of a document reports."""
_EXAMPLES_MAX: Final = 10

_SECTIONS: Final = ("webhooks", "x-webhooks")
_METHODS: Final = ("post", "put", "patch", "get", "delete", "options", "head", "trace")
_GROUP: Final = "x-svix-group-name"
_FLAGS: Final = "x-svix-feature-flags"
_FLAG: Final = "x-svix-feature-flag"
_JSON: Final = "application/json"

SchemaRule = Callable[[object], bool]


class TooManyWebhooks(ValueError):
    """A document has more webhooks than one import takes."""


def event_types_in(root: object, is_schema: SchemaRule) -> tuple[list[StatedEventType], list[DocumentError]]:
    """Return the event types of a document by name, and the faults of the others, up to a limit.

    `is_schema` returns whether a value is a JSON Schema (Draft 7). Raises `TooManyWebhooks`.
    """
    try:
        document, webhooks = _webhooks_of(root)
    except DocumentError as error:
        return [], [error]
    found: list[StatedEventType] = []
    faults: list[DocumentError] = []
    for name, (section, item) in sorted(webhooks.items()):
        place = (section, name)
        try:
            found.append(_event_type(document, name, item, place, is_schema))
        except DocumentError as error:
            faults.append(error)
        except RecursionError:
            faults.append(DocumentError(place, "The values are nested too deeply."))
        if len(faults) == FAULTS_MAX:
            break
    return found, faults


def _webhooks_of(root: object) -> tuple[Document, dict[str, tuple[str, object]]]:
    """Return the document, and the path items of its webhooks by name, with the section in which each is."""
    if not isinstance(root, dict):
        raise DocumentError((), "An OpenAPI document is an object.")
    if not str(root.get("openapi", "")).startswith("3."):
        raise DocumentError(("openapi",), "The member `openapi` must name version 3, such as `3.1.0`.")
    found: dict[str, tuple[str, object]] = {}
    for section in reversed(_SECTIONS):  # the first one takes precedence
        webhooks = root.get(section)
        if webhooks is not None and not isinstance(webhooks, dict):
            raise DocumentError((section,), f"`{section}` must be an object with a member for each webhook.")
        found |= {name: (section, item) for name, item in (webhooks or {}).items()}
    if not found:
        raise DocumentError(("webhooks",), "The document has no webhooks: neither `webhooks` nor `x-webhooks` has one.")
    if len(found) > EVENT_TYPES_MAX:
        words = f"The document has {len(found):,} webhooks; an import takes at most {EVENT_TYPES_MAX:,}. Split it."
        raise TooManyWebhooks(words)
    return Document(root), found


def _event_type(
    document: Document, name: str, item: object, place: tuple[str, ...], is_schema: SchemaRule
) -> StatedEventType:
    path_item = document.followed(item, place)
    method = next((each for each in _METHODS if isinstance(path_item.get(each), dict)), None)
    operation: Mapping[str, Any] = {} if method is None else path_item[method]
    body = document.followed(operation.get("requestBody"), (*place, "requestBody"))
    levels = (operation, path_item)
    _require(text.name_error(name), place, "The name of the webhook is no event type: {}")
    description = _first_text((operation, body, path_item), ("description", "summary"))
    _require(text.text_error(description or ""), (*place, "description"), "{}")
    return StatedEventType(
        name=name,
        description=description,
        deprecated=operation.get("deprecated") is True,
        schema=_schema(document, body, (*place, "requestBody"), is_schema),
        group_name=_group(_stated(levels, _GROUP), (*place, _GROUP)),
        feature_flags=_flags(_stated(levels, _FLAGS), _stated(levels, _FLAG), (*place, _FLAGS)),
    )


def _first_text(levels: Sequence[Mapping[str, Any]], members: Sequence[str]) -> str | None:
    """Return the first description, or the first summary if there is none."""
    given = (level.get(member) for member in members for level in levels)
    return next((each for each in given if isinstance(each, str) and each), None)


def _stated(levels: Sequence[Mapping[str, Any]], member: str) -> object:
    return next((level[member] for level in levels if level.get(member) is not None), None)


def _group(value: object, place: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise DocumentError(place, "The name of a group is a text.")
    _require(text.name_error(value), place, "The name of the group: {}")
    return value


def _flags(flags: object, flag: object, place: tuple[str, ...]) -> tuple[str, ...] | None:
    value = [flag] if flags is None and flag is not None else flags
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value) or len(value) > text.FLAGS_MAX:
        raise DocumentError(place, f"Feature flags are a list of at most {text.FLAGS_MAX} texts.")
    for each in value:
        _require(text.name_error(each), place, "A feature flag: {}")
    return tuple(dict.fromkeys(value))


def _schema(document: Document, body: Mapping[str, Any], place: tuple[str, ...], is_schema: SchemaRule) -> str | None:
    """Return the schema of the payload as JSON; None if the document has none."""
    content = body.get("content")
    media_type = _media_type(content) if isinstance(content, dict) else None
    if media_type is None or "schema" not in media_type:
        return None
    schema = SchemaCopy(document, place).of(media_type["schema"])
    if isinstance(schema, dict) and "examples" not in schema:
        examples = list(_examples(document, media_type, place))
        document.spend(len(msgspec.json.encode(examples)), place)
        schema = {**schema, "examples": examples} if examples else schema
    if not is_schema(schema):
        raise DocumentError(place, "The schema is not a JSON Schema (Draft 7).")
    return msgspec.json.encode(schema).decode()


def _media_type(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the description of the body as JSON, or else the first one."""
    kinds = sorted(content, key=lambda kind: (kind.partition(";")[0].strip() != _JSON, "json" not in kind))
    return next((content[kind] for kind in kinds if isinstance(content[kind], dict)), None)


def _examples(document: Document, media_type: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[object]:
    if "example" in media_type:
        yield media_type["example"]
        return
    given = media_type.get("examples")
    for each in list(given.values())[:_EXAMPLES_MAX] if isinstance(given, dict) else ():
        example = document.followed(each, place)
        if "value" in example:
            yield example["value"]


def _require(wrong: str | None, place: tuple[str, ...], words: str) -> None:
    if wrong is not None:
        raise DocumentError(place, words.format(wrong))
