# SPDX-License-Identifier: MIT
"""An archive of event types: an OpenAPI document that describes them as webhooks, and models in two languages.

These are pure functions of event types. They are slow, so `modeling.py` runs them in a child process. The Python models
need `datamodel-code-generator`, which the extra `export` installs. It is imported on first use.
"""

import ast
import contextlib
import io
import json
import warnings
import zipfile
from typing import Any, Final

import msgspec

from tidings import __version__
from tidings.model.export import UnfitType
from tidings.tasks import typescript
from tidings.tasks.names import module
from tidings.tasks.schemas import Schema, latest_schema, rebased, unfit

_REF: Final = "#/components/schemas/"
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_PYTHON: Final = "python/webhook_models"
_TYPESCRIPT: Final = "typescript"
_HEAD: Final = "Models of webhook events, generated from their schemas by tidings"


_PLAIN_TYPES: Final = [f"string+{each}=string" for each in ("email", "idn-email", "ulid")]
"""Formats that become plain strings: pydantic needs another package for them, or the archive could not be imported."""


class GeneratorMissing(Exception):
    """The extra that generates models is not installed."""


class GeneratedModel(msgspec.Struct, frozen=True):
    """The models of one event type."""

    name: str
    class_name: str
    description: str
    deprecated: bool
    group: str | None
    schema: Schema
    python: str
    typescript: str


class ModelRequest(msgspec.Struct, frozen=True):
    """An event type to generate models for; `schemas` is the stored JSON."""

    name: str
    class_name: str
    description: str
    deprecated: bool
    group: str | None
    schemas: str | None


def generate(request: ModelRequest) -> GeneratedModel:
    """Return the models of an event type. Raises `UnfitType` if its schema has no models."""
    try:
        return _generate(request)
    except (GeneratorMissing, UnfitType):
        raise
    except Exception as error:
        raise unfit(type(error).__name__) from error  # a generator may raise anything for an unusual schema


def warm_up() -> None:
    """Import the generator, if it is installed, so that the first request does not wait for it."""
    with contextlib.suppress(ImportError):
        import datamodel_code_generator  # noqa: F401, PLC0415 - as in `python_models`


def _generate(each: ModelRequest) -> GeneratedModel:
    schema = latest_schema(each.schemas)
    return GeneratedModel(
        name=each.name,
        class_name=each.class_name,
        description=each.description,
        deprecated=each.deprecated,
        group=each.group,
        schema=schema,
        python=python_models(schema, each.class_name),
        typescript=typescript.models(schema, each.class_name),
    )


def python_models(schema: Schema, name: str) -> str:
    """Return the source of a Python module that defines the model of a schema under the given name."""
    try:
        import datamodel_code_generator as generator  # noqa: PLC0415 - slow to import, rarely needed, and an extra
        from datamodel_code_generator import enums  # noqa: PLC0415
    except ImportError as error:
        raise GeneratorMissing from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = generator.generate(
            json.dumps({**schema, "title": name}),
            input_file_type=generator.InputFileType.JsonSchema,
            output_model_type=enums.DataModelType.PydanticV2BaseModel,
            target_python_version=generator.PythonVersion.PY_311,
            class_name=name,
            formatters=[generator.Formatter.BUILTIN],
            allow_remote_refs=False,
            disable_timestamp=True,
            use_standard_collections=True,
            use_union_operator=True,
            snake_case_field=True,
            type_mappings=_PLAIN_TYPES,
        )
    if not isinstance(text, str):
        raise unfit("the generator needs more than one module for the schema")
    if name not in _defined(text):
        raise unfit("the generator produced no model for the schema")
    return text


def _defined(text: str) -> set[str]:
    """Return the names that a module defines at its top level."""
    found: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def pack(parts: bytes) -> bytes:
    """Return the ZIP archive of all models; `parts` is a JSON list of lists of `GeneratedModel`."""
    pieces = [piece for part in msgspec.json.decode(parts, type=list[list[GeneratedModel]]) for piece in part]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in _files(pieces).items():
            archive.writestr(_entry(path), text)
    return buffer.getvalue()


def _entry(path: str) -> zipfile.ZipInfo:
    """Return an entry with a fixed timestamp, so that equal event types give an identical archive."""
    entry = zipfile.ZipInfo(path, _ZIP_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _files(pieces: list[GeneratedModel]) -> dict[str, str]:
    files = {
        "openapi.json": json.dumps(document(pieces), indent=2, ensure_ascii=False) + "\n",
        f"{_PYTHON}/__init__.py": _python_index(pieces),
        f"{_PYTHON}/py.typed": "",
        f"{_TYPESCRIPT}/index.ts": _typescript_index(pieces),
    }
    for each in pieces:
        files[f"{_PYTHON}/{module(each.class_name)}.py"] = each.python
        files[f"{_TYPESCRIPT}/{module(each.class_name)}.ts"] = each.typescript
    return files


def _python_index(pieces: list[GeneratedModel]) -> str:
    lines = [f'"""{_HEAD}; they need pydantic 2."""', ""]
    lines += [f"from .{module(each.class_name)} import {each.class_name}" for each in pieces]
    lines += ["", "EVENTS = {", *(f"    {each.name!r}: {each.class_name}," for each in pieces), "}"]
    lines += ['"""The model of each event type."""', ""]
    names = ", ".join(repr(each.class_name) for each in pieces)
    return "\n".join([*lines, f"__all__ = ['EVENTS'{', ' if names else ''}{names}]", ""])


def _typescript_index(pieces: list[GeneratedModel]) -> str:
    lines = [f"/** {_HEAD}. */", ""]
    lines += [f'import type {{ {each.class_name} }} from "./{module(each.class_name)}";' for each in pieces]
    lines += ["", "/** The payload of each event type. */", "export interface Events {"]
    lines += [f"  {json.dumps(each.name)}: {each.class_name};" for each in pieces]
    lines += ["}", "", f"export type {{ {', '.join(each.class_name for each in pieces)} }};", ""]
    return "\n".join(lines)


def document(pieces: list[GeneratedModel]) -> dict[str, Any]:
    """Return an OpenAPI document with a webhook for each event type."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Webhooks", "version": __version__},
        "webhooks": {each.name: {"post": _operation(each)} for each in pieces},
        "components": {
            "schemas": {each.class_name: rebased(each.schema, _REF + each.class_name) for each in pieces},
        },
    }


def _operation(each: GeneratedModel) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.name,
        "description": each.description,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF + each.class_name}}},
        },
        "responses": {"2XX": {"description": "Any 2xx status acknowledges the event."}},
    }
    if each.deprecated:
        operation["deprecated"] = True
    if each.group is not None:
        operation["tags"] = [each.group]
    return operation
