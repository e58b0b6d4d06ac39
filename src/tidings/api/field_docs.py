# SPDX-License-Identifier: MIT
"""Descriptions of fields, read from the docstrings below them.

Python drops these docstrings when it compiles a class. The source is parsed when the OpenAPI document is built: nothing
is read at import time, and nothing is cached. Without the source, the fields have no descriptions.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.abc import InspectLoader

_WRAPPED = re.compile(r"(?<!\n)\n(?![\n-])")

Docs = Mapping[str, str]


def prose(docstring: str | None) -> str:
    """Return a docstring with each paragraph and each list item on one line."""
    return _WRAPPED.sub(" ", inspect.cleandoc(docstring or "").strip())


class FieldDocs:
    """The descriptions of the fields of classes, by class; each module is parsed once."""

    def __init__(self) -> None:
        self._modules: dict[str, Mapping[str, Docs]] = {}

    def of(self, declared: type) -> Docs:
        """Return the descriptions of a class's own and inherited fields, by their names in Python.

        A class that is made from declarations describes its fields itself, by `described`.
        """
        found: dict[str, str] = getattr(declared, "described", dict)()
        for base in reversed(declared.__mro__):
            found |= self._module(base.__module__).get(base.__qualname__, {})
        return found

    def _module(self, name: str) -> Mapping[str, Docs]:
        if name not in self._modules:
            is_ours = name.partition(".")[0] == __name__.partition(".")[0]
            self._modules[name] = dict(_classes(_source(name))) if is_ours else {}
        return self._modules[name]


def _source(name: str) -> str:
    spec = sys.modules[name].__spec__
    loader = None if spec is None else spec.loader
    try:
        return (loader.get_source(name) or "") if isinstance(loader, InspectLoader) else ""
    except ImportError:  # the package is installed without its source
        return ""


def _classes(source: str) -> Iterator[tuple[str, Docs]]:
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ClassDef):
            yield statement.name, dict(_fields(statement))


def _fields(declared: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(declared.body, declared.body[1:], strict=False):
        targets = [field.target] if isinstance(field, ast.AnnAssign) else getattr(field, "targets", [None])
        target, text = targets[0], below.value if isinstance(below, ast.Expr) else None
        if isinstance(target, ast.Name) and isinstance(text, ast.Constant) and isinstance(text.value, str):
            yield target.id, prose(text.value)
