# SPDX-License-Identifier: MIT
"""Operational events reach their operational endpoint once each, wherever the process dies, and across nodes."""

import asyncio
import contextlib
import http.client
import json
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from delivery.receiver import OK, Peer, Receiver, read, say
from faults.kit import ended, eventually, node, started
from live import Live
from tidings.ids import DEFAULT_ORG, MANAGEMENT_ORG

PATH = "/api/v1/operational-webhook/endpoint"
KILLED = ("relay.after_delete", "relay.before_commit", "relay.after_commit")


def answering(reply: bytes = OK) -> Receiver:
    """Give a receiver that answers every request with a reply."""

    async def serve(peer: Peer) -> None:
        while True:
            await read(peer)
            await say(reply)(peer)

    return Receiver([serve])


def call(server: Live, method: str, path: str, body: object = None, **more: Any) -> Any:
    status, found = server.call(method, path, body, **more)
    assert 200 <= status < 300, (status, found)
    return found


def events(receiver: Receiver) -> list[Any]:
    return [json.loads(request.body) for request in receiver.requests]


def ids_of(receiver: Receiver) -> Counter[str]:
    """Return how often each endpoint was reported."""
    return Counter(event["data"]["endpointId"] for event in events(receiver))


async def make_endpoints(server: Live, app: str, count: int) -> list[str]:
    made = []
    for number in range(count):
        body = {"url": f"http://127.0.0.1:9/{number}"}
        endpoint = await asyncio.to_thread(call, server, "POST", f"/api/v1/app/{app}/endpoint", body)
        made.append(endpoint["id"])
    return made


async def dies_at(server: Live, place: str, app: str) -> None:
    """Restart a server that has passed all events on so that it dies at a failpoint, and cause an event."""
    await started(server, failpoints=f"{place}=kill")
    with contextlib.suppress(OSError, http.client.HTTPException):  # it may die before it responds
        await asyncio.to_thread(server.call, "POST", f"/api/v1/app/{app}/endpoint", {"url": "http://127.0.0.1:9/"})
    await eventually(lambda: server.process is not None and server.process.poll() is not None)
    assert server.stop() == -signal.SIGKILL


async def killed_in_the_relay(database_url: str, folder: Path, places: Sequence[str]) -> None:
    server = node(database_url, folder)
    async with answering() as receiver:
        with ended(server):
            await started(server)
            call(server, "POST", PATH, {"url": receiver.url, "eventTypes": ["endpoint.created"]})
            app = call(server, "POST", "/api/v1/app", {"name": "A"})["id"]
            for place in places:
                await dies_at(server, place, app)
                wanted = len(ids_of(receiver)) + 1
                await started(server, failpoints="")
                await eventually(lambda: len(ids_of(receiver)) >= wanted)  # noqa: B023 - awaited within the round
            stored = call(server, "GET", f"/api/v1/app/{app}/endpoint?limit=250")["data"]
            management = server.token_of(MANAGEMENT_ORG)
            messages = call(server, "GET", f"/api/v1/app/{DEFAULT_ORG}/msg?limit=250", token=management)["data"]

    assert {each["id"] for each in stored} == set(ids_of(receiver))
    assert len(places) == len(stored) == len(messages)
    assert {"endpoint.created"} == {event["type"] for event in events(receiver)}


async def test_a_kill_in_the_relay_loses_no_event_and_doubles_none(database_url: str, tmp_path: Path) -> None:
    await killed_in_the_relay(database_url, tmp_path, KILLED)


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_many_kills_in_the_relay_lose_no_event_and_double_none(database_url: str, tmp_path: Path) -> None:
    await killed_in_the_relay(database_url, tmp_path, KILLED * 8)


async def test_a_dead_operational_endpoint_causes_no_events_about_itself(database_url: str, tmp_path: Path) -> None:
    server = node(database_url, tmp_path, retry_schedule="[]")
    failing = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    async with answering(failing) as dead, answering() as alive:
        with ended(server):
            await started(server)
            management = server.token_of(MANAGEMENT_ORG)
            # The operators' own organization has one as well, to which events about all of these would be sent.
            call(server, "POST", PATH, {"url": dead.url}, token=management)
            call(server, "POST", PATH, {"url": dead.url})
            call(server, "POST", PATH, {"url": alive.url})
            app = call(server, "POST", "/api/v1/app", {"name": "A"})["id"]
            await make_endpoints(server, app, 2)
            await eventually(lambda: len(dead.requests) == len(alive.requests) == 2)
            call(server, "POST", f"/api/v1/app/{app}/endpoint", {"url": dead.url, "disabled": True})
            await make_endpoints(server, app, 10)
            await eventually(lambda: len(dead.requests) == len(alive.requests) == 13)
            path = f"/api/v1/app/{DEFAULT_ORG}"
            messages = call(server, "GET", f"{path}/msg", token=management)["data"]
            states = [
                each["x"]["health"]["status"]
                for each in call(server, "GET", f"{path}/endpoint", token=management)["data"]
            ]
            own = call(server, "GET", f"/api/v1/app/{MANAGEMENT_ORG}/msg", token=management)["data"]

    assert ["failing", "healthy"] == sorted(states)
    assert 13 == len(messages)
    assert [] == own
    assert ["endpoint.created"] * 13 == [event["type"] for event in events(alive)]


async def test_another_node_sends_the_events_of_a_node_without_the_delivery_role(
    postgres_dsn: str, tmp_path: Path
) -> None:
    front, back = node(postgres_dsn, tmp_path), node(postgres_dsn, tmp_path)
    front.arguments = ("--no-delivery", "--no-tasks")
    async with answering() as receiver:
        with ended(front, back):
            await started(back)
            await started(front)
            call(front, "POST", PATH, {"url": receiver.url})
            app = call(front, "POST", "/api/v1/app", {"name": "A"})["id"]
            [made] = await make_endpoints(front, app, 1)
            await eventually(lambda: receiver.requests)

    assert {made: 1} == ids_of(receiver)


async def test_events_are_posted_to_the_address_of_the_settings_as_svix_server_does(
    database_url: str, tmp_path: Path
) -> None:
    server = node(database_url, tmp_path)
    async with answering() as receiver:
        with ended(server):
            await started(server)
            await started(server, operational_webhook_address=server.url)  # the first start chose the port
            app = call(server, "POST", "/api/v1/app", {"name": "A"})["id"]
            [unseen] = await make_endpoints(server, app, 1)
            management = server.token_of(MANAGEMENT_ORG)
            call(server, "POST", "/api/v1/app", {"name": "Operations", "uid": DEFAULT_ORG}, token=management)
            body = {"url": receiver.url, "eventTypes": ["endpoint.created", "endpoint.deleted"]}
            call(server, "POST", f"/api/v1/app/{DEFAULT_ORG}/endpoint", body, token=management)
            made = await make_endpoints(server, app, 3)
            await eventually(lambda: set(made) <= set(ids_of(receiver)))
            await dies_at(server, "post.before_delete", app)
            await started(server, failpoints="")
            every = {each["id"] for each in call(server, "GET", f"/api/v1/app/{app}/endpoint")["data"]}
            await eventually(lambda: every - {unseen} <= set(ids_of(receiver)))
            listed = call(server, "GET", f"/api/v1/app/{DEFAULT_ORG}/msg", token=management)["data"]
            messages = [each for each in listed if each["eventType"] == "endpoint.created"]

    assert 4 <= len(every)
    assert len(messages) == len({each["eventId"] for each in messages}) <= 5
    assert {"endpoint.created"} == {event["type"] for event in events(receiver)}


async def test_events_wait_for_an_address_that_does_not_respond(sqlite_url: str, tmp_path: Path) -> None:
    refusing, taken = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n"
    replies = [refusing] * 2 + [b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"]

    async def serve(peer: Peer) -> None:
        while True:
            await read(peer)
            await say(replies.pop(0) if replies else taken)(peer)

    server = node(sqlite_url, tmp_path)
    async with Receiver([serve]) as service:
        with ended(server):
            await started(server, operational_webhook_address=service.url.rstrip("/"))
            app = call(server, "POST", "/api/v1/app", {"name": "A"})["id"]
            await make_endpoints(server, app, 1)
            await eventually(lambda: len(service.requests) == 3)
            await make_endpoints(server, app, 1)
            await eventually(lambda: len(service.requests) == 4)

    first = {(request.line, request.body) for request in service.requests[:3]}
    assert 1 == len(first)
    assert {b"POST /hook/api/v1/app/%b/msg HTTP/1.1" % DEFAULT_ORG.encode()} == {line for line, _ in first}
    assert {"eventType", "eventId", "payload", "payloadRetentionPeriod"} == set(events(service)[0])
    assert 2 == len({event["eventId"] for event in events(service)})
