# SPDX-License-Identifier: MIT
"""Programs of other projects that check the files in deploy/; a test without its program skips with the reason."""

import http.client
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tidings.cli.remote import Remote, Unreachable

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
PLACES = (*os.get_exec_path(), "/usr/sbin", os.path.expandvars("$HOME/go/bin"))


def program(name: str, source: str) -> str:
    """Return the path of a program, or skip; `source` says where it comes from."""
    found = shutil.which(name, path=os.pathsep.join(PLACES))
    if found is None:
        pytest.skip(f"{name} is not installed ({source})")
    return found


def until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    """Wait until a server is ready, or has ended."""
    while server.poll() is None:
        try:
            if Remote(url).head("/api/v1/health/ready") == http.client.NO_CONTENT:
                return
        except Unreachable:
            pass
        time.sleep(0.05)
