# SPDX-License-Identifier: MIT
"""Every route refuses invalid input with a JSON error and changes nothing."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import httpx
import pytest

from api.bad_requests import (
    ABSENT_IDS,
    CONNECTOR_BODIES,
    GOOD,
    MESSAGE_BODIES,
    MESSAGE_QUERIES,
    RESOURCE_BODIES,
    RESOURCE_QUERIES,
)
from api.kit import SECRET, Api, Json
from tidings.api import (
    apps,
    attempted,
    attempts,
    authentication,
    connectors,
    endpoint_headers,
    endpoint_secrets,
    endpoint_stats,
    endpoints,
    environments,
    event_types,
    examples,
    message_content,
    messages,
)
from tidings.api.routes import PREFIX, AnyRoute
from tidings.core.access import issue_org_token
from tidings.ids import OrgId

World = dict[str, str]


async def _resources(api: Api) -> World:
    app = await api.app(uid="mine")
    await api.made("/event-type", {"name": "a.b", "description": "d"})
    return {"app_id": app, "endpoint_id": await api.endpoint(app, uid="one"), "event_type_name": "a.b"}


async def _connectors(api: Api) -> World:
    await api.made("/connector", {"name": "n", "uid": "mine", "transformation": "function handler(w) { return w; }"})
    return {"connector_id": "mine"}


async def _messages(api: Api) -> World:
    app = await api.app(uid="mine")
    endpoint, message = await api.endpoint(app, uid="one"), await api.message(app, eventId="event")
    attempt = await api.attempt(app, endpoint, message)
    return {"app_id": app, "endpoint_id": endpoint, "msg_id": message, "attempt_id": attempt}


@dataclass(frozen=True, kw_only=True)
class RouteGroup:
    """A group of routes, the resources they use, and invalid input for them."""

    routes: Sequence[AnyRoute]
    tables: Sequence[str]
    """The tables that its routes write to."""
    world: Callable[[Api], Awaitable[World]]
    """Create one of each resource; return their ids by the names of path parameters."""
    bodies: Mapping[str, bytes]
    queries: Sequence[str]
    sound: Json
    """A body that most of its routes accept."""
    sounds: Mapping[str, Json]
    """Valid bodies of the other routes."""
    refusals: tuple[int, ...]
    """The statuses that refuse a bad body; 409 and 404 if an earlier unusual body was accepted."""

    async def send(self, api: Api, route: AnyRoute, world: World, query: str = "", **more: Any) -> httpx.Response:
        path = PREFIX + route.path
        for name, value in world.items():
            path = path.replace(f"{{{name}}}", value)
        headers = {"authorization": f"Bearer {api.token}", **more.pop("headers", {})}
        content = more.pop("content", json.dumps(self.sounds.get(route.operation, self.sound)).encode())
        return await api.client.request(route.method, path + query, content=content, headers=headers, **more)

    async def rows(self, api: Api) -> list[list[Any]]:
        found = []
        async with api.db.read() as read:
            for table in self.tables:
                rows = await read.rows(f"SELECT * FROM {table}")
                found.append(sorted(tuple(str(value) for value in row) for row in rows))
        return found

    def named(self, world: World) -> Iterator[tuple[AnyRoute, str]]:
        """Yield each route with each name in its path; a route that creates missing resources has no own name."""
        for route in self.routes:
            for name in world:
                makes = route.method == "PUT" and route.path.endswith(f"{{{name}}}")
                if f"{{{name}}}" in route.path and not makes:
                    yield route, name


ROUTE_GROUPS = {
    "resources": RouteGroup(
        routes=[
            route
            for module in (apps, endpoints, endpoint_headers, endpoint_secrets, endpoint_stats, event_types)
            for route in module.ROUTES
        ]
        + list(authentication.ROUTES),
        tables=("application", "endpoint", "event_type", "operational_event", "idempotency_record", "token_end"),
        world=_resources,
        bodies=RESOURCE_BODIES,
        queries=RESOURCE_QUERIES,
        sound={"headers": {}, "description": "d", "name": "n", "url": "http://a"},
        sounds={"v1.endpoint.rotate-secret": {}, "v1.authentication.app-portal-access": {}},
        refusals=(400, 409, 413, 422),
    ),
    "connectors": RouteGroup(
        routes=(*connectors.ROUTES, *environments.ROUTES),
        tables=("connector", "connector_version", "event_type", "idempotency_record"),
        world=_connectors,
        bodies=CONNECTOR_BODIES,
        queries=RESOURCE_QUERIES,
        sound={"name": "n", "transformation": "function handler(w) { return w; }"},
        sounds={},
        refusals=(400, 413, 422),
    ),
    "messages": RouteGroup(
        routes=[
            route for module in (messages, message_content, examples, attempts, attempted) for route in module.ROUTES
        ],
        tables=("application", "message", "event_id", "delivery", "attempt", "idempotency_record"),
        world=_messages,
        bodies=MESSAGE_BODIES,
        queries=MESSAGE_QUERIES,
        sound={**GOOD, "eventType": "svix.ping"},
        sounds={},
        refusals=(400, 404, 413, 422),
    ),
}
EACH_GROUP = pytest.mark.parametrize("group", ROUTE_GROUPS.values(), ids=ROUTE_GROUPS)


@EACH_GROUP
async def test_an_invalid_body_is_refused_and_changes_nothing(api: Api, group: RouteGroup) -> None:
    world = await group.world(api)
    before = await group.rows(api)

    for (name, body), route in product(group.bodies.items(), group.routes):
        if not route.has_body:
            continue
        key = {"idempotency-key": f"{name} {route.operation}"}
        response = await group.send(api, route, world, content=body, headers=key)
        context = f"{name}: {route.operation}: {response.status_code} {response.text[:200]}"
        assert response.status_code < 500, context
        after = await group.rows(api)
        if response.status_code >= 400:
            assert response.status_code in group.refusals, context
            assert isinstance(response.json()["detail"], list if response.status_code == 422 else str), context
            assert before == after, context
        before = after


async def test_unusual_but_harmless_input_is_accepted(api: Api) -> None:
    """Duplicate members, of which the last counts, and unknown members."""
    twice = await api.post("/app", content=b'{"name": "a", "name": "b", "what": {"is": ["this", 1e999]}}')
    app = twice.json()["id"]
    message = await api.post(f"/app/{app}/msg", content=b'{"eventType":"a","eventType":"b","payload":[],"payload":{}}')

    assert (201, "b") == (twice.status_code, twice.json()["name"])
    assert (202, "b") == (message.status_code, message.json()["eventType"])


@EACH_GROUP
async def test_an_absent_resource_is_not_found(api: Api, group: RouteGroup) -> None:
    world = await group.world(api)
    before = await group.rows(api)

    for absent_id, (route, name) in product(ABSENT_IDS, list(group.named(world))):
        response = await group.send(api, route, {**world, name: absent_id})
        # The routes that create messages refuse a path that no application can have.
        expected = (404, 405, 422) if route.operation == "v1.message.create" else (404, 405)
        assert response.status_code in expected, f"{absent_id[:40]}: {route.operation}: {response.text}"
        assert isinstance(response.json(), dict)
    assert before == await group.rows(api)


@EACH_GROUP
async def test_resources_of_another_organization_are_not_found(api: Api, group: RouteGroup) -> None:
    world = await group.world(api)
    before = await group.rows(api)
    other = issue_org_token(SECRET, OrgId("org_other"), api.clock.now())

    for route in {route.operation: route for route, _ in group.named(world)}.values():
        response = await group.send(api, route, world, headers={"authorization": f"Bearer {other}"})
        assert 404 == response.status_code, route.operation
    assert before == await group.rows(api)


@EACH_GROUP
async def test_resources_of_another_application_are_not_found(api: Api, group: RouteGroup) -> None:
    world = await group.world(api)
    world["app_id"] = await api.app()
    before = await group.rows(api)

    for route, name in group.named(world):
        if name != "app_id" and "{app_id}" in route.path:
            response = await group.send(api, route, world)
            assert 404 == response.status_code, route.operation
    assert before == await group.rows(api)


async def _is_answered(api: Api, group: RouteGroup) -> None:
    world = await group.world(api)

    for query, route in product(group.queries, group.routes):
        if route.method == "DELETE":
            continue
        response = await group.send(api, route, world, f"?{query}", content=b"nonsense")
        context = f"{query[:60]}: {route.operation}: {response.text}"
        assert response.status_code < 500, context
        if response.status_code >= 400 or group is ROUTE_GROUPS["messages"]:
            assert isinstance(response.json(), dict), context


async def test_an_invalid_query_is_refused_in_json(lite: Api) -> None:
    await _is_answered(lite, ROUTE_GROUPS["resources"])


async def test_an_invalid_query_of_messages_is_refused_in_json(api: Api) -> None:
    await _is_answered(api, ROUTE_GROUPS["messages"])
