# SPDX-License-Identifier: MIT
"""The server's responses match the document for valid and invalid requests, and none is a 5xx.

schemathesis generates the requests from the document, some valid and some not, the same ones in each run; half of them
name existing resources. A live server responds, through its own HTTP protocol.

With TIDINGS_TEST_EXAMPLES=60 each operation gets 60 requests, different ones in each run; `--hypothesis-seed` repeats a
run.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

import live
from api.document_checks import validate
from tidings.api.openapi import document
from tidings.api.routes import AnyRoute
from tidings.table import TABLE

pytestmark = pytest.mark.hypothesis
MORE = os.environ.get("TIDINGS_TEST_EXAMPLES")
EXAMPLES = int(MORE or 6)
SECONDS = 10.0
STREAMS = {"v1.background-task.events"}
"""Operations with an endless response."""
ROUTES = [route for route in TABLE if route.operation not in STREAMS]
STEADY = settings(
    max_examples=EXAMPLES,
    derandomize=MORE is None,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Caller:
    """A session with a server."""

    server: live.Live
    session: requests.Session

    def make(self) -> dict[str, str]:
        """Create one resource of each kind that a path can name."""

        def made(path: str, body: object) -> dict[str, Any]:
            status, result = self.server.call("POST", f"/api/v1{path}", body)
            assert 200 <= status < 300, result
            found: dict[str, Any] = result
            return found

        app = made("/app", {"name": "A"})["id"]
        endpoint = made(f"/app/{app}/endpoint", {"url": "http://127.0.0.1:9/"})["id"]
        message = made(f"/app/{app}/msg", {"eventType": "a.b", "payload": {"n": 1}})["id"]
        return {"app_id": app, "endpoint_id": endpoint, "msg_id": message}


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder: Path = tmp_path_factory.mktemp("document")
    with (
        live.serving(f"sqlite:///{folder}/t.db", folder, retry_schedule="[]") as server,
        requests.Session() as session,
    ):
        yield Caller(server, session)


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(document(TABLE))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_response_is_in_the_document(caller: Caller, schema: Any, route: AnyRoute) -> None:
    operation = schema[f"/api/v1{route.path}"][route.method]
    there = caller.make()
    kept = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    broken = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @STEADY
    @given(st.one_of(kept, broken) if _can_break(route) else kept, st.booleans())
    def answered(case: Any, is_there: bool) -> None:  # noqa: FBT001 - Hypothesis draws it by position
        if is_there:
            case.path_parameters = {**(case.path_parameters or {}), **_named(route, there)}
        headers = {"authorization": f"Bearer {caller.server.token}"}
        response = case.call(base_url=caller.server.url, session=caller.session, headers=headers, timeout=SECONDS)
        validate(case, response)

    answered()


def _named(route: AnyRoute, there: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in there.items() if f"{{{name}}}" in route.path}


def _can_break(route: AnyRoute) -> bool:
    """Return whether a request has any part that can violate the document."""
    operation = document([route])["paths"][f"/api/v1{route.path}"][route.method.lower()]
    return bool(operation["parameters"]) or "requestBody" in operation
