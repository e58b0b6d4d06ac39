# SPDX-License-Identifier: MIT
"""The documentation is true: commands exist, examples run, links resolve, tables match the code."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

import docs
import live
from dev.kit import developing
from tidings.storage.drivers.database import Dialect
from tidings.storage.drivers.store import known_migrations

ROOT = docs.CHECKOUT
README = (ROOT / "README.md").read_text()
PAGES = docs.pages()

BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]+)")
ON_THE_PAGE = "http://127.0.0.1:8071"
MAKE = re.compile(r"\bmake (?P<target>[a-z]+)\b")


def blocks(kind: str) -> list[str]:
    return [match["text"] for match in BLOCK.finditer(README) if match["kind"] == kind]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_generated_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text()

    assert text == docs.filled(text), "run: .venv/bin/python scripts/docs.py"


@pytest.mark.parametrize("path", docs.schemas(), ids=lambda path: path.name)
def test_the_schema_files_are_up_to_date(path: Path) -> None:
    assert path.read_text() == docs.schemas()[path], "run: .venv/bin/python scripts/docs.py"


def test_the_schema_file_of_sqlite_creates_the_schema() -> None:
    statements = [text for migration in known_migrations() for text in migration.statements(Dialect.SQLITE)]

    assert _objects((ROOT / "docs/schema.sqlite.sql").read_text()) == _objects(";\n".join(statements))


def _objects(script: str) -> list[tuple[str, str]]:
    """Return the tables and indexes that a script creates, with their tables."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return connection.execute("SELECT name, tbl_name FROM sqlite_schema ORDER BY 1").fetchall()


def test_every_table_is_on_the_map_and_every_code_is_explained() -> None:
    [text] = [migration.text for migration in known_migrations() if migration.version == 1]
    heading, _, _ = text.partition("\nCREATE ")
    tables = re.findall(r"^CREATE TABLE (\w+) \(", text, re.MULTILINE)
    bare = {
        line.split()[0]
        for before, line in pairwise(text.splitlines())
        if line.startswith("    ") and " SMALLINT" in line and not before.lstrip().startswith("--")
    }

    assert [] == [table for table in tables if f"\n--     {table} " not in heading]
    assert {"disabled", "deleted"} == bare


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_has_an_existing_target(page: Path) -> None:
    dead = [match["path"] for match in LINK.finditer(page.read_text()) if not (page.parent / match["path"]).exists()]

    assert [] == dead


def test_the_totals_of_operations_agree() -> None:
    page = (ROOT / "docs/compatibility.md").read_text()
    listed = re.findall(r"^\| `v1[^|]*\|[^|]*\| (yes|partly|planned|501|404) \|", page, re.MULTILINE)
    served = sum(each in ("yes", "partly") for each in listed)

    assert 252 == len(listed)
    assert f"(252) | <!-- number served -->{served}<!-- end --> | 40 | all |" in README


def test_the_recipes_name_files_that_exist() -> None:
    paths = re.findall(r"`([\w/]+\.py|[\w/]+/)`", (ROOT / "CONTRIBUTING.md").read_text())

    assert len(paths) >= 20
    assert [] == [each for each in paths if not (ROOT / each).exists() and not (ROOT / "src/tidings" / each).exists()]


def test_the_architecture_names_files_and_classes_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    paths = re.findall(r"`([\w/]+\.py)`", text)
    classes = re.findall(r"participant \w+ as ([A-Z][a-z]+[A-Z]\w+)$", text, re.MULTILINE)
    source = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))

    assert len(paths) > 40
    assert [] == [each for each in paths if not (ROOT / each).exists() and not (ROOT / "src/tidings" / each).exists()]
    assert ["AcceptBatcher", "SettleBatcher"] == classes
    assert [] == [name for name in classes if f"class {name}" not in source]


def test_each_invariant_is_named_in_the_file_that_the_page_lists() -> None:
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


def test_every_test_file_named_in_the_makefile_exists() -> None:
    made = subprocess.run(["make", "-n", "quick", "chaos"], cwd=ROOT, capture_output=True, text=True, check=True)
    named = set(re.findall(r"(?<![\w/])tests(?:/\w+)+(?:\.py)?", made.stdout))

    assert "tests/tasks/kinds/test_recover.py" in named
    assert [] == sorted(path for path in named if not (ROOT / path).exists())


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


def ran(command: list[str], folder: Path, url: str, token: str) -> str:
    """Run a command of a page as a reader does, and return its output."""
    names = {"TIDINGS_URL": url, "TIDINGS_TOKEN": token}
    environment = {**live.environment({"jwt_secret": live.SECRET}), **names}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert 0 == ended.returncode, ended.stderr
    return ended.stdout


def test_the_readme_runs_as_written(tmp_path: Path) -> None:
    export = next(line for block in blocks("sh") for line in block.splitlines() if "TIDINGS_TOKEN=" in line)
    with live.serving(f"sqlite:///{tmp_path}/t.db", tmp_path, "--allow-loopback", whitelist_subnets="[]") as server:
        (tmp_path / ".venv").symlink_to(sys.prefix)
        (tmp_path / "example.py").write_text(blocks("python")[0].replace(ON_THE_PAGE, server.url))
        token = ran(["sh", "-c", f'{export}; printf %s "$TIDINGS_TOKEN"'], tmp_path, server.url, "")
        printed = ran([sys.executable, "example.py"], tmp_path, server.url, token)

    assert "success 200\n" == printed


def quickstart(folder: Path, url: str) -> str:
    """Save the programs of the quickstart and return its commands as one script.

    The script pauses where a reader does: until the receiver listens, until both messages have failed, until the last
    message has arrived.
    """
    page = (ROOT / "docs/quickstart.md").read_text()
    own = {ON_THE_PAGE: url, "8090": str(live.free_port())}
    programs = re.findall(r"Save this as `(\w+\.py)`.*?^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for name, text in programs:
        (folder / name).write_text(replaced(text, own))
    (folder / ".venv").symlink_to(sys.prefix)
    listens = f"until (: </dev/tcp/127.0.0.1/{own['8090']}) 2>/dev/null; do :; done"
    dry_run = ".venv/bin/tidings tasks run recover customer-1 billing --since 1h --dry-run --json"
    waits = {
        "receiver.py &": f"receiver.py >>received &\n{listens}",
        "send.py 3": f"send.py 3\nuntil {dry_run} | grep -Eq 'total\": *2'; do :; done",
        "kill %1": "kill %1\nwait %1 || true",
        "tasks list": "tasks list\nuntil grep -q 'invoice\":2' received && grep -q 'invoice\":3' received; do :; done",
    }
    commands = [match["text"] for match in BLOCK.finditer(page) if match["kind"] == "sh"]
    assert "make dev\n" == commands[0]
    return f"set -em\n{replaced(''.join(commands[1:]), own | waits)}kill %1\n"


def replaced(text: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def test_the_quickstart_runs_as_written(tmp_path: Path) -> None:
    with developing(tmp_path) as server:
        printed = ran(["bash", "-c", quickstart(tmp_path, server.url)], tmp_path, server.url, "")

    assert ['verified {"invoice":1}', 'verified {"invoice":2}', 'verified {"invoice":3}'] == sorted(
        (tmp_path / "received").read_text().splitlines()
    )
    assert "scheduled" in printed
    assert "endpoint.recover" in printed


def test_loopback_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    with live.serving(f"sqlite:///{tmp_path}/t.db", tmp_path, whitelist_subnets="[]", retry_schedule="[]") as server:
        _, app = server.call("POST", "/api/v1/app", {"name": "a"})
        at = f"/api/v1/app/{app['id']}"
        server.call("POST", f"{at}/endpoint", {"url": "http://127.0.0.1:9/"})
        _, message = server.call("POST", f"{at}/msg", {"eventType": "a", "payload": {}})
        attempts: list[dict[str, object]] = []
        while not attempts:
            attempts = server.call("GET", f"{at}/attempt/msg/{message['id']}?with_content=true")[1]["data"]

    assert 0 == attempts[0]["responseStatusCode"]
    assert "blocked" in str(attempts[0]["response"])


def test_loopback_cannot_be_allowed_in_prod(tmp_path: Path) -> None:
    environment = live.environment({"environment": "prod", "jwt_secret": live.SECRET})
    command = [sys.executable, "-m", "tidings", "serve", "--allow-loopback", "--listen", "127.0.0.1:1"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert 2 == ended.returncode
    assert "--allow-loopback is not available in prod" in ended.stderr
