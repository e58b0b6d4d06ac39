# SPDX-License-Identifier: MIT
"""The interpreters that run the measured service: that of the benchmark, or others, each with an environment."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.programs import HERE
from python_build import build

PROBE = HERE.parent / "python_build.py"
REQUIREMENTS = HERE.parents[1] / "requirements.txt"
ENVIRONMENTS = HERE.parents[1] / ".venv/bench"


class Unusable(Exception):
    """An interpreter cannot run the service."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter with the dependencies of the service."""

    path: Path
    build: str
    """Its version, and `profile-guided` or `plain`."""


OWN = Interpreter(Path(sys.executable), build())


def prepared(names: Sequence[str]) -> list[Interpreter]:
    """Return the interpreters with these names or paths, or the benchmark's own one if there are none."""
    return [_prepared(name) for name in names] or [OWN]


def _prepared(name: str) -> Interpreter:
    path = shutil.which(name)
    if path is None:
        raise Unusable(f"{name} was not found")
    told = subprocess.run([path, PROBE], capture_output=True, text=True, check=False)
    words = told.stdout.split()
    if told.returncode or words[-1:] != ["complete"]:
        raise Unusable(f"{name} is not Python 3.11 or later with the module venv (apt-get install python3-venv)")
    return Interpreter(_environment(path), " ".join(words[:-1]))


def _environment(python: str) -> Path:
    """Return the interpreter of an environment, which is made once for each interpreter and set of dependencies."""
    key = hashlib.sha256(python.encode() + REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = ENVIRONMENTS / key
    done = folder / "done"
    if not done.exists():
        print(f"... installing the service for {python}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        install = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--require-hashes", "-r"]
        try:
            subprocess.run([python, "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin/python", *install, REQUIREMENTS], check=True)
        except subprocess.CalledProcessError as error:
            raise Unusable(f"no environment could be made for {python}: {error}") from error
        done.touch()
    return folder / "bin/python"
