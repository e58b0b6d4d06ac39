# SPDX-License-Identifier: MIT
"""Both generations of the official SDK call all their methods for connectors and environments."""

import json
import os
import subprocess
import sys

import pytest

from sdk.configuring import Configuring
from sdk.conftest import Tenant
from sdk.test_journey import GENERATION_1, HERE

EIGHT = [
    *(f"connector.{name}" for name in ("create", "delete", "get", "list", "patch", "upsert")),
    *(f"environment.{name}" for name in ("export", "import_")),
]


def test_the_current_python_sdk_configures_an_organization(server: Tenant) -> None:
    found = Configuring({"url": server.url, "token": server.token}).run()

    assert {"called": EIGHT, "left": []} == found


def test_the_previous_python_sdk_configures_an_organization(server: Tenant) -> None:
    if not GENERATION_1.is_dir():
        missing = f"{GENERATION_1} is absent; `make test` installs it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    run = subprocess.run(
        [sys.executable, "-S", str(HERE / "configuring.py")],
        env={**os.environ, "PYTHONPATH": f"{GENERATION_1}{os.pathsep}{HERE.parent}"},
        input=json.dumps({"url": server.url, "token": server.token}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert {"called": EIGHT, "left": []} == json.loads(run.stdout)
