# SPDX-License-Identifier: MIT
"""The pages for operators are true: their commands exist and run, and every alert has its section."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]  # its stubs are another package
from typer.core import TyperGroup

import live
from deploy import packages, tools
from postgres import Cluster
from tidings.cli.commands import app

DOCS = packages.CHECKOUT / "docs"
PAGES = ("deploy.md", "operate.md")
BLOCK = re.compile(r"^<!-- test: (?P<name>[\w ]+) -->\n```sh\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
ALERTS = tools.DEPLOY / "prometheus/alerts.yaml"


def block(page: str, name: str) -> str:
    """Return the commands of a page below the comment that names them."""
    [text] = [each["text"] for each in BLOCK.finditer((DOCS / page).read_text()) if each["name"] == name]
    return text


def replaced(text: str, words: Mapping[str, str | Path]) -> str:
    for old, new in words.items():
        assert old in text, f"the page no longer has {old}"
        text = text.replace(old, str(new))
    return text


def run(script: str, folder: Path, path: list[Path], **settings: str) -> str:
    """Run commands of a page; programs in `path` come before those of the machine."""
    environment = {**live.environment({}), **settings}
    environment["PATH"] = os.pathsep.join([*map(str, path), environment.get("PATH", os.defpath), "/usr/sbin"])
    ran = subprocess.run(
        ["bash", "-eu", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def commands_on_the_pages() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        text = (DOCS / page).read_text()
        spans = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^(?!#)(.*)$", text, re.MULTILINE)
        for span in spans:
            match = re.match(r"(?:\S*/)?tidings ([a-z-]+ .*|[a-z-]+)$", span.strip())
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
    text = Path(__file__).read_text()

    assert 6 == len(named)
    assert [] == [name for name in named if f'"{name}"' not in text]


SERVICE = """#!/bin/bash
# systemctl for one unit, without systemd: its ExecStart, with its environment file
set -eu
case $1 in
stop)
    pid=$(cat "{root}/pid"); kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done ;;
start)
    set -a; . "{root}/etc/tidings.env"; set +a
    cd "{root}/state"
    setsid {start} >>"{root}/log" 2>&1 & echo $! >"{root}/pid" ;;
esac
"""


class Machine:
    """A machine on which a page is followed: folders in place of the system's, and a stand-in for systemctl."""

    def __init__(self, root: Path, wheel: Path) -> None:
        self.root = root
        self.port = live.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        for name in ("bin", "etc", "state", "backups", "unit"):
            (root / name).mkdir(parents=True)
        (root / wheel.name).symlink_to(wheel)
        (root / "deploy").symlink_to(tools.DEPLOY)
        for name in ("useradd", "chown"):  # this machine has no such user
            self.program(name, "#!/bin/sh\n")

    def program(self, name: str, text: str) -> None:
        (self.root / "bin" / name).write_text(text)
        (self.root / "bin" / name).chmod(0o755)

    def install(self) -> None:
        """Follow the page, offline: the dependencies are those of the tests."""
        script = replaced(
            block("deploy.md", "install"),
            {
                "-g tidings ": "",
                "/opt/tidings": self.root / "opt",
                "/etc/tidings/": f"{self.root}/etc/",
                "/etc/tidings\n": f"{self.root}/etc\n",
                "/etc/systemd/system/": f"{self.root}/unit/",
            },
        )
        run(
            f'python3() {{ {sys.executable} "$@"; }}\n{script}',
            self.root,
            [self.root / "bin"],
            PIP_NO_DEPS="1",
            PIP_NO_INDEX="1",
        )
        [site] = (self.root / "opt/lib").glob("python3*/site-packages")
        packages.share_dependencies(site)
        environment = self.root / "etc/tidings.env"
        text = environment.read_text().replace("127.0.0.1:8071", f"127.0.0.1:{self.port}")
        environment.write_text(text.replace("/var/lib/tidings", str(self.root / "state")))
        [start] = re.findall(r"^ExecStart=(.*)$", (self.root / "unit/tidings.service").read_text(), re.MULTILINE)
        start = start.replace("/opt/tidings", str(self.root / "opt"))
        self.program("systemctl", SERVICE.format(root=self.root, start=start))

    def configure(self, **settings: str) -> None:
        with (self.root / "etc/tidings.env").open("a") as file:
            file.writelines(f"TIDINGS_{name.upper()}='{value}'\n" for name, value in settings.items())

    def follow(self, page: str, name: str) -> str:
        """Run the commands of a page on the folders of this machine."""
        text = block(page, name).replace("/var/lib/tidings", str(self.root / "state"))
        text = text.replace("/var/backups/tidings", str(self.root / "backups"))
        return run(text, self.root, [self.root / "bin", self.root / "opt/bin"])

    def systemctl(self, verb: str) -> None:
        run(f"systemctl {verb} tidings", self.root, [self.root / "bin"])

    def client(self) -> live.Live:
        """Return a client with a token made by the installed command."""
        run(f"until opt/bin/tidings healthcheck {self.url} 2>/dev/null; do sleep 0.1; done", self.root, [])
        secret = re.findall(r"^TIDINGS_JWT_SECRET=(.+)$", (self.root / "etc/tidings.env").read_text(), re.MULTILINE)
        return live.Live("", self.root, settings={"jwt_secret": secret[0]}, port=self.port)


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


class Prometheus:
    """A real Prometheus with the configuration and the rules of the checkout, which evaluates each second."""

    def __init__(self, folder: Path, target: str) -> None:
        self._program = tools.program("prometheus", "apt-get install prometheus")
        self.url = f"127.0.0.1:{live.free_port()}"
        shutil.copytree(tools.DEPLOY / "prometheus", folder)
        configuration = folder / "prometheus.yaml"
        configuration.write_text(replaced(configuration.read_text(), {"tidings:9464": target, "15s": "1s"}))
        self._arguments = [f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data"]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        command = [self._program, *self._arguments, f"--web.listen-address={self.url}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    def until(self, path: str, holds: Callable[[Any], bool]) -> None:
        """Repeat a query until its data fulfil a condition; the test's timeout is the limit."""
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.url}/api/v1/{path}") as response:
                if holds(json.load(response)["data"]):
                    return
            time.sleep(0.2)


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_a_stopped_receiver_fires_an_alert_on_an_installed_machine(dist: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", packages.wheel_in(dist))
    prometheus = Prometheus(tmp_path / "prometheus", target := f"127.0.0.1:{live.free_port()}")
    machine.install()
    machine.configure(metrics_address=target, retry_schedule="[]", whitelist_subnets="[127.0.0.1/32]")
    machine.systemctl("start")
    try:
        with prometheus.running():
            server = machine.client()
            app_id = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
            stopped = {"url": f"http://127.0.0.1:{live.free_port()}/"}
            assert 201 == server.call("POST", f"/api/v1/app/{app_id}/endpoint", stopped)[0]
            counter = "query?query=sum(tidings_deliveries_exhausted_total)==0"
            prometheus.until(counter, lambda data: len(data["result"]) == 1)
            server.call("POST", f"/api/v1/app/{app_id}/msg", {"eventType": "a", "payload": {}})
            prometheus.until("alerts", lambda data: "TidingsMessagesExhausted" in _firing(data))
            prometheus.until("alerts", lambda data: {"TidingsMessagesExhausted"} == _firing(data))
    finally:
        machine.systemctl("stop")


def _firing(data: Any) -> set[str]:
    return {each["labels"]["alertname"] for each in data["alerts"] if each["state"] == "firing"}


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
