# SPDX-License-Identifier: MIT
"""A change to an endpoint applies to the next send, including deliveries in memory, on a live server."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from svix.webhooks import Webhook

import live

SECRETS = ["whsec_" + letter * 32 for letter in "abc"]
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
WAITING = 40
"""More than an endpoint's sends in flight: the rest stays in memory."""


class Door(ThreadingHTTPServer):
    """A receiver that keeps its requests, and responds once it is opened."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.is_open = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((dict(self.headers.items()), body))
        self.server.is_open.wait(20)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.is_open.set()
    door.shutdown()
    door.server_close()


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[live.Live]:
    with live.serving(database_url, tmp_path, delivery_concurrency=4, retry_schedule="[]") as running:
        yield running


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _made(server: live.Live, door: Door) -> str:
    _, app = server.call("POST", "/api/v1/app", {"name": "a"})
    path = f"/api/v1/app/{app['id']}"
    _, endpoint = server.call("POST", f"{path}/endpoint", {"url": door.url, "secret": SECRETS[0]})
    return f"{path}/endpoint/{endpoint['id']}"


def _send(server: live.Live, path: str) -> None:
    message = {"eventType": "a.b", "payload": {"n": 1}}
    assert 202 == server.call("POST", f"{path.partition('/endpoint')[0]}/msg", message)[0]


def _waiting(server: live.Live, door: Door, path: str) -> None:
    """Send more messages than can be in flight, and wait until the receiver holds the maximum."""
    for _ in range(WAITING):
        _send(server, path)
    until(lambda: len(door.seen) == 4)


def test_every_valid_secret_signs(server: live.Live, door: Door) -> None:
    door.is_open.set()
    path = _made(server, door)
    for key in (SECRETS[1], PAIR, SECRETS[2]):
        assert 204 == server.call("POST", f"{path}/secret/rotate", {"key": key})[0]

    _send(server, path)

    until(lambda: len(door.seen) == 1)
    ((headers, body),) = door.seen
    for secret in SECRETS:
        Webhook(secret).verify(body, headers)
    versions = [entry.split(",")[0] for entry in headers["svix-signature"].split()]
    assert ["v1", "v1", "v1", "v1a"] == sorted(versions)


def test_a_change_applies_to_pending_deliveries(server: live.Live, door: Door) -> None:
    path = _made(server, door)
    _waiting(server, door, path)

    assert 204 == server.call("PUT", f"{path}/headers", {"headers": {"X-New": "yes"}})[0]
    assert 204 == server.call("POST", f"{path}/secret/rotate", {"key": SECRETS[1], "gracePeriodSeconds": 0})[0]
    door.is_open.set()

    until(lambda: len(door.seen) == WAITING)
    assert {(None, 4), ("yes", WAITING - 4)} == {
        (value, sum(headers.get("X-New") == value for headers, _ in door.seen)) for value in (None, "yes")
    }
    for headers, body in door.seen[4:]:
        Webhook(SECRETS[1]).verify(body, headers)
    assert WAITING == len({headers["svix-id"] for headers, _ in door.seen})


@pytest.mark.parametrize("how", ["delete the endpoint", "disable it", "delete the application"])
def test_pending_deliveries_of_deleted_resources_are_never_sent(server: live.Live, door: Door, how: str) -> None:
    path = _made(server, door)
    _waiting(server, door, path)

    match how:
        case "delete the endpoint":
            assert 204 == server.call("DELETE", path)[0]
        case "disable it":
            assert 200 == server.call("PATCH", path, {"disabled": True})[0]
        case _:
            assert 204 == server.call("DELETE", path.partition("/endpoint")[0])[0]
    door.is_open.set()
    other = _made(server, door)
    _send(server, other)

    until(lambda: len(door.seen) == 5)
    assert 0 == server.stop()
    assert 5 == len(door.seen)
