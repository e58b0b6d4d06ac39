# SPDX-License-Identifier: MIT
"""What `tidings dev` prints for another terminal can be pasted there."""

import sys
from pathlib import Path

import pytest

from tidings.dev.terminal import command


def test_the_command_is_the_one_that_a_shell_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tidings"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    other = tmp_path / "a checkout" / "tidings"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "tidings" == command(str(program))
    assert f"'{other}'" == command(str(other))
    assert f"{sys.executable} -m tidings" == command("/somewhere/__main__.py")
    monkeypatch.setenv("PATH", "")
    assert str(program) == command(str(program))
