# SPDX-License-Identifier: MIT
"""The documentation is true: commands exist, examples run, links lead somewhere, tables are what the code says."""

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import docs
import live

ROOT = docs.CHECKOUT
README = (ROOT / "README.md").read_text()
PAGES = docs.pages()

BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]+)")
MAKE = re.compile(r"\bmake (?P<target>[a-z]+)\b")


def blocks(kind: str) -> list[str]:
    return [match["text"] for match in BLOCK.finditer(README) if match["kind"] == kind]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_code_knows_is_up_to_date(page: Path) -> None:
    text = page.read_text()

    assert text == docs.filled(text), "run: .venv/bin/python scripts/docs.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = [match["path"] for match in LINK.finditer(page.read_text()) if not (page.parent / match["path"]).exists()]

    assert [] == dead


def test_each_invariant_is_named_where_the_page_says_that_it_is_held() -> None:
    held = re.findall(r"^\| (I\d+) \| .* \| (.*) \|$", (ROOT / "docs/background-tasks.md").read_text(), re.MULTILINE)
    missing = [
        (number, path)
        for number, files in held
        for path in re.findall(r"`([^`]+)`", files)
        if not re.search(rf"\b{number}\b", (ROOT / path).read_text())
    ]

    assert [f"I{number}" for number in range(1, 17)] == [number for number, _ in held]
    assert [] == missing


def test_every_make_target_named_in_the_readme_exists() -> None:
    named = {match["target"] for block in blocks("sh") for match in MAKE.finditer(block)}
    named |= {match["target"] for match in re.finditer(r"`make (?P<target>[a-z]+)", README)}

    assert {"demo", "test"} <= named
    makefile = (ROOT / "Makefile").read_text()
    assert [] == [target for target in sorted(named) if not re.search(rf"^{target}:", makefile, re.MULTILINE)]


COMMANDS = sorted(
    {
        tuple(line.partition("bin/tidings ")[2].split())
        for block in blocks("sh")
        for line in block.splitlines()
        if "bin/tidings " in line
    }
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_in_the_readme_exists(command: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tidings", *command, "--help"], capture_output=True, text=True, check=False
    )

    assert 0 == ran.returncode, ran.stderr
    assert "Usage" in ran.stdout


@pytest.fixture
def server(tmp_path: Path) -> Iterator[live.Live]:
    with live.serving(f"sqlite:///{tmp_path}/t.db", tmp_path) as running:
        yield running


def test_the_examples_run(server: live.Live) -> None:
    example = "".join(blocks("python"))
    example = example.replace('"TOKEN"', repr(server.token)).replace("http://127.0.0.1:8071", server.url)
    example = example.replace("https://example.com/webhooks", "http://127.0.0.1:9/")
    names: dict[str, Any] = {}

    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - it is our own text that is tested
    names["svix"]._httpx_client.close()  # noqa: SLF001 - the SDK has no way to close it

    assert "messagesSent" in said.getvalue()
