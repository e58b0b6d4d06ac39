# SPDX-License-Identifier: MIT
"""A live server with three background tasks, and the document that it serves."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import live
from tidings.clock import SystemClock, rfc3339


@dataclass(frozen=True)
class Service:
    """A running server, its OpenAPI document, and its tasks, oldest first."""

    server: live.Live
    document: dict[str, Any]
    tasks: list[str]

    @property
    def given(self) -> dict[str, object]:
        """The input of a generated client's program."""
        return {"url": self.server.url, "token": self.server.token, "tasks": self.tasks}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("codegen")
    with live.serving(f"sqlite:///{folder}/t.db", folder) as server:
        _, app = server.call("POST", "/api/v1/app", {"name": "A"})
        _, endpoint = server.call("POST", f"/api/v1/app/{app['id']}/endpoint", {"url": "http://127.0.0.1:9/"})
        path = f"/api/v1/app/{app['id']}/endpoint/{endpoint['id']}/recover"
        tasks = [server.call("POST", path, {"since": rfc3339(SystemClock().now())})[1]["id"] for _ in range(3)]
        _, document = server.call("GET", "/api/v1/openapi.json")
        yield Service(server, document, sorted(tasks))
