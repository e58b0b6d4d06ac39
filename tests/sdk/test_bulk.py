# SPDX-License-Identifier: MIT
"""Both generations of the official SDK start every background task that they support, and read its result."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from sdk.bulk import Bulk
from sdk.conftest import Tenant
from sdk.test_journey import GENERATION_1, HERE
from tidings.demo.processes import ReceiverProcess


def check(found: dict[str, Any]) -> None:
    usage = {"messageDestinations": 6, "appId": found["app"], "appUid": "bulk"}
    subscribed = {"appId": found["app"], "explicitlySubscribedEventTypes": [], "hasCatchAllEndpoint": True}
    assert ["endpoint.replay", "finished", {"messagesSent": 3}] == found["missing"]
    assert [found["again"][0].replace("_", "-"), *found["again"][1:]] == [
        "endpoint.bulk-replay",
        "finished",
        {"messagesSent": 3},
    ]
    assert ["nobody"] == found["unresolved"]
    assert ["application.stats", "finished", {"appStats": [usage]}] == found["usage"]
    assert ["event-type.aggregate", "finished", {"event_types": [subscribed]}] == found["event_types"]
    assert ["application.purge_content", "finished", {"messagesPurged": 3}] == found["purged"]


async def test_the_current_python_sdk_starts_every_task_kind_that_it_has(
    server: Tenant, receiver: ReceiverProcess
) -> None:
    found = Bulk({"url": server.url, "token": server.token, "receiver": receiver.url}).run()

    check(found)


async def test_the_previous_python_sdk_starts_every_task_kind_that_it_has(
    server: Tenant, receiver: ReceiverProcess
) -> None:
    if not GENERATION_1.is_dir():
        missing = f"{GENERATION_1} is absent; `make test` installs it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    run = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [sys.executable, "-S", str(HERE / "bulk.py")],
        env={**os.environ, "PYTHONPATH": str(GENERATION_1)},
        input=json.dumps({"url": server.url, "token": server.token, "receiver": receiver.url}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    check(json.loads(run.stdout))
