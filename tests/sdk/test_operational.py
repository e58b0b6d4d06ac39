# SPDX-License-Identifier: MIT
"""Both generations of the official SDK call all their methods for operational endpoints."""

import json
import os
import subprocess
import sys

import pytest

from sdk.conftest import Tenant
from sdk.operational import Operational
from sdk.test_journey import GENERATION_1, HERE
from tidings.demo.processes import ReceiverProcess

NINE = ["create", "delete", "get", "get_headers", "get_secret", "list", "rotate_secret", "set_headers", "upsert"]


def test_the_current_python_sdk_receives_operational_events(server: Tenant, receiver: ReceiverProcess) -> None:
    found = Operational({"url": server.url, "token": server.token, "receiver": receiver.url}).run()

    assert {"called": NINE, "left": []} == found


def test_the_previous_python_sdk_receives_operational_events(server: Tenant, receiver: ReceiverProcess) -> None:
    if not GENERATION_1.is_dir():
        missing = f"{GENERATION_1} is absent; `make test` installs it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    run = subprocess.run(
        [sys.executable, "-S", str(HERE / "operational.py")],
        env={**os.environ, "PYTHONPATH": f"{GENERATION_1}{os.pathsep}{HERE.parent}"},
        input=json.dumps({"url": server.url, "token": server.token, "receiver": receiver.url}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert {"called": NINE, "left": []} == json.loads(run.stdout)
