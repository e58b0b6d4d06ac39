# SPDX-License-Identifier: MIT
"""The documentation is true: commands exist, examples run, links lead somewhere, tables are what the code says."""

import re
import subprocess
import sys
from pathlib import Path

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
        tuple(re.split(r" \||\)", line.partition("bin/tidings ")[2])[0].split())
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


def ran(command: list[str], server: live.Live, token: str) -> str:
    """Run a command of the README as a reader does, and return what it printed."""
    names = {"TIDINGS_URL": server.url, "TIDINGS_TOKEN": token}
    environment = {**live.environment({"jwt_secret": live.SECRET}), **names}
    ended = subprocess.run(command, cwd=server.folder, env=environment, capture_output=True, text=True, check=False)
    assert 0 == ended.returncode, ended.stderr
    return ended.stdout


def test_the_readme_runs_as_written(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/t.db"
    shell = "".join(each for each in blocks("sh") if "TIDINGS_TOKEN=" in each or "tasks" in each)
    shell = shell.replace(".venv/bin/tidings", f"{sys.executable} -m tidings")
    (tmp_path / "example.py").write_text("".join(blocks("python")))
    with live.serving(database, tmp_path, "--allow-loopback", whitelist_subnets="[]") as server:
        export = next(line for line in shell.splitlines() if line.startswith("export "))
        token = ran(["sh", "-c", f'{export}; printf %s "$TIDINGS_TOKEN"'], server, "")
        printed = ran([sys.executable, "example.py"], server, token).splitlines()
        task = printed[-1].split()[0]
        tasks = "\n".join(line for line in shell.splitlines() if " tasks " in line)
        followed = ran(["sh", "-ec", tasks.replace("TASK", task)], server, token)

    assert "success 200 thanks" == printed[0]
    assert "messagesSent" in printed[-1]
    assert followed.count(task) >= 2


def test_loopback_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(blocks("python")[0])
    with live.serving(f"sqlite:///{tmp_path}/t.db", tmp_path, whitelist_subnets="[]") as server:
        printed = ran([sys.executable, "example.py"], server, server.token)

    assert printed.startswith("fail 0 "), printed
    assert "blocked" in printed


def test_loopback_cannot_be_allowed_in_prod(tmp_path: Path) -> None:
    environment = live.environment({"environment": "prod", "jwt_secret": live.SECRET})
    command = [sys.executable, "-m", "tidings", "serve", "--allow-loopback", "--listen", "127.0.0.1:1"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert 2 == ended.returncode
    assert "--allow-loopback is for development" in ended.stderr
