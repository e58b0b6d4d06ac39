# SPDX-License-Identifier: MIT
"""The official SDK for Java calls every operation, and Java's own HTTP client writes like other clients."""

import os
import shutil
import subprocess

import pytest

from sdk import compiled
from sdk.conftest import Tenant
from sdk.recorder import Recorder
from sdk.test_journey import HERE
from tidings.demo.processes import ReceiverProcess

STATUSES = [
    "POST /app 201",
    "GET /app/java 200",
    "PUT /app/java 200",
    "PATCH /app/java 200",
    "POST /app/java/endpoint 201",
    "POST /app/java/msg 202",
    "POST /app/java/msg 202",
    "POST /app/java/msg 202",
    "POST /app/java/msg 422",
    "POST /app/java/msg/batch 202",
    "at once 50",
    "DELETE /app/java/endpoint/one 204",
    "DELETE /app/java 204",
]


def test_a_client_that_offers_an_upgrade_is_served(server: Tenant) -> None:
    """Java's own client offers HTTP/2 with every request."""
    java, javac = shutil.which("java"), shutil.which("javac")
    if java is None or javac is None:
        pytest.skip("no JDK (java and javac)")
    run = subprocess.run(
        [java, str(HERE / "java" / "Writes.java"), server.url, server.token],
        env={**os.environ, "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.stdout.splitlines() == STATUSES, run.stderr


@compiled.LIMIT
async def test_the_java_sdk_calls_every_operation(
    server: Tenant, recorder: Recorder, receiver: ReceiverProcess
) -> None:
    built = compiled.program("java", "mvn", "test")
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{built}:{built}/../lib/*", "Tour"]

    await compiled.tour("Java", command, server, recorder, receiver, attempts=2)
