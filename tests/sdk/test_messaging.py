# SPDX-License-Identifier: MIT
"""Both generations of the official SDK call all their methods for messages and attempts."""

import json
import os
import subprocess
import sys

import pytest

from sdk.conftest import Tenant
from sdk.messaging import Messaging
from sdk.test_journey import GENERATION_1, HERE
from tidings.demo.processes import ReceiverProcess

# Methods that start tasks, which test_bulk.py tests; or of another product.
ELSEWHERE = {"message.expunge_all_contents", "message.poller"}


def test_the_current_python_sdk_completes_every_messaging_call(server: Tenant, receiver: ReceiverProcess) -> None:
    found = Messaging({"url": server.url, "token": server.token, "receiver": receiver.url}).run()

    assert ELSEWHERE == set(found["left"])
    assert "endpoint.send_example" in found["called"]


def test_the_previous_python_sdk_completes_every_messaging_call(server: Tenant, receiver: ReceiverProcess) -> None:
    if not GENERATION_1.is_dir():
        missing = f"{GENERATION_1} is absent; `make test` installs it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    run = subprocess.run(
        [sys.executable, "-S", str(HERE / "messaging.py")],
        env={**os.environ, "PYTHONPATH": f"{GENERATION_1}{os.pathsep}{HERE.parent}"},
        input=json.dumps({"url": server.url, "token": server.token, "receiver": receiver.url}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert ELSEWHERE == set(found["left"])
    assert "endpoint.send_example" in found["called"]
