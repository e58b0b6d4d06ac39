# SPDX-License-Identifier: MIT
"""The official SDK for JavaScript calls all its methods for the everyday resources."""

import json
import os
import shutil
import subprocess

import pytest

from sdk.conftest import Tenant
from sdk.test_journey import HERE
from tidings.demo.processes import ReceiverProcess

MODULES = HERE.parent.parent / ".venv" / "sdkjs" / "node_modules"
# Methods of another product; of tasks, which test_bulk.py tests; or not served, as docs/compatibility.md lists.
ELSEWHERE = [
    "authentication.getStreamPollerToken",
    "authentication.rotateStreamPollerToken",
    "authentication.streamExpireAll",
    "authentication.streamLogout",
    "authentication.streamPortalAccess",
    "endpoint.bulkReplay",
    "endpoint.recover",
    "endpoint.replayMissing",
    "endpoint.transformationPartialUpdate",
    "message.expungeAllContents",
]


def test_the_javascript_sdk_completes_all_of_its_calls(server: Tenant, receiver: ReceiverProcess) -> None:
    node = shutil.which("node")
    if node is None or not MODULES.is_dir():
        missing = "Node.js, or what `make test` installs for it, is absent"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    run = subprocess.run(
        [node, str(HERE / "javascript" / "everything.cjs")],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        input=json.dumps({"url": server.url, "token": server.token, "receiver": receiver.url}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert ELSEWHERE == json.loads(run.stdout)["left"]
