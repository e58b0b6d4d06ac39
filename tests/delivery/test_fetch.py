# SPDX-License-Identifier: MIT
"""Requests to a service of the settings: whole responses within bounds, and no address that the policy blocks."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from tidings.core.oidc import Fetched, FetchError
from tidings.delivery.address import AddressPolicy
from tidings.delivery.fetch import BODY_MAX, Fetcher


@dataclass
class Peer:
    """A server that answers everything with the same bytes, or not at all."""

    url: str = ""
    raw: bytes = b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok"
    requests: list[bytes] = field(default_factory=list)
    is_silent: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        self.requests.append(head + await reader.readexactly(int(length or 0)))
        if self.is_silent:
            await reader.read()  # until the client gives up
        else:
            writer.write(self.raw)
        writer.close()


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield peer
    server.close()


def fetcher(trusted: str, seconds: float = 10.0) -> Fetcher:
    return Fetcher(trusted_url=trusted, policy=AddressPolicy(), proxy=None, timeout_seconds=seconds)


async def test_a_get_and_a_form_arrive_as_they_are(peer: Peer) -> None:
    fetch, form = fetcher(peer.url), b"code=" + b"x" * 5_000

    assert Fetched(200, b"ok") == await fetch(f"{peer.url}/a?b=c", {"accept": "application/json"})
    assert Fetched(200, b"ok") == await fetch(f"{peer.url}/token", {"authorization": "Basic eA=="}, form)

    get, post = peer.requests
    assert get.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"accept: application/json\r\n" in get
    assert post.startswith(b"POST /token HTTP/1.1\r\n")
    assert b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5005\r\n" in post
    assert post.endswith(b"\r\n\r\n" + form)


async def test_a_private_address_is_for_the_origin_of_the_settings_alone(peer: Peer) -> None:
    for trusted in ("https://id.example.com", peer.url.replace("127.0.0.1", "localhost"), peer.url[:-1] + "0/x"):
        with pytest.raises(FetchError):
            await fetcher(trusted)(f"{peer.url}/keys", {})
    assert [] == peer.requests


async def test_a_metadata_service_is_refused_even_as_the_origin_of_the_settings() -> None:
    with pytest.raises(FetchError, match="metadata"):
        await fetcher("http://169.254.169.254")("http://169.254.169.254/latest", {})


async def test_a_redirect_is_a_result(peer: Peer) -> None:
    peer.raw = b"HTTP/1.1 302 X\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"

    assert Fetched(302, b"") == await fetcher(peer.url)(peer.url, {})
    assert 1 == len(peer.requests)


@pytest.mark.parametrize("framing", [b"content-length: 9000000\r\n", b""])
async def test_a_huge_response_is_refused(peer: Peer, framing: bytes) -> None:
    peer.raw = b"HTTP/1.1 200 X\r\n" + framing + b"\r\n" + b" " * (BODY_MAX + 1)

    with pytest.raises(FetchError, match="bytes or more"):
        await fetcher(peer.url)(peer.url, {})


async def test_a_server_that_stays_silent_is_given_up(peer: Peer) -> None:
    peer.is_silent = True

    with pytest.raises(FetchError, match="timed out"):
        await fetcher(peer.url, seconds=0.2)(peer.url, {})


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", "https://a b/"])
async def test_a_url_that_cannot_be_requested_is_an_error(url: str) -> None:
    with pytest.raises(FetchError, match="not valid"):
        await fetcher("https://id.example.com")(url, {})


async def test_no_control_character_reaches_a_header(peer: Peer) -> None:
    with pytest.raises(FetchError, match="control character"):
        await fetcher(peer.url)(peer.url, {"accept": "x\r\nhost: evil"})
