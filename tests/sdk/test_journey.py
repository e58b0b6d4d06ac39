# SPDX-License-Identifier: MIT
"""Both generations of the official SDK do the main job against a live server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sdk.conftest import Tenant
from sdk.journey import MESSAGES, Journey
from tidings.demo.count import outcome
from tidings.demo.processes import ReceiverProcess

HERE = Path(__file__).resolve().parent
GENERATION_1 = HERE.parent.parent / ".venv" / "sdk1"


async def check(found: dict[str, Any], receiver: ReceiverProcess) -> None:
    task_id, *started = found["started"]
    assert [[2], [0, 2]] == found["statuses"]
    assert ["running", "endpoint.recover"] == started
    assert [task_id, "finished", "endpoint.recover", {"messagesSent": MESSAGES}] == found["ended"]
    assert [[task_id], [task_id], [], [], []] == found["listed"]
    bill = outcome(found["sent"], await receiver.report())
    assert (bill.accepted, bill.failed, bill.repaired) == (MESSAGES, MESSAGES, MESSAGES)
    assert (bill.duplicates, bill.lost, bill.strangers, bill.forged) == ({}, (), 0, 0)


async def test_the_sdk_does_the_main_job(server: Tenant, receiver: ReceiverProcess) -> None:
    found = Journey({"url": server.url, "token": server.token, "receiver": receiver.url}).run()

    assert found["version"].startswith("2.")
    await check(found, receiver)


async def test_the_sdk_of_the_generation_before_does_the_main_job(server: Tenant, receiver: ReceiverProcess) -> None:
    if not GENERATION_1.is_dir():
        missing = f"{GENERATION_1} is absent; `make test` installs it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    given = {"url": server.url, "token": server.token, "receiver": receiver.url}
    run = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [sys.executable, "-S", str(HERE / "journey.py")],
        env={**os.environ, "PYTHONPATH": str(GENERATION_1)},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["version"].startswith("1.")
    await check(found, receiver)
