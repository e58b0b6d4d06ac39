# SPDX-License-Identifier: MIT
"""The packages of storage import each other in one direction."""

import ast
from pathlib import Path

import pytest

from tidings.storage import lists

STORAGE = Path(__file__).resolve().parents[2] / "src/tidings/storage"
BOTTOM_UP = ("drivers", "tables", "lists")


def imported(path: Path) -> set[str]:
    """Return the packages of storage that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tidings.storage"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name.split(".")[2] for name in names}
    return found


@pytest.mark.parametrize("package", BOTTOM_UP)
def test_a_package_imports_only_those_below_it(package: str) -> None:
    allowed = set(BOTTOM_UP[: BOTTOM_UP.index(package) + 1])

    found = {path.name: imported(path) - allowed for path in (STORAGE / package).glob("*.py")}

    assert {} == {name: above for name, above in found.items() if above}


def test_other_packages_use_the_names_of_the_lists_only() -> None:
    package = STORAGE.parent
    others = [path for path in package.rglob("*.py") if not path.is_relative_to(STORAGE / "lists")]

    assert [] == [path.name for path in others if "tidings.storage.lists." in path.read_text()]
    assert lists.__all__
