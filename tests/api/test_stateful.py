# SPDX-License-Identifier: MIT
"""Sequences of requests: ids from responses fill later paths, and document and server still agree.

schemathesis generates the requests from the document, the same ones in each run; ids from earlier responses fill the
paths. A deleted resource must not be found.

TIDINGS_TEST_ROUNDS=20 runs 20 rounds over all operations, with different requests in each run.
"""

import os
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode

import live
from api.document_checks import validate
from tidings import ids
from tidings.api.openapi import document
from tidings.api.routes import AnyRoute
from tidings.table import TABLE

pytestmark = pytest.mark.hypothesis
MORE = os.environ.get("TIDINGS_TEST_ROUNDS")
ROUNDS = int(MORE or 2)
SEED = 1 if MORE is None else random.SystemRandom().randrange(2**32)
SECONDS = 10.0
STREAMS = {"v1.background-task.events"}
WAITS = "v1.background-task.wait"
ROUTES = [route for route in TABLE if route.operation not in STREAMS]
CREATING = ("application.create", "endpoint.create", "event-type.create", "message.create")
LATEST = 4
"""The number of latest objects of each kind that requests use."""
NAMES = {
    ids.APP: "app_id",
    ids.ENDPOINT: "endpoint_id",
    ids.MESSAGE: "msg_id",
    ids.ATTEMPT: "attempt_id",
    ids.TASK: "task_id",
}
STEADY = settings(
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
DELETING = {"v1.application.delete", "v1.endpoint.delete"}  # an event type must be archived before it is expunged


@dataclass
class World:
    """The resources that responses have named."""

    known: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    """The ids by application (empty for resources outside applications) and by parameter."""
    sound: set[str] = field(default_factory=set)
    """Operations that succeeded."""

    def path(self, route: AnyRoute, chance: random.Random) -> dict[str, str]:
        """Return known values for the parameters of a path."""
        apps = self.known["", "app_id"]
        app = chance.choice(apps[-LATEST:]) if apps else ""
        found = {"app_id": app} if app else {}
        for name in (segment.strip("{}") for segment in route.path.split("/") if segment.startswith("{")):
            values = self.known[app, name] or self.known["", name]
            if name != "app_id" and values:
                found[name] = chance.choice(values[-LATEST:])
        return {name: value for name, value in found.items() if f"{{{name}}}" in route.path}

    def learn(self, route: AnyRoute, path: dict[str, str], status: int, body: Any) -> None:
        """Remember the resources that a response names."""
        if status >= 300:
            return
        self.sound.add(route.operation)
        for item in body.get("data", [body]) if isinstance(body, dict) else ():
            self._note(path.get("app_id", ""), route, item)

    def _note(self, app: str, route: AnyRoute, item: Any) -> None:
        if not isinstance(item, dict):
            return
        identifier = str(item.get("id", ""))
        name = NAMES.get(identifier[: identifier.find("_") + 1])
        if name is not None:
            self._add("" if name in {"app_id", "task_id"} else app, name, identifier)
        elif route.operation.startswith("v1.event-type") and "name" in item:
            self._add("", "event_type_name", item["name"])

    def _add(self, app: str, name: str, value: str) -> None:
        if value not in self.known[app, name]:
            self.known[app, name].append(value)


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[live.Live]:
    with live.serving(database_url, tmp_path, retry_schedule="[]") as running:
        yield running


def test_requests_with_ids_of_earlier_responses_match_the_document(server: live.Live) -> None:
    schema = schemathesis.openapi.from_dict(document(TABLE))
    deleted: list[int] = []
    world, chance = World(), random.Random(SEED)  # noqa: S311 - shuffles, no secret

    def requested(session: requests.Session, route: AnyRoute) -> None:
        operation = schema[f"/api/v1{route.path}"][route.method]

        @seed(chance.randrange(2**32))
        @settings(STEADY, max_examples=8 if _rank(route) == 0 else 2)
        @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def answered(case: Any) -> None:
            path = world.path(route, chance)
            case.path_parameters = {**(case.path_parameters or {}), **path}
            if route.operation == WAITS:
                case.query = {**(case.query or {}), "timeout": 0}
            headers = {"authorization": f"Bearer {server.token}"}
            response = case.call(base_url=server.url, session=session, headers=headers, timeout=SECONDS)
            validate(case, response)
            if route.operation in DELETING and response.status_code == 204:
                again = session.get(response.request.url, headers=headers, timeout=SECONDS)
                deleted.append(again.status_code)
            world.learn(route, path, response.status_code, response.json() if response.content else None)

        answered()

    with requests.Session() as session:
        for _ in range(ROUNDS):
            for route in sorted(ROUTES, key=lambda route: (_rank(route), chance.random())):
                requested(session, route)

    assert "Traceback" not in server.log()
    assert {404} == set(deleted)
    assert 55 <= len(world.sound), {route.operation for route in ROUTES} - world.sound


def _rank(route: AnyRoute) -> int:
    """Return the position of a route in a round: routes that create are first, routes that delete are last."""
    return 2 if route.method == "DELETE" else int(not route.operation.endswith(CREATING))
