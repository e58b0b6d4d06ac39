# SPDX-License-Identifier: MIT
"""The official SDK for JavaScript calls all its methods for the resources of the service."""

import json
import os
import shutil
import subprocess

import pytest

from sdk import calls
from sdk.conftest import Tenant
from sdk.recorder import Recorder
from sdk.test_journey import HERE
from tidings.demo.processes import ReceiverProcess

MODULES = HERE.parent.parent / ".venv" / "sdkjs" / "node_modules"
# Methods of another product.
ELSEWHERE = [
    "authentication.getStreamPollerToken",
    "authentication.rotateStreamPollerToken",
    "authentication.streamExpireAll",
    "authentication.streamLogout",
    "authentication.streamPortalAccess",
]


def test_the_javascript_sdk_completes_all_of_its_calls(
    server: Tenant, recorder: Recorder, receiver: ReceiverProcess
) -> None:
    node = shutil.which("node")
    if node is None or not MODULES.is_dir():
        missing = "Node.js, or what `make test` installs for it, is absent"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    run = subprocess.run(
        [node, str(HERE / "javascript" / "everything.cjs")],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        input=json.dumps({"url": recorder.url, "token": server.token, "receiver": receiver.url}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert ELSEWHERE == json.loads(run.stdout)["left"]
    calls.check("JavaScript", recorder.operations)
