# SPDX-License-Identifier: MIT
import asyncio
import ssl
from datetime import datetime

import pytest

from delivery.authority import DAY, NOW, Authority
from delivery.client_kit import TIMEOUT, a_client, ask, open_sockets, send, settled_sockets
from delivery.receiver import Receiver, hang, read, reset, say
from tidings.delivery.client import Client, Reply
from tidings.delivery.dial import tls_context


async def ask_with(authority: Authority, receiver: Receiver, url: str | None = None) -> Reply:
    async with a_client(tls=authority.client_context(), timeout_seconds=3.0) as client:
        return await ask(client, url or receiver.url)


async def test_a_receiver_with_a_valid_certificate_is_called_and_its_connection_kept(authority: Authority) -> None:
    tls = authority.receiver_context("127.0.0.1")
    async with Receiver(tls=tls) as receiver, a_client(tls=authority.client_context(), timeout_seconds=3.0) as client:
        replies = [await ask(client, receiver.url) for _ in range(3)]

    assert [reply.status for reply in replies] == [200] * 3
    assert receiver.connections == 1


async def test_standard_certificates_pass_strict_verification(authority: Authority) -> None:
    strict = authority.client_context()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    async with (
        Receiver(tls=authority.receiver_context("127.0.0.1")) as receiver,
        a_client(tls=strict, timeout_seconds=3.0) as client,
    ):
        reply = await ask(client, receiver.url)

    assert reply.status == 200


async def test_receivers_with_legacy_certificates_are_accepted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ssl.create_default_context

    def strict_by_default() -> ssl.SSLContext:
        context = usual()
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as from Python 3.13 on
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict_by_default)
    async with Receiver(tls=authority.receiver_context("127.0.0.1", old=True)) as receiver:
        reply = await ask_with(authority, receiver)

    assert reply.status == 200


async def test_the_certificate_is_checked_against_the_name_not_the_address(authority: Authority) -> None:
    async with Receiver(tls=authority.receiver_context("localhost")) as receiver:
        by_name = await ask_with(authority, receiver, f"https://localhost:{receiver.port}/")
        by_address = await ask_with(authority, receiver)

    assert by_name.status == 200
    assert by_address.status == 0


@pytest.mark.parametrize(
    ("name", "expires", "signer", "cause"),
    [
        ("127.0.0.1", NOW - DAY, "authority", "certificate has expired"),
        ("127.0.0.2", NOW + DAY, "authority", "IP address mismatch"),
        ("127.0.0.1", NOW + DAY, "itself", "self-signed certificate"),
    ],
)
async def test_an_invalid_certificate_is_an_error_that_names_the_cause(
    authority: Authority, name: str, expires: datetime, signer: str, cause: str
) -> None:
    tls = authority.receiver_context(name, expires=expires, signed=signer == "authority")
    async with Receiver(tls=tls) as receiver:
        reply = await ask_with(authority, receiver)

    assert reply.status == 0
    assert reply.error is not None
    assert reply.error.startswith("error making request: TLS certificate not accepted: ")
    assert cause in reply.error
    assert receiver.requests == []


async def test_a_wrong_host_name_is_reported(authority: Authority) -> None:
    async with Receiver(tls=authority.receiver_context("example.com")) as receiver:
        reply = await ask_with(authority, receiver, f"https://localhost:{receiver.port}/")

    assert reply.error is not None
    assert "Hostname mismatch" in reply.error


async def test_verification_can_be_switched_off(authority: Authority) -> None:
    async with (
        Receiver(tls=authority.receiver_context("example.com", expires=NOW - DAY, signed=False)) as receiver,
        a_client(tls=tls_context(verify=False), timeout_seconds=3.0) as client,
    ):
        reply = await ask(client, receiver.url)

    assert reply.status == 200


async def test_an_unknown_authority_is_not_accepted(authority: Authority) -> None:
    async with Receiver(tls=authority.receiver_context("127.0.0.1")) as receiver, a_client(timeout_seconds=3) as client:
        reply = await ask(client, receiver.url)

    assert reply.error is not None
    assert "unable to get local issuer certificate" in reply.error


async def test_plain_http_on_a_tls_port_is_an_error(authority: Authority) -> None:
    async with Receiver([say(b"HTTP/1.1 400 Bad Request\r\n\r\n")]) as receiver:
        reply = await ask_with(authority, receiver, receiver.url.replace("http:", "https:"))

    assert reply.status == 0
    assert reply.error is not None
    assert reply.error.startswith("error making request: TLS: ")


async def test_a_reset_inside_the_handshake_is_an_error(authority: Authority) -> None:
    async with Receiver([reset]) as receiver:
        reply = await ask_with(authority, receiver, receiver.url.replace("http:", "https:"))

    assert reply.status == 0
    assert reply.error is not None
    assert reply.error.startswith("error making request: ")


async def test_a_handshake_that_hangs_is_a_timeout_and_leaves_no_socket(authority: Authority) -> None:
    before = open_sockets()
    async with (
        Receiver([hang]) as receiver,
        a_client(tls=authority.client_context(), timeout_seconds=TIMEOUT) as client,
    ):
        reply = await ask(client, receiver.url.replace("http:", "https:"))

    assert reply == Reply(0, b"", reply.duration_ms, "request timed out", timed_out=True)
    assert await settled_sockets(before) == before


async def test_a_tls_response_can_hang_break_and_be_canceled(authority: Authority) -> None:
    before = open_sockets()
    tls = authority.receiver_context("127.0.0.1")
    async with (
        Receiver([read, hang], [read, reset], [read, hang], tls=tls) as receiver,
        a_client(tls=authority.client_context(), timeout_seconds=1.0) as client,
    ):
        replies = [await ask(client, receiver.url), await ask(client, receiver.url)]
        cancelled = send(client, receiver.url)
        for _ in range(3):
            await receiver.next_request()
        cancelled.sending.cancel()

    assert [reply.status for reply in replies] == [0, 0]
    assert replies[0].timed_out
    assert await settled_sockets(before) == before


async def ask_many(client: Client, url: str) -> list[Reply]:
    return await asyncio.gather(*(send(client, url).reply for _ in range(20)))


async def test_many_requests_share_tls_connections(authority: Authority) -> None:
    tls = authority.receiver_context("127.0.0.1")
    async with Receiver(tls=tls) as receiver, a_client(tls=authority.client_context(), timeout_seconds=5.0) as client:
        first, second = await ask_many(client, receiver.url), await ask_many(client, receiver.url)

    assert [reply.status for reply in first + second] == [200] * 40
    assert receiver.connections <= 20
