# SPDX-License-Identifier: MIT
"""Measure the plainness of the prose: how often words of an old dialect occur, and which names lack a docstring.

`make voice` prints the figures; `make voice ARGS=--list` prints every place. `tests/test_voice.py` holds the targets.
"""

import argparse
import ast
import fnmatch
import functools
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = Path("src/tidings")
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "examples/README.md",
    "docs/**/*.md",
)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{text})\b".replace(" ", r"\s+"), re.IGNORECASE)


# Words and phrases with a plainer equivalent: name the thing, state the fact, use the field's term.
SIGNALS = {
    "tell": _pattern("tells?|told"),
    "whoever": _pattern("who(?:m)?ever"),
    "somebody": _pattern("somebody"),
    "nobody": _pattern("nobody"),
    "anew": _pattern("anew"),
    "shall": _pattern("shall"),
    "all the same": _pattern("all the same"),
    "so many": _pattern("so many"),
    "what is": _pattern(
        "what (?:is|are|was|were|has|had|waits?|waited|comes?|came|follows?|followed|fails?|failed|remains?|remained"
        "|stays?|stayed|runs?|ran|ends?|ended|goes|went|happens|happened|stands?|stood|belongs)"
    ),
    "the peer": _pattern("the peer(?:'s)?"),
    "stands": _pattern("stands"),
    "moment": _pattern("moments?"),
    "patient": _pattern("patient(?:s|ly)?|patience"),
    "in turns": _pattern("in turns"),
    "well": _pattern(
        "(?:is|are|be|been|was|were|gets?|got|looks?|seems?|stays?|becomes?|became|keeps?) well"
        "(?! (?:as|known|below|above|under|over|within|beyond))"
    ),
    "gone": _pattern("gone"),
}
# (files, signal, text around it, reason): where a signal word is the right one.
EXCEPTIONS = (("*", "gone", "410 Gone", "the name of an HTTP status"),)
# Words that are fine now and then. The targets are per 1,000 words.
RATES = {"what": (_pattern("what"), 2.0), "tell": (SIGNALS["tell"], 0.2), "who": (_pattern("who(?:ever)?"), 0.5)}
README_LINES = 120

_WORD = re.compile(r"[A-Za-z][\w'-]*")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_TARGET = re.compile(r"\]\([^)\s]*\)")
_PROSE = re.compile(r"[A-Za-z]\s|\s[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of text that people read, and the line it starts on; line 0 is the file's own name."""

    path: Path
    line: int
    kind: str  # "docstring", "comment", "string", "page" or "name"
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A signal word in its place."""

    path: Path
    line: int
    signal: str
    context: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.signal}: {self.context}"


def sources(root: Path) -> list[Path]:
    """Return the package's Python and SQL files, relative to the root."""
    return sorted(path.relative_to(root) for kind in ("py", "sql") for path in (root / PACKAGE).rglob(f"*.{kind}"))


def pages(root: Path) -> list[Path]:
    """Return the documentation, relative to the root."""
    return sorted({path.relative_to(root) for pattern in PAGES for path in root.glob(pattern)})


@functools.cache
def fragments(root: Path, path: Path) -> tuple[Fragment, ...]:
    """Return what a reader of the file reads: its name, its prose, and the texts that it prints."""
    return tuple(_fragments(root, path))


def _fragments(root: Path, path: Path) -> Iterator[Fragment]:
    yield Fragment(path, 0, "name", re.sub(r"[-_/]", " ", path.stem))
    text = (root / path).read_text()
    if path.suffix == ".md":
        yield Fragment(path, 1, "page", text)
    elif path.suffix == ".sql":
        yield from _comments(path, ((i, line) for i, line in enumerate(text.splitlines(), 1) if "--" in line), "--")
    else:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = ((each.start[0], each.string) for each in tokens if each.type == tokenize.COMMENT)
        yield from _comments(path, comments, "#")
        yield from _literals(path, ast.parse(text))


def _comments(path: Path, lines: Iterator[tuple[int, str]], sign: str) -> Iterator[Fragment]:
    """Join comments on successive lines, so that a phrase may continue on the next."""
    block: list[str] = []
    first = last = 0
    for number, line in lines:
        if block and number != last + 1:
            yield Fragment(path, first, "comment", "\n".join(block))
            block = []
        if not block:
            first = number
        block.append(line.partition(sign)[2])
        last = number
    if block:
        yield Fragment(path, first, "comment", "\n".join(block))


def _literals(path: Path, tree: ast.Module) -> Iterator[Fragment]:
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings.add(first.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node in docstrings:
                yield Fragment(path, node.lineno, "docstring", node.value)
            elif _PROSE.search(node.value):
                yield Fragment(path, node.lineno, "string", node.value)


def _blank(match: re.Match[str]) -> str:
    return "x" + "\n" * match[0].count("\n")


def prose(text: str, *, fenced: bool) -> str:
    """Blank inline code, link targets and, unless asked not to, fenced blocks; lines keep their numbers."""
    if not fenced:
        text = _FENCE.sub(_blank, text)
    return _TARGET.sub("]", _INLINE_CODE.sub("x", text))


def hits_in(fragment: Fragment) -> Iterator[Hit]:
    """Yield the signal words of a fragment, the excepted ones too."""
    text = prose(fragment.text, fenced=True)
    for signal, pattern in SIGNALS.items():
        for match in pattern.finditer(text):
            context = " ".join(text[max(0, match.start() - 30) : match.end() + 30].split())
            yield Hit(fragment.path, fragment.line + text.count("\n", 0, match.start()), signal, context)


def exception(hit: Hit) -> tuple[str, str, str, str] | None:
    """Return the exception that allows a signal word in its place."""
    for each in EXCEPTIONS:
        files, signal, context, _ = each
        if signal == hit.signal and fnmatch.fnmatch(str(hit.path), files) and context in hit.context:
            return each
    return None


def hits(root: Path, path: Path) -> list[Hit]:
    """Return the signal words of a file that no exception allows, in the order of their lines."""
    found = [hit for fragment in fragments(root, path) for hit in hits_in(fragment) if not exception(hit)]
    return sorted(found, key=lambda hit: (hit.line, hit.signal))


def rates(texts: list[str]) -> dict[str, float]:
    """Return how often each counted word occurs per 1,000 words of the texts."""
    plain = [prose(text, fenced=False) for text in texts]
    words = sum(len(_WORD.findall(text)) for text in plain) or 1
    counted = {**{name: pattern for name, (pattern, _) in RATES.items()}, **SIGNALS}
    return {name: 1000 * sum(len(p.findall(text)) for text in plain) / words for name, p in counted.items()}


def docstrings(root: Path) -> list[str]:
    """Return every docstring of the package."""
    each = (fragment for path in sources(root) for fragment in fragments(root, path))
    return [fragment.text for fragment in each if fragment.kind == "docstring"]


def documents(root: Path) -> list[str]:
    """Return the text of every page."""
    return [(root / path).read_text() for path in pages(root)]


def _definitions(root: Path) -> Iterator[tuple[Path, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield the public classes and functions at the top of the package's modules."""
    for path in sources(root):
        if path.suffix == ".py":
            for node in ast.parse((root / path).read_text()).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                    yield path, node


def duplicates(root: Path) -> dict[str, list[str]]:
    """Return the public classes whose name has more than one meaning, each with its places."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, node in _definitions(root):
        if isinstance(node, ast.ClassDef):
            places[node.name].append(f"{path}:{node.lineno}")
    return {name: each for name, each in sorted(places.items()) if len(each) > 1}


def undocumented(root: Path) -> list[str]:
    """Return the public classes and functions without a docstring."""
    return [f"{path}:{node.lineno}: {node.name}" for path, node in _definitions(root) if not ast.get_docstring(node)]


def readme_lines(root: Path) -> int:
    """Return the number of lines of README.md."""
    return len((root / "README.md").read_text().splitlines())


def _report(root: Path) -> Iterator[str]:
    of_code, of_pages = rates(docstrings(root)), rates(documents(root))
    yield f"{'per 1,000 words':<22}{'docstrings':>12}{'docs':>8}{'target':>8}"
    for name in of_code:
        target = f"{RATES[name][1]:g}" if name in RATES else "0"
        yield f"{name:<22}{of_code[name]:>12.2f}{of_pages[name]:>8.2f}{target:>8}"
    found = [hit for path in [*sources(root), *pages(root)] for hit in hits(root, path)]
    yield ""
    for name, value, target in (
        ("signal words, with comments and strings", len(found), "0"),
        ("files with a signal word", len({hit.path for hit in found}), "0"),
        ("public class names with two meanings", len(duplicates(root)), "0"),
        ("public names without a docstring", len(undocumented(root)), "0"),
        ("lines of README.md", readme_lines(root), f"<= {README_LINES}"),
    ):
        yield f"{name:<42}{value:>6}{target:>10}"


def _places(root: Path) -> Iterator[str]:
    for path in [*sources(root), *pages(root)]:
        yield from map(str, hits(root, path))
    for name, places in duplicates(root).items():
        yield f"{places[0]}: two meanings: class {name}, also in {', '.join(places[1:])}"
    for each in undocumented(root):
        yield f"{each}: no docstring"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the plainness of the prose in code and documentation.")
    parser.add_argument("--list", action="store_true", help="list every place instead of the figures")
    parser.add_argument("--files", action="store_true", help="list the files that have a signal word")
    chosen = parser.parse_args()
    lines: Iterator[str]
    if chosen.files:
        lines = (str(path) for path in [*sources(CHECKOUT), *pages(CHECKOUT)] if hits(CHECKOUT, path))
    else:
        lines = _places(CHECKOUT) if chosen.list else _report(CHECKOUT)
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
