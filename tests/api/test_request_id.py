# SPDX-License-Identifier: MIT
"""Request ids on every response and in every 5xx body."""

import json
import logging

import pytest

from api.kit import Api
from api.sockets import PING, Reply, Wire, listening
from tidings.api.connection import ConnectionLimits
from tidings.log_lines import Identity, JsonFormatter
from tidings.logs import StderrHandler
from tidings.storage.drivers.database import Unavailable

NOTHING = b"GET /api/v1/nothing?secret=1 HTTP/1.1\r\nhost: x\r\n\r\n"
PREFLIGHT = b"OPTIONS / HTTP/1.1\r\nhost: x\r\norigin: y\r\naccess-control-request-method: GET\r\n\r\n"
UNSERVED = b"GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked"
INVALID = (b"", b"a" * 129, b"a b", b"caf\xe9", b"tab\there")


def id_of(reply: Reply) -> str:
    return reply[1][b"x-request-id"].decode()


async def test_every_response_has_an_id(wire: Wire) -> None:
    """The fast path, its refusals, ASGI responses, and errors of the parser."""
    requests = {
        "accepted": wire.request(),
        "refused body": wire.request(b"nonsense"),
        "refused head": wire.request().replace(b"Bearer ", b"Bearer x"),
        "ASGI": wire.request(b"0\r\n\r\n", CHUNKED),
        "ping": PING,
        "404": NOTHING,
        "501": UNSERVED % wire.token.encode(),
        "OPTIONS": PREFLIGHT,
        "malformed": b"GET / HTTP/1.1\r\n\r\n",
        "not HTTP": b"\x16\x03\x01\r\n\r\n",
        "coding": PING.replace(b"host: x", b"host: x\r\ntransfer-encoding: gzip, chunked"),
    }
    found = {name: (await wire.exchange(request))[0] for name, request in requests.items()}

    statuses = {name: status for name, (status, _, _) in found.items()}
    assert list(statuses.values()) == [202, 422, 401, 422, 204, 404, 501, 200, 400, 400, 501]
    ids = [id_of(reply) for reply in found.values()]
    assert len(set(ids)) == len(ids)
    for reply in found.values():
        if reply[0] >= 500:
            assert json.loads(reply[2])["detail"].endswith(f". Request id: {id_of(reply)}")


@pytest.mark.parametrize("given", [b"abc-123", b"!", b"~" * 128])
async def test_an_id_of_the_caller_is_returned(wire: Wire, given: bytes) -> None:
    header = b"x-request-id: " + given
    for request in (
        wire.request(wire.request().partition(b"\r\n\r\n")[2], header),
        wire.request(b"0\r\n\r\n", header, CHUNKED),
        NOTHING.replace(b"host: x", b"host: x\r\n" + header),
        PING.replace(b"host: x", b"host: x\r\ntransfer-encoding: gzip\r\n" + header),
    ):
        [reply] = await wire.exchange(request)
        assert id_of(reply).encode() == given


@pytest.mark.parametrize("given", INVALID)
async def test_an_id_that_is_not_visible_ascii_or_too_long_is_replaced(wire: Wire, given: bytes) -> None:
    header = b"x-request-id: " + given
    for request in (wire.request(b"{}", header), NOTHING.replace(b"host: x", b"host: x\r\n" + header)):
        [reply] = await wire.exchange(request)
        assert id_of(reply).encode() not in (given, given.strip())


async def test_two_ids_in_one_request_are_replaced(wire: Wire) -> None:
    for body in (b"{}", b"nonsense"):
        [reply] = await wire.exchange(wire.request(body, b"x-request-id: a", b"x-request-id: b"))
        assert id_of(reply) not in ("a", "b")


async def test_a_connection_over_the_limit_is_refused_with_an_id(lite: Api) -> None:
    async with listening(lite, ConnectionLimits(connections=0)) as wire:
        [reply] = await wire.exchange()

    assert reply[0] == 503
    assert json.loads(reply[2])["detail"].endswith(f"Retry in one second. Request id: {id_of(reply)}")


class Broken:
    """A database that raises an error of ours."""

    has_one_writer = True

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> object:
        raise self._error


@pytest.mark.parametrize("path", ["/app/app_1/msg", "/app/app_1/endpoint"])
async def test_an_internal_error_is_logged_with_the_id_that_the_caller_gets(
    lite: Api, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = lite.over(Broken(KeyError("x")))  # type: ignore[arg-type]
    body = {"eventType": "a", "payload": {}, "url": "http://x"}
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter(Identity()))
    logging.getLogger("tidings").addHandler(handler)
    try:
        response = await broken.post(path, json=body, headers={"x-request-id": "mine"})
    finally:
        logging.getLogger("tidings").removeHandler(handler)

    assert (500, "mine") == (response.status_code, response.headers["x-request-id"])
    assert response.json() == {"code": "server_error", "detail": "Internal Server Error. Request id: mine"}
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert "mine" in [line.get("request_id") for line in lines if line["event"] == "failure"]


async def test_an_unavailable_database_is_a_503_with_the_id(lite: Api) -> None:
    response = await lite.over(Broken(Unavailable("away"))).get("/app")  # type: ignore[arg-type]

    assert response.status_code == 503
    assert response.json()["detail"].endswith(
        f"repeat the request later. Request id: {response.headers['x-request-id']}"
    )
