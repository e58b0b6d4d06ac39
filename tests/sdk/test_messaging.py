# SPDX-License-Identifier: MIT
"""Both generations of the official SDK call everything that they have for messages and attempts."""

import json
import os
import subprocess
import sys

import pytest
from svix.api import Svix, SvixOptions

import live
from sdk.messaging import Messaging
from sdk.test_journey import GENERATION_1, HERE
from tidings.demo.processes import ReceiverProcess

# Served by tasks and tested with those; or another product.
ELSEWHERE = {"message.expunge_all_contents", "message.poller"}


def _methods() -> set[str]:
    client = Svix("x", SvixOptions(server_url="http://127.0.0.1:9"))
    client._httpx_client.close()  # noqa: SLF001 - the SDK has no way to close it
    return {
        f"{resource}.{name}"
        for resource in ("message", "message_attempt")
        for name in dir(getattr(client, resource))
        if not name.startswith("_")
    }


def test_the_sdk_calls_everything_that_it_has(server: live.Live, receiver: ReceiverProcess) -> None:
    found = Messaging({"url": server.url, "token": server.token, "receiver": receiver.url}).run()

    assert _methods() - ELSEWHERE | {"endpoint.send_example"} == set(found["called"])


def test_the_sdk_of_the_generation_before_calls_everything_alike(server: live.Live, receiver: ReceiverProcess) -> None:
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
    found = set(json.loads(run.stdout)["called"])
    assert _methods() - ELSEWHERE - {"message.bulk_expunge_content"} | {"endpoint.send_example"} == found
