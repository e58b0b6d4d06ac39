# SPDX-License-Identifier: MIT
"""The packages are complete, and the wheel runs in an empty environment outside the checkout."""

import email
import email.message
import os
import re
import signal
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import live
from deploy import packages, tools
from tidings import __version__


def _sources() -> set[str]:
    """Return the files of the package in the checkout."""
    return {name.removeprefix("src/") for name in packages.tracked() if name.startswith("src/")}


def _metadata(dist: Path) -> email.message.Message:
    with zipfile.ZipFile(packages.wheel_in(dist)) as wheel:
        return email.message_from_bytes(wheel.read(f"tidings-{__version__}.dist-info/METADATA"))


def test_the_wheel_has_every_file_of_the_package_and_no_other(dist: Path) -> None:
    with zipfile.ZipFile(packages.wheel_in(dist)) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert {"tidings/py.typed", "tidings/storage/migrations/0001_initial.sql"} <= names
    assert _sources() == names


def test_the_source_distribution_has_the_package_and_no_tests(dist: Path) -> None:
    [archive] = dist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}

    assert {f"src/{name}" for name in _sources()} | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert not any(name.startswith(("tests", "scripts", ".")) for name in names)


def test_the_metadata_names_what_a_package_index_shows(dist: Path) -> None:
    metadata = _metadata(dist)
    classifiers = metadata.get_all("Classifier", [])
    supported = {each.rpartition(" ")[2] for each in classifiers if "Python :: 3." in each}

    assert ("tidings", __version__, "MIT") == (metadata["Name"], metadata["Version"], metadata["License-Expression"])
    assert set(packages.SUPPORTED) == supported
    assert ("text/markdown", ">=3.11") == (metadata["Description-Content-Type"], metadata["Requires-Python"])
    assert str(metadata.get_payload()).startswith("# tidings\n")
    assert {"demo", "export"} <= set(metadata.get_all("Provides-Extra", []))


def test_every_dependency_has_a_lower_bound_only() -> None:
    """An upper bound would keep a fixed release of a dependency out of every environment that has the service."""
    project = tomllib.loads((packages.CHECKOUT / "pyproject.toml").read_text())["project"]
    listed = [each.partition(";")[0].strip() for each in project["dependencies"]]

    assert [] == [each for each in listed if not re.fullmatch(r"[\w.-]+>=[\d.]+", each)]


def test_an_installed_wheel_reports_its_version(commands: Path, tmp_path: Path) -> None:
    where = packages.output([commands / "python", "-c", "import tidings; print(tidings.__file__)"], tmp_path)

    assert str(commands.parent) in where
    assert f"tidings {__version__}\n" == packages.output([commands / "tidings", "--version"], tmp_path)


def test_an_installed_wheel_serves_until_sigterm(commands: Path, tmp_path: Path) -> None:
    served_and_stopped(commands / "tidings", tmp_path)


def served_and_stopped(tidings: Path, folder: Path) -> None:
    """Serve on an empty database until the server is healthy, and stop it by SIGTERM."""
    url = f"http://127.0.0.1:{live.free_port()}"
    settings = live.environment({"listen_address": url.removeprefix("http://"), "jwt_secret": live.SECRET})
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([tidings, "serve"], cwd=folder, env=settings, stdout=log, stderr=log)
    try:
        tools.until_ready(server, url)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0, (folder / "log").read_text()
    finally:
        server.kill()
        server.wait()
    assert (folder / "tidings.db").exists()


@pytest.mark.chaos  # installs all dependencies, some 60 MB, for each Python
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", packages.SUPPORTED)
def test_the_wheel_installs_and_runs_on_each_python(version: str, dist: Path, tmp_path: Path) -> None:
    python = packages.pythons().get(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    venv = tmp_path / "venv"
    packages.output([python, "-m", "venv", venv], tmp_path)
    _online([venv / "bin/pip", "install", "--quiet", f"{packages.wheel_in(dist)}[demo]"], tmp_path)

    assert f"tidings {__version__}\n" == packages.output([venv / "bin/tidings", "--version"], tmp_path)
    served_and_stopped(venv / "bin/tidings", tmp_path)
    assert "Nothing lost" in packages.output([venv / "bin/tidings", "demo"], tmp_path, COLUMNS="100")


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("launcher", ["uvx", "pipx"])
def test_the_wheel_runs_without_an_install(launcher: str, dist: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    packages.output([os.fspath(next(iter(packages.pythons().values()))), "-m", "venv", tools], tmp_path)
    _online([tools / "bin/pip", "install", "--quiet", {"uvx": "uv", "pipx": "pipx"}[launcher]], tmp_path)
    wheel = f"tidings[demo] @ {packages.wheel_in(dist).as_uri()}"
    python = next(iter(packages.pythons().values()))
    uvx: list[str | Path] = [tools / "bin/uvx", "--python", python, "--from", wheel, "tidings"]
    pipx: list[str | Path] = [tools / "bin/pipx", "run", "--spec", wheel, "tidings"]
    run = uvx if launcher == "uvx" else pipx
    homes = {name: str(tmp_path / name) for name in ("HOME", "PIPX_HOME", "UV_CACHE_DIR", "UV_TOOL_DIR")}

    assert f"tidings {__version__}\n" == packages.output([*run, "--version"], tmp_path, **homes)
    assert "Nothing lost" in packages.output([*run, "demo"], tmp_path, COLUMNS="100", **homes)


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_the_packages_pass_the_checks_of_the_package_index(dist: Path, tmp_path: Path) -> None:
    packages.output([os.fspath(next(iter(packages.pythons().values()))), "-m", "venv", tmp_path / "venv"], tmp_path)
    _online([tmp_path / "venv/bin/pip", "install", "--quiet", "twine"], tmp_path)

    checked = packages.output([tmp_path / "venv/bin/twine", "check", "--strict", *dist.iterdir()], tmp_path)

    assert 2 == checked.count("PASSED")


def _online(command: list[Path | str], folder: Path) -> None:
    """Run an install that needs a package index; without one, skip the test with the reason."""
    try:
        packages.output(command, folder)
    except AssertionError as error:
        if re.search(r"Could not find a version|NewConnectionError|No matching distribution", str(error)):
            pytest.skip("no package index is reachable")
        raise
