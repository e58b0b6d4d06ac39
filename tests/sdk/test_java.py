# SPDX-License-Identifier: MIT
"""Java's own HTTP client, which offers HTTP/2 with every request, can write like other clients."""

import os
import shutil
import subprocess

import pytest

from sdk.conftest import Tenant
from sdk.test_journey import HERE

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
