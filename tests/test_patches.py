# SPDX-License-Identifier: MIT
"""Tests inject internal limits as tuning; they do not patch constants of the package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def patches(tree: ast.Module) -> Iterator[str]:
    """Yield the constants of the package that a file replaces: by `setattr`, or by an assignment to a module."""
    ours = _names_of_the_package(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            target, *rest = node.args
            if isinstance(target, ast.Constant) and str(target.value).startswith("tidings."):
                yield from _constant(str(target.value).rpartition(".")[2])
            elif rest and isinstance(rest[0], ast.Constant) and _root(target) in ours:
                yield from _constant(str(rest[0].value))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and _root(target) in ours:
                    yield from _constant(target.attr)


def _names_of_the_package(tree: ast.Module) -> set[str]:
    """Return the names in a file that are imported from the package."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tidings":
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or "tidings" for alias in node.names if alias.name.partition(".")[0] == "tidings"}
    return found


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _constant(name: str) -> Iterator[str]:
    if CONSTANT.fullmatch(name):
        yield name


def test_tests_patch_no_constants_of_the_package() -> None:
    found = {
        f"{path.relative_to(TESTS)}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in patches(ast.parse(path.read_text()))
    }

    assert found == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('from tidings.core import accept\nmonkeypatch.setattr(accept, "_BATCH", 1)', ["_BATCH"]),
        ('import tidings.core.accept as module\npatched.setattr(module, "BATCH", 1)', ["BATCH"]),
        ('monkeypatch.setattr("tidings.core.accept.BATCH", 1)', ["BATCH"]),
        ("from tidings.core import accept\naccept.BATCH = 1", ["BATCH"]),
        ('from tidings.core import accept\nmonkeypatch.setattr(accept, "close", 1)', []),
        ('import os\nmonkeypatch.setattr(os, "O_SYNC", 1)', []),
        ("self.BATCH = 1", []),
    ],
)
def test_a_patched_constant_is_found(text: str, found: list[str]) -> None:
    assert list(patches(ast.parse(text))) == found
