# SPDX-License-Identifier: MIT
"""A post of `tidings listen` is bounded in time and bytes, and the position in the list of messages never gets lost."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cli.command import SECONDS
from cli.local_program import LocalProgram, running
from tidings.cli.following import Follower, MessagesToFollow
from tidings.cli.local_receiver import LocalReceiver, PostResult
from tidings.cli.remote import Remote
from tidings.clock import DAY, ManualClock, SystemClock, rfc3339
from tidings.ids import MESSAGE, new
from tidings.model.signature import generate


@pytest.fixture
def receiver() -> Iterator[LocalProgram]:
    with running() as program:
        yield program


# -----------------------------------------------------------------------------------------------------------------
# The bounds of a post


def posted(url: str, seconds: float = 0.3) -> PostResult:
    return LocalReceiver(url, generate(), SystemClock(), seconds).post("msg_1", b"{}")


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b"", (None, "no response within 0.3 s")),
        (b"HTTP/1.1 ", (None, "no response within 0.3 s")),
        (b"HTTP/1.1 500 x\r\nx: y\r\n\r\n", (500, "x")),
    ],
    ids=["head", "line", "body"],
)
def test_a_receiver_that_sends_a_byte_now_and_then_is_given_up_in_time(
    receiver: LocalProgram, first: bytes, expected: tuple[int | None, str]
) -> None:
    ended = threading.Event()

    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        with contextlib.suppress(OSError):
            request.wfile.write(first)
            while not ended.wait(0.02):
                request.wfile.write(b"x")

    receiver.respond = trickle
    result = posted(receiver.url)
    ended.set()

    assert expected == (result.status, result.detail if result.status is None else result.detail[:1])


def test_at_most_4_kib_of_a_response_are_read(receiver: LocalProgram) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(500)
        request.end_headers()
        request.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                request.wfile.write(b"y" * 65_536)

    receiver.respond = endless
    result = posted(receiver.url, SECONDS)

    assert (500, 4_096) == (result.status, len(result.detail))


def test_a_closed_port_and_a_redirect_are_no_delivery(receiver: LocalProgram) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    receiver.status = 307

    refused, redirected = posted(f"http://127.0.0.1:{port}/"), posted(receiver.url)
    assert (None, "Connection refused", False) == (refused.status, refused.detail, refused.is_delivered)
    assert (307, False) == (redirected.status, redirected.is_delivered)


# -----------------------------------------------------------------------------------------------------------------
# The position in the list


def test_a_page_begins_after_the_newest_message_unless_that_is_old() -> None:
    clock = ManualClock(SystemClock().now())
    queries: list[str] = []
    message = {"id": new(MESSAGE, clock.now()), "eventType": "a", "timestamp": rfc3339(clock.now()), "payload": {}}
    with scripted(
        [{"id": "app_1", "name": "A"}, {"data": [message]}, {"data": []}, {"data": [message]}], queries
    ) as url:
        follower = Follower(Remote(url, "t"), MessagesToFollow("a"), clock)
        follower.start()
        found = follower.next_messages()
        clock.advance(61 * DAY)
        found += follower.next_messages()

    assert [] == found
    assert f"iterator=-{message['id']}" in queries[2]
    assert "after=" in queries[3]
    assert "iterator" not in queries[3]


@contextlib.contextmanager
def scripted(answers: list[dict[str, Any]], queries: list[str]) -> Iterator[str]:
    """Serve one response per request, and note the targets."""
    remaining = iter(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            queries.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(next(remaining)).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
