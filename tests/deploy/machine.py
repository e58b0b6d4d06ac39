# SPDX-License-Identifier: MIT
"""A machine on which the pages for operators are followed, and the Prometheus beside it."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import live
from deploy import packages, tools

SECONDS = 120.0
DOCS = packages.CHECKOUT / "docs"
PAGES = ("deploy.md", "operate.md", "upgrading.md")
BLOCK = re.compile(
    r"^(?P<indent> *)<!-- test: (?P<name>[\w ]+) -->\n(?P=indent)```sh\n(?P<text>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)


def block(page: str, name: str) -> str:
    """Return the commands of a page below the comment that names them."""
    [text] = [
        textwrap.dedent(each["text"]) for each in BLOCK.finditer((DOCS / page).read_text()) if each["name"] == name
    ]
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
        ["bash", "-eu", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


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


PYTHON = """
python3() {{
    {python} "$@"
    for site in "${{@: -1}}"/lib/python3*/site-packages; do echo {dependencies} >"$site/dependencies.pth"; done
}}
"""
"""Makes an environment that finds the dependencies of the tests, without the package itself."""


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
        (root / "dependencies").mkdir()
        for each in Path(sysconfig.get_path("purelib")).iterdir():
            if not each.name.startswith(("tidings", "__editable__")):
                (root / "dependencies" / each.name).symlink_to(each)
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
        self._run_offline(script)
        environment = self.root / "etc/tidings.env"
        text = environment.read_text().replace("127.0.0.1:8071", f"127.0.0.1:{self.port}")
        environment.write_text(text.replace("/var/lib/tidings", str(self.root / "state")))
        [start] = re.findall(r"^ExecStart=(.*)$", (self.root / "unit/tidings.service").read_text(), re.MULTILINE)
        start = start.replace("/opt/tidings", str(self.root / "opt"))
        self.program("systemctl", SERVICE.format(root=self.root, start=start))

    def configure(self, **settings: str) -> None:
        with (self.root / "etc/tidings.env").open("a") as file:
            file.writelines(f"TIDINGS_{name.upper()}='{value}'\n" for name, value in settings.items())

    def offer(self, wheel: Path) -> None:
        """Put the wheel of another release in place of the present one."""
        for old in self.root.glob("*.whl"):
            old.unlink()
        (self.root / wheel.name).symlink_to(wheel)

    def copy_secrets(self, other: "Machine") -> None:
        """Use the secrets of another machine: all nodes of a database have the same."""
        text = (other.root / "etc/tidings.env").read_text()
        secrets = dict(re.findall(r"^TIDINGS_(JWT_SECRET|MAIN_SECRET)=(.+)$", text, re.MULTILINE))
        self.configure(**{name.lower(): value for name, value in secrets.items()})

    def follow(self, page: str, name: str) -> str:
        """Run the commands of a page on the folders of this machine, offline."""
        text = block(page, name)
        for place, folder in self.places().items():
            text = text.replace(place, folder)
        return self._run_offline(text)

    def _run_offline(self, script: str) -> str:
        """Run commands; the dependencies of environments that they make are those of the tests."""
        python = PYTHON.format(python=sys.executable, dependencies=self.root / "dependencies")
        path = [self.root / "bin", self.root / "opt/bin"]
        return run(python + script, self.root, path, PIP_NO_DEPS="1", PIP_NO_INDEX="1")

    def places(self) -> dict[str, str]:
        """Return what replaces the folders and the address of the pages."""
        return {
            "/var/lib/tidings": f"{self.root}/state",
            "/var/backups/tidings": f"{self.root}/backups",
            "/etc/tidings/": f"{self.root}/etc/",
            "/opt/tidings": f"{self.root}/opt",
            "http://127.0.0.1:8071": self.url,
        }

    def systemctl(self, verb: str) -> None:
        run(f"systemctl {verb} tidings", self.root, [self.root / "bin"])

    def client(self) -> live.Live:
        """Return a client with a token made by the installed command."""
        run(f"until opt/bin/tidings healthcheck {self.url} 2>/dev/null; do sleep 0.1; done", self.root, [])
        secrets = re.findall(r"^TIDINGS_JWT_SECRET=(.+)$", (self.root / "etc/tidings.env").read_text(), re.MULTILINE)
        return live.Live("", self.root, settings={"jwt_secret": secrets[-1].strip("'")}, port=self.port)


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


def firing(data: Any) -> set[str]:
    return {each["labels"]["alertname"] for each in data["alerts"] if each["state"] == "firing"}
