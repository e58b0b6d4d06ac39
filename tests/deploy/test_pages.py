# SPDX-License-Identifier: MIT
"""The pages for operators are true: their commands exist and run, and every alert has its section."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml  # type: ignore[import-untyped]  # its stubs are another package
from typer.core import TyperGroup

import live
from deploy import packages, tools
from deploy.machine import BLOCK, DOCS, PAGES, Machine, block, replaced, run
from postgres import Cluster
from tidings.cli.commands import app

ALERTS = tools.DEPLOY / "prometheus/alerts.yaml"


def commands_on_the_pages() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        text = (DOCS / page).read_text()
        spans = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^(?!#)(.*)$", text, re.MULTILINE)
        for span in spans:
            match = re.match(r"(?:\S*/)?tidings ([a-z][a-z-]* .*|[a-z][a-z-]*)$", span.strip())
            if match:
                yield page, shlex.split(match[1])


@pytest.mark.parametrize(("page", "words"), list(commands_on_the_pages()), ids=lambda each: " ".join(each)[:60])
def test_every_command_on_the_pages_exists_with_its_options(page: str, words: list[str]) -> None:
    del page
    command = typer.main.get_command(app)
    for word in words:
        if isinstance(command, TyperGroup):
            found = command.get_command(typer.Context(command), word)
            assert found is not None, word
            command = found
        elif word.startswith("--"):
            options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
            assert word.partition("=")[0] in options


def test_every_alert_has_its_section() -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    sections = re.findall(r"^### (Tidings\w+)$", (DOCS / "operate.md").read_text(), re.MULTILINE)

    assert sorted(alerts) == sorted(sections)


def test_every_named_block_of_the_pages_is_run_by_a_test() -> None:
    named = [each["name"] for page in PAGES for each in BLOCK.finditer((DOCS / page).read_text())]
    text = "".join(path.read_text() for path in sorted(Path(__file__).parent.glob("test_*.py")))

    assert 10 == len(named)
    assert [] == [name for name in named if f'"{name}"' not in text]


@pytest.mark.timeout(300)
def test_a_machine_is_installed_backed_up_and_restored_as_the_pages_say(dist: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path, packages.wheel_in(dist))
    machine.install()
    machine.systemctl("start")
    try:
        server = machine.client()
        app_id = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
        at = f"/api/v1/app/{app_id}/msg"
        kept = server.call("POST", at, {"eventType": "a", "payload": {}})[1]["id"]
        machine.follow("operate.md", "sqlite backup")
        lost = server.call("POST", at, {"eventType": "a", "payload": {}})[1]["id"]
        machine.follow("operate.md", "sqlite restore")
        machine.client()
        found = [server.call("GET", f"{at}/{each}")[0] for each in (kept, lost)]
    finally:
        machine.systemctl("stop")

    assert [200, 404] == found
    assert (0o600, 0o640) == tuple(
        (tmp_path / each).stat().st_mode & 0o777 for each in ("state/tidings.db", "etc/tidings.env")
    )


@pytest.mark.timeout(300)
def test_postgresql_is_backed_up_and_restored_as_the_page_says(postgres_binaries: Path, tmp_path: Path) -> None:
    if not (postgres_binaries / "pg_verifybackup").exists() or not (postgres_binaries / "psql").exists():
        pytest.skip("the client programs of PostgreSQL are absent (apt-get install postgresql)")
    with Cluster(postgres_binaries, durable=False) as cluster:
        cluster.create_database("tidings")
        names = {"TIDINGS_DB_DSN": "tidings", "ADMIN_DSN": "postgres", "RESTORED_DSN": "tidings_restored"}
        given = {
            **{name: cluster.dsn(value) for name, value in names.items()},
            "REPLICATION_DSN": cluster.dsn("postgres"),
        }
        with live.serving(given["TIDINGS_DB_DSN"], tmp_path) as server:
            app_id = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
            message = server.call("POST", f"/api/v1/app/{app_id}/msg", {"eventType": "a", "payload": {}})[1]["id"]
            backups = {"/var/backups/tidings": tmp_path}
            for name in ("postgresql dump", "postgresql base backup"):
                run(replaced(block("operate.md", name), backups), tmp_path, [postgres_binaries], **given)
        run(replaced(block("operate.md", "postgresql restore"), backups), tmp_path, [postgres_binaries], **given)
        with live.serving(given["RESTORED_DSN"], tmp_path) as server:
            restored, _ = server.call("GET", f"/api/v1/app/{app_id}/msg/{message}")

    assert 200 == restored
