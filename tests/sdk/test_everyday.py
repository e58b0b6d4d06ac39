# SPDX-License-Identifier: MIT
"""Both generations of the official SDK call everything that they have for the everyday resources."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from svix.api import Svix, SvixOptions

import live
from sdk.everyday import Everyday
from sdk.test_journey import GENERATION_1, HERE

RESOURCES = ("application", "endpoint", "event_type")
# Made of other parts of the service, and tested with those; or not served, as docs/compatibility.md says.
ELSEWHERE = {
    "endpoint.recover",
    "endpoint.replay_missing",
    "endpoint.bulk_replay",
    "endpoint.send_example",
    "endpoint.transformation",
    "endpoint.transformation_partial_update",
    "event_type.import_openapi",
}
ACCESS = {"authentication.app_portal_access", "authentication.logout", "authentication.expire_all"}


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[live.Live]:
    with live.serving(database_url, tmp_path) as running:
        yield running


def _methods() -> set[str]:
    client = Svix("x", SvixOptions(server_url="http://127.0.0.1:9"))
    client._httpx_client.close()  # noqa: SLF001 - the SDK has no way to close it
    return {
        f"{resource}.{name}"
        for resource in RESOURCES
        for name in dir(getattr(client, resource))
        if not name.startswith("_")
    }


def test_the_sdk_calls_everything_that_it_has(server: live.Live) -> None:
    found = Everyday({"url": server.url, "token": server.token}).run()

    assert _methods() - ELSEWHERE | ACCESS == set(found["called"])


def test_the_sdk_of_the_generation_before_calls_everything_alike(server: live.Live) -> None:
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
    assert {"endpoint.update", "endpoint.rotate_secret", *ACCESS} < set(json.loads(run.stdout)["called"])
