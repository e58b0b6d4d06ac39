# SPDX-License-Identifier: MIT
"""Both generations of the official SDK call all their methods for the everyday resources."""

import json
import os
import subprocess
import sys

import pytest

from sdk.conftest import Tenant
from sdk.everyday import Everyday
from sdk.test_journey import GENERATION_1, HERE

# Methods of tasks, which test_bulk.py tests; of another product; or not served, as docs/compatibility.md lists.
TASKS = {"endpoint.recover", "endpoint.replay_missing", "endpoint.bulk_replay"}
STREAM = {
    "authentication.stream_portal_access",
    "authentication.stream_expire_all",
    "authentication.stream_logout",
    "authentication.get_stream_poller_token",
    "authentication.rotate_stream_poller_token",
}
ABSENT_1 = {"integration.get_key"}
ELSEWHERE = TASKS | STREAM | {"endpoint.send_example"}


def test_the_current_python_sdk_completes_every_everyday_call(server: Tenant) -> None:
    found = Everyday({"url": server.url, "token": server.token}).run()

    assert ELSEWHERE == set(found["left"])


def test_the_previous_python_sdk_completes_every_everyday_call(server: Tenant) -> None:
    if not GENERATION_1.is_dir():
        missing = f"{GENERATION_1} is absent; `make test` installs it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    run = subprocess.run(
        [sys.executable, "-S", str(HERE / "everyday.py")],
        env={**os.environ, "PYTHONPATH": str(GENERATION_1)},
        input=json.dumps({"url": server.url, "token": server.token}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert ELSEWHERE | ABSENT_1 == set(found["left"])
    assert {"endpoint.upsert", "endpoint.set_headers", "authentication.dashboard_access"} < set(found["called"])
