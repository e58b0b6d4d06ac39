# SPDX-License-Identifier: MIT
"""Packages built from a clean copy of the checkout, and environments into which they are installed."""

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
BUILD = "from setuptools import build_meta as b; b.build_sdist('../dist'); b.build_wheel('../dist')"
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
INSTALL_SECONDS = 300


def tracked() -> list[str]:
    """Return the files of the checkout that git does not ignore: no caches, no databases, nothing that a build left."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).is_file()]


def built(folder: Path, change: Callable[[Path], None] | None = None) -> Path:
    """Build the source distribution and the wheel from a clean copy in a folder; return the folder with both.

    `change` receives the package in the copy before the build.
    """
    source, dist = folder / "source", folder / "dist"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, source / name)
    if change is not None:
        change(source / "src/tidings")
    dist.mkdir()
    subprocess.run([sys.executable, "-c", BUILD], cwd=source, capture_output=True, check=True)
    return dist


def wheel_in(dist: Path) -> Path:
    [wheel] = dist.glob("*.whl")
    return wheel


def environment(folder: Path, wheel: Path) -> Path:
    """Install a wheel into an empty environment on this Python, offline; return the folder of its commands.

    The dependencies are those of the environment of the tests, found through a path. A path of this kind does not load
    the editable install beside them, so the package can only come from the wheel.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "--python",
        str(folder / "bin/python"),
    ]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    share_dependencies(own)
    return folder / "bin"


def share_dependencies(site_packages: Path) -> None:
    """Let an environment find the dependencies in the environment of the tests."""
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")


@functools.cache
def pythons() -> dict[str, Path]:
    """Return the supported versions of Python that run on this machine, with their programs."""
    folders = [*os.get_exec_path(), *map(str, sorted(Path("~/.pyenv/versions").expanduser().glob("*/bin")))]
    found: dict[str, Path] = {}
    for version in SUPPORTED:
        programs = [Path(folder) / f"python{version}" for folder in folders]
        usable = next((each for each in programs if each.is_file() and _runs(each)), None)
        if usable is not None:
            found[version] = usable
    return found


def _runs(python: Path) -> bool:
    """Return whether a program is a Python that can make environments, and not a shim without one."""
    return subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode == 0


def output(command: Sequence[str | Path], folder: Path, **settings: str) -> str:
    """Run a command outside the checkout, without settings of this process, and return its output."""
    foreign = {
        name: value for name, value in os.environ.items() if not name.startswith(("TIDINGS_", "SVIX_", "PYTHON"))
    }
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**foreign, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
