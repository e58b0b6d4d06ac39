# SPDX-License-Identifier: MIT
"""Run the programs on an official SDK that is compiled: the main job, and a tour of all its methods."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from sdk import calls
from sdk.conftest import Tenant
from sdk.recorder import Recorder
from sdk.test_journey import VENV
from tidings.demo.count import result_of
from tidings.demo.processes import ReceiverProcess

MESSAGES = 3
SECRET = "whsec_" + "e" * 32


def program(language: str, tool: str, target: str) -> str:
    """Return the path of a language's program; without it the test skips, even in CI: a build needs a registry."""
    folder = VENV / f"sdk{language}"
    built, log = folder / "journey", folder / "log"
    if built.exists():
        return str(built)
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is absent")
    if not log.is_file():
        pytest.skip(f"{built} is absent; `make {target}` builds it")
    pytest.skip(f"{tool} could not build the program: {log.read_text(errors='replace')[-500:] or 'out of time'}")


async def check(built: str, server: Tenant, receiver: ReceiverProcess) -> dict[str, Any]:
    await receiver.configure(secret=SECRET)
    given = {"url": server.url, "token": server.token, "receiver": receiver.url, "secret": SECRET}
    run = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
        [built], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False
    )

    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    assert [{"2 fail 0 404": MESSAGES}, {"2 fail 0 404": MESSAGES, "0 success 1 200": MESSAGES}] == found["statuses"]
    assert ["running", "endpoint.recover"] == found["started"]
    assert ["finished", "endpoint.recover", {"messagesSent": MESSAGES}] == found["ended"]
    assert (1, True, True) == (found["endpoints"], found["listed"], found["kept"])
    assert [True, True] == found["rotated"]
    refused = ["404 not_found x8", "delete: 404 not_found x1", "secret: 404 not_found x1", "uid: 422 detail x1"]
    assert refused == found["refused"]
    sent = [line.removesuffix(" true") for line in found["sent"]]
    result = result_of(sent, await receiver.report())
    assert (result.accepted, result.duplicates, result.lost) == (MESSAGES, {}, ())
    assert (result.unknown, result.invalid_signatures) == (0, 0)
    return found


LIMIT = pytest.mark.timeout(600)
"""The limit of a tour, for pytest: on a busy machine the one for Java takes minutes."""


async def tour(
    language: str,
    command: Sequence[str],
    server: Tenant,
    recorder: Recorder,
    receiver: ReceiverProcess,
    *,
    attempts: int = 3,
) -> None:
    """Let a program call every method of its SDK; check which operations that were, and what the receiver has got."""
    given = {"url": recorder.url, "token": server.token, "receiver": receiver.url, "secret": SECRET}
    run = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
        command, input=json.dumps(given), capture_output=True, text=True, timeout=240, check=False
    )

    assert run.returncode == 0, run.stderr
    calls.check(language, recorder.operations)
    assert [(True, 200)] * attempts == [(is_valid, status) for _, _, is_valid, status in await receiver.report()]
