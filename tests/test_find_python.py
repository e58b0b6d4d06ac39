# SPDX-License-Identifier: MIT
"""scripts/find-python.sh, with interpreters that only say how they were built."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from python_build import is_profile_guided

SCRIPT = Path(__file__).parents[1] / "scripts/find-python.sh"
SHELL = shutil.which("sh") or "/bin/sh"
DIRNAME = shutil.which("dirname") or "/usr/bin/dirname"

Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Install a fake interpreter: its path below the folder of the test, and the words that it prints."""

    def written(name: str, words: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        answer = f"echo 3.12.1 {words}" if words else "echo is not installed >&2; exit 127"
        path.write_text(f'#!{SHELL}\n[ "$1" = -c ] && echo 3.12 || {{ {answer}; }}\n')
        path.chmod(0o755)
        return path

    return written


def find(tmp_path: Path, **environment: str) -> tuple[int, str, str]:
    """Run the script with the folders `first` and `second` on PATH; return exit code, output and errors."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "dirname").symlink_to(DIRNAME)
    path = os.pathsep.join(str(tmp_path / each) for each in ("first folder", "second", "tools"))
    told = subprocess.run(
        [SHELL, SCRIPT], env={"PATH": path, **environment}, capture_output=True, text=True, check=False
    )
    return told.returncode, told.stdout.strip(), told.stderr.strip()


def test_a_profile_guided_build_precedes_an_earlier_one_on_the_path(tmp_path: Path, install: Install) -> None:
    install("first folder/python3", "plain complete")
    wanted = install("second/python3", "profile-guided complete")

    assert (0, str(wanted), "") == find(tmp_path)


def test_a_profile_guided_build_of_another_version_precedes_python3(tmp_path: Path, install: Install) -> None:
    install("first folder/python3", "plain complete")
    wanted = install("first folder/python3.13", "profile-guided complete")

    assert (0, str(wanted), "") == find(tmp_path)


def test_the_first_build_is_taken_where_none_is_profile_guided(tmp_path: Path, install: Install) -> None:
    wanted = install("first folder/python3", "plain complete")
    install("second/python3", "plain complete")

    assert (0, str(wanted), "") == find(tmp_path)


def test_a_shim_that_fails_is_passed_over(tmp_path: Path, install: Install) -> None:
    install("first folder/python3", "")
    wanted = install("second/python3.11", "plain complete")

    assert (0, str(wanted), "") == find(tmp_path)


def test_a_folder_is_not_an_interpreter(tmp_path: Path, install: Install) -> None:
    (tmp_path / "first folder/python3").mkdir(parents=True)
    wanted = install("second/python3", "plain complete")

    assert (0, str(wanted), "") == find(tmp_path)


def test_the_plain_build_serves_until_the_faster_one_is_complete(tmp_path: Path, install: Install) -> None:
    faster = install("first folder/python3", "profile-guided incomplete")
    wanted = install("second/python3", "plain complete")

    code, found, errors = find(tmp_path)

    assert (0, str(wanted)) == (code, found)
    assert f"{faster} cannot make environments. Install its venv module: apt-get install python3-venv" in errors
    assert f"Until then: {wanted}" in errors


def test_a_python_without_the_venv_module_names_its_package(tmp_path: Path, install: Install) -> None:
    lacking = install("first folder/python3", "plain incomplete")

    code, found, errors = find(tmp_path)

    assert (1, "") == (code, found)
    assert errors.startswith(f"{lacking} cannot make environments.")
    assert errors.endswith("apt-get install python3-venv (or python3.12-venv)")


def test_a_machine_without_python_says_what_to_install(tmp_path: Path) -> None:
    code, found, errors = find(tmp_path)

    assert (1, "") == (code, found)
    assert errors.startswith("Python 3.11 or later was not found. Install it:")


def test_python_is_chosen_by_hand(tmp_path: Path, install: Install) -> None:
    install("first folder/python3", "profile-guided complete")
    wanted = install("second/python3.12", "plain complete")

    assert (0, str(wanted), "") == find(tmp_path, PYTHON="python3.12")


@pytest.mark.parametrize("given", ["missing", "shim", "none such"])
def test_an_interpreter_chosen_by_hand_is_not_replaced(tmp_path: Path, install: Install, given: str) -> None:
    install("first folder/python3", "plain complete")
    install("first folder/shim", "")

    assert (1, "", f"PYTHON is {given}, which is not Python 3.11 or later") == find(tmp_path, PYTHON=given)


def test_an_incomplete_interpreter_chosen_by_hand_names_its_package(tmp_path: Path, install: Install) -> None:
    install("first folder/python3", "plain complete")
    given = install("other", "plain incomplete")

    code, found, errors = find(tmp_path, PYTHON=str(given))

    assert (1, "") == (code, found)
    assert errors.startswith(f"{given} cannot make environments.")


def test_the_python_of_the_tests_is_found(tmp_path: Path) -> None:
    code, found, errors = find(tmp_path, PYTHON=sys.executable)

    assert (0, sys.executable, "") == (code, found, errors)


@pytest.mark.parametrize(
    ("recorded", "guided"),
    [
        ({"CONFIG_ARGS": "'--prefix=/usr/local' '--enable-optimizations'", "PGO_PROF_USE_FLAG": "-fprofile-use"}, True),
        ({"CONFIG_ARGS": "'--with-wheel-pkg-dir=/usr/share/python-wheels/'", "PGO_PROF_USE_FLAG": ""}, True),
        ({"CONFIG_ARGS": "'--enable-shared'", "PGO_PROF_USE_FLAG": "-fprofile-use -fprofile-correction"}, False),
        ({"CONFIG_ARGS": "'--enable-shared'", "PGO_PROF_USE_FLAG": ""}, False),
        ({"CONFIG_ARGS": None}, False),
        ({}, False),
    ],
)
def test_a_build_shows_in_what_python_recorded(recorded: dict[str, object], guided: bool) -> None:  # noqa: FBT001
    assert guided == is_profile_guided(recorded)
