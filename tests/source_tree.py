# SPDX-License-Identifier: MIT
"""The Python files of the repository as syntax trees, and what the architecture rules look for in them."""

import ast
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "tidings"
Breach = tuple[int, str]
"""A line, and the violation in it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file of the package, or of the tests and scripts, which have no module name."""

    path: Path
    module: str  # name below the package ("core.apps"); empty for the package's own __init__
    nodes: tuple[ast.AST, ...]
    """All nodes of its tree. Each rule reads them, and a walk takes longer than a rule."""
    names: tuple[tuple[int, str], ...]
    """The names and attributes in it, as `dotted` writes them, with their lines."""

    @property
    def room(self) -> str:
        return self.module.partition(".")[0]

    def is_in(self, places: tuple[str, ...]) -> bool:
        return is_in(self.module, places)


def package_sources(root: Path) -> list[Source]:
    top = root / "src" / PACKAGE
    with _no_collections():
        return [_read(path, _module_name(path.relative_to(top))) for path in sorted(top.rglob("*.py"))]


def other_sources(root: Path) -> list[Source]:
    with _no_collections():
        return [_read(path, "") for folder in ("tests", "scripts") for path in sorted((root / folder).rglob("*.py"))]


@contextmanager
def _no_collections() -> Iterator[None]:
    """Collect no garbage in a block: among millions of nodes, all of them kept, that takes as long as the parser."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(path: Path, module: str) -> Source:
    nodes = tuple(ast.walk(ast.parse(path.read_text(), str(path))))
    return Source(path, module, nodes, tuple((line_of(node), found) for node in nodes if (found := dotted(node))))


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_of(target: str, modules: set[str]) -> str:
    while target not in modules:
        target = target.rpartition(".")[0]
    return target


def is_in(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def own_imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Yield the imports from our own package, named below it."""
    for node, target in imports(source):
        if target.startswith(f"{PACKAGE}."):
            yield node, target.removeprefix(f"{PACKAGE}.")


def imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    for node in source.nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(node, source):
                yield node, target


def targets(node: ast.Import | ast.ImportFrom, source: Source) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    origin = node.module or ""
    if node.level:
        depth = node.level - (source.path.name == "__init__.py")
        above = [PACKAGE, *filter(None, source.module.split("."))]
        origin = ".".join(filter(None, [*above[: len(above) - depth], origin]))
    return [f"{origin}.{alias.name}" for alias in node.names]


def functions(nodes: Iterable[ast.AST]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def uses(source: Source, names: tuple[str, ...], what: str) -> Iterator[Breach]:
    for statement, target in imports(source):
        if target in names:
            yield statement.lineno, f"{target}: {what}"
    ends = tuple(f".{name}" for name in names)
    for line, found in source.names:
        if found in names or found.endswith(ends):
            yield line, f"{found}: {what}"


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for a name, an attribute or a call of one; otherwise nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = node.value.func if isinstance(node.value, ast.Call) else node.value
        return f"{dotted(owner)}.{node.attr}"
    return ""


def text_of(node: ast.AST) -> str:
    """Return a string's text; each placeholder of an f-string becomes `x`."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "x" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def line_of(node: ast.AST) -> int:
    line: int = getattr(node, "lineno", 1)
    return line
