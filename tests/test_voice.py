# SPDX-License-Identifier: MIT
"""The prose is plain: no signal words of scripts/voice.py, one meaning for a class name, a docstring for each name."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

import voice
from tidings.cli.commands import app

ROOT = voice.CHECKOUT
_PLACES = {"docstrings": voice.docstrings, "docs": voice.documents}


@functools.cache
def _rates(place: str) -> dict[str, float]:
    """Measure once, and not while tests are collected: every process of a run collects all of them."""
    return voice.rates(_PLACES[place](ROOT))


def test_a_file_has_no_signal_words() -> None:
    files = set(voice.sources(ROOT)) | set(voice.pages(ROOT))

    assert [] == [str(hit) for path in sorted(files) for hit in voice.hits(ROOT, path)]


def test_each_exception_is_still_needed() -> None:
    files = voice.sources(ROOT) + voice.pages(ROOT)
    found = [hit for path in files for fragment in voice.fragments(ROOT, path) for hit in voice.hits_in(fragment)]
    used = {voice.exception(hit) for hit in found}

    assert [] == [each for each in voice.EXCEPTIONS if each not in used]


def _commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, TyperGroup):
        for name, each in sorted(command.commands.items()):
            yield from _commands(each, (*path, name))


COMMANDS = list(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "tidings")
def test_the_help_of_a_command_has_no_signal_words(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "500"})
    text = shown.stdout.replace("│", " ")
    found = list(voice.hits_in(voice.Fragment(Path("help"), 1, "string", text)))

    assert 0 == shown.exit_code
    assert "Usage:" in text
    assert [] == found


@pytest.mark.parametrize("name", voice.RATES)
@pytest.mark.parametrize("place", _PLACES)
def test_a_restricted_word_is_rare(name: str, place: str) -> None:
    assert _rates(place)[name] <= voice.RATES[name][1]


def test_a_class_name_has_one_meaning() -> None:
    assert {} == voice.duplicates(ROOT)


def test_a_public_name_has_a_docstring() -> None:
    assert [] == voice.undocumented(ROOT)


def test_the_readme_is_short() -> None:
    assert voice.readme_lines(ROOT) <= voice.README_LINES


PLANTED = [
    ("x.py", '"""Tell the caller."""', "tell", 1),
    ("x.py", 'def f():\n    """Return it.\n\n    The task is told."""', "tell", 4),
    ("x.py", "x = 1\n# For whoever asks.", "whoever", 2),
    ("x.py", "x = 1\n# It goes on all the\n# same.", "all the same", 2),
    ("x.py", 'x = "Somebody has the lock"', "somebody", 1),
    ("x.py", 'x = f"nobody has {lock}"', "nobody", 1),
    ("x.py", 'raise ValueError("the endpoint " + "shall answer")', "shall", 1),
    ("x.sql", "CREATE TABLE x (\n  y TEXT -- what is left of it\n);", "what is", 2),
    ("x.sql", "-- Sent in\n-- turns.", "in turns", 1),
    ("told.py", "", "tell", 0),
    ("README.md", "# Title\n\nAs at the peer, it is computed\nanew.\n", "anew", 4),
    ("README.md", "# Title\n\nAs at the peer.\n", "the peer", 3),
    ("docs/decisions/001-x.md", "# The id is the moment\n", "moment", 1),
    ("docs/x.md", "So many files stand where this one stands.", "so many", 1),
    ("docs/x.md", "So many files stand where this one stands.", "stands", 1),
    ("docs/x.md", "The receiver is well again.", "well", 1),
    ("docs/x.md", "The message is gone.", "gone", 1),
    ("docs/x.md", "A patient writer waits.", "patient", 1),
    ("docs/x.md", "```sh\nmake x # what comes next\n```\n", "what is", 2),
    ("CHANGELOG.md", "- The log tells it.", "tell", 1),
]
HARMLESS = [
    ("x.py", 'told = "told"'),
    ("x.py", '"""Return it, as well as `told`; it is well known."""'),
    ("x.py", '"""Disable the endpoint on 410 Gone."""'),
    ("README.md", "It is [pending](docs/what-is-gone.md), with `moment` as a name.\n"),
]


def _plant(root: Path, place: str, text: str) -> Path:
    path = Path(place) if place.endswith(".md") else voice.PACKAGE / place
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    return path


@pytest.mark.parametrize(("place", "text", "signal", "line"), PLANTED)
def test_a_signal_word_is_found(tmp_path: Path, place: str, text: str, signal: str, line: int) -> None:
    path = _plant(tmp_path, place, text)

    assert path in voice.sources(tmp_path) + voice.pages(tmp_path)
    assert (line, signal) in [(hit.line, hit.signal) for hit in voice.hits(tmp_path, path)]


@pytest.mark.parametrize(("place", "text"), HARMLESS)
def test_ordinary_words_are_not_found(tmp_path: Path, place: str, text: str) -> None:
    assert [] == voice.hits(tmp_path, _plant(tmp_path, place, text))


def test_every_signal_word_is_found_in_a_sample() -> None:
    assert set(voice.SIGNALS) == {signal for _, _, signal, _ in PLANTED}


def test_rates_are_per_thousand_words_of_prose() -> None:
    text = "what " + "word " * 499 + "\n```\nwhat what\n```\n`what`"

    assert 1000 / 502 == pytest.approx(voice.rates([text])["what"])  # blanked code counts as a word


def test_duplicate_class_names_and_missing_docstrings_are_found(tmp_path: Path) -> None:
    _plant(tmp_path, "a.py", 'class Same:\n    """One."""\n\nclass _Own: ...\n')
    _plant(tmp_path, "b.py", 'class Same:\n    """Another."""\n\nclass _Own: ...\n\nasync def f(): ...\n')

    assert {"Same": ["src/tidings/a.py:1", "src/tidings/b.py:1"]} == voice.duplicates(tmp_path)
    assert ["src/tidings/b.py:6: f"] == voice.undocumented(tmp_path)
