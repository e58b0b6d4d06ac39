# SPDX-License-Identifier: MIT
"""Every release of the official SDK that parses our responses differently does the main job against a live server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sdk.conftest import Tenant
from sdk.journey import MESSAGES, Journey
from tidings.demo.count import result_of
from tidings.demo.processes import ReceiverProcess

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / ".venv"
GENERATION_1 = VENV / "sdk1"
# The start of a release: its folder, and options that hide the environment's packages if the folder is complete.
OLDER = {"1": ("sdk1", ["-S"]), "2.6": ("sdk26", []), "2.7": ("sdk27", []), "2.8": ("sdk28", [])}
# Releases before 2.7 discard the response of a rotation.
SILENT = {"1", "2.6"}


async def check(found: dict[str, Any], receiver: ReceiverProcess) -> None:
    task_id, *started = found["started"]
    assert [[2], [0, 2]] == found["statuses"]
    assert [0] * MESSAGES + [1] * MESSAGES == found["triggers"]
    assert ["running", "endpoint.recover"] == started
    assert [task_id, "finished", "endpoint.recover", {"messagesSent": MESSAGES}] == found["ended"]
    assert [[task_id], [task_id], [], [], []] == found["listed"]
    assert ["404 not_found"] * 11 == found["refused"]
    result = result_of(found["sent"], await receiver.report())
    assert (result.accepted, result.failed, result.recovered) == (MESSAGES, MESSAGES, MESSAGES)
    assert (result.duplicates, result.lost, result.unknown, result.invalid_signatures) == ({}, (), 0, 0)


async def test_the_current_python_sdk_sends_and_verifies_a_message(server: Tenant, receiver: ReceiverProcess) -> None:
    found = Journey({"url": server.url, "token": server.token, "receiver": receiver.url}).run()

    assert found["version"].startswith("2.")
    assert [True, True] == found["rotated"]
    await check(found, receiver)


@pytest.mark.parametrize("release", OLDER)
async def test_older_python_sdks_send_and_verify_a_message(
    server: Tenant, receiver: ReceiverProcess, release: str
) -> None:
    folder, arguments = VENV / OLDER[release][0], OLDER[release][1]
    if not folder.is_dir():
        missing = f"{folder} is absent; `make test` installs it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    given = {"url": server.url, "token": server.token, "receiver": receiver.url}
    run = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [sys.executable, *arguments, str(HERE / "journey.py")],
        env={**os.environ, "PYTHONPATH": str(folder)},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["version"].startswith(f"{release}.")
    assert [True, None if release in SILENT else True] == found["rotated"]
    await check(found, receiver)
