# SPDX-License-Identifier: MIT
"""Mails reach a real SMTP server, encrypted and with a login where the URL says so, and hostile names stay text."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from delivery.authority import Authority
from delivery.mail_server import PASSWORD, USER, MailServer, serving_mail
from tidings.clock import HOUR, rfc3339
from tidings.core.notifications import MailContent, MailError
from tidings.delivery.smtp import MailOptions, SmtpClient, message_of
from tidings.storage.tables.notifications import Notification

NOW = 1_700_000_000_000
TO = ("ops@example.com", "night@example.com")
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


def change(type_: str = "endpoint.failing", **more: Any) -> Notification:
    usual: dict[str, Any] = {
        "endpoint_id": "ep_1",
        "type": type_,
        "org_id": "org_1",
        "at": NOW,
        "data": {"failSince": rfc3339(NOW - HOUR), "disablesAt": rfc3339(NOW + HOUR), "percent": 50},
        "endpoint_uid": None,
        "url": "https://user:secret@hooks.example.com:8443/in?token=hidden",
        "description": "Orders",
        "disabled_reason": None,
        "app_id": "app_1",
        "app_uid": "acme",
        "app_name": "Acme",
        "last_code": 500,
        "last_error": None,
    }
    return Notification(**usual | more)


def content(*changes: Notification, **counts: int) -> MailContent:
    found = changes or (change(),)
    known: dict[str, int] = {}
    for each in found:
        known[each.type] = known.get(each.type, 0) + 1
    return MailContent("mail_1", NOW, found, known | {f"endpoint.{name}": number for name, number in counts.items()})


def options(server: MailServer | None = None, scheme: str = "smtp", login: str = "", **more: Any) -> MailOptions:
    port = 1 if server is None else server.port
    return MailOptions(
        server=f"{scheme}://{login}127.0.0.1:{port}", sender="tidings@example.com", recipients=TO, **more
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(Path(tmp_path_factory.mktemp("authority")))


async def test_a_mail_reaches_every_recipient(authority: Authority) -> None:
    del authority
    async with serving_mail() as server:
        await SmtpClient(options(server, console="https://tidings.example.com/console")).send(content())

    [mail], [text], [envelope] = server.mails, server.texts, server.envelopes
    assert list(TO) == envelope.rcpt_tos
    assert ("tidings@example.com", ", ".join(TO)) == (mail["From"], mail["To"])
    assert "[tidings] Endpoint failing: hooks.example.com:8443 (Acme)" == mail["Subject"]
    assert ("<mail_1@example.com>", "auto-generated") == (mail["Message-ID"], mail["Auto-Submitted"])
    assert "text/plain" == mail.get_content_type()
    for part in ("Acme (app_1, uid acme)", "Orders (ep_1)", "status 500", "2023-11-14T21:13:20Z", "retry schedule"):
        assert part in text
    assert "https://tidings.example.com/console/org_1/app/app_1/endpoint/ep_1" in text
    assert "secret" not in text
    assert "hidden" not in text


async def test_tls_from_the_start_with_a_login(authority: Authority) -> None:
    async with serving_mail(tls=authority.receiver_context("127.0.0.1"), needs_login=True) as server:
        await SmtpClient(options(server, "smtps", LOGIN, tls=authority.client_context())).send(content())

    assert ([USER.encode()], 1) == (server.logins, len(server.mails))


async def test_starttls_with_a_login(authority: Authority) -> None:
    async with serving_mail(starttls=authority.receiver_context("127.0.0.1"), needs_login=True) as server:
        await SmtpClient(options(server, "starttls", LOGIN, tls=authority.client_context())).send(content())

    assert ([USER.encode()], [True]) == (server.logins, server.was_encrypted)


async def test_starttls_is_never_left_out() -> None:
    async with serving_mail() as server:
        with pytest.raises(MailError, match="STARTTLS"):
            await SmtpClient(options(server, "starttls", LOGIN)).send(content())

    assert ([], []) == (server.logins, server.mails)


@pytest.mark.parametrize("scheme", ["smtps", "starttls"])
async def test_a_certificate_of_a_stranger_is_refused(authority: Authority, scheme: str) -> None:
    tls = authority.receiver_context("127.0.0.1", signed=False)
    early, late = (tls, None) if scheme == "smtps" else (None, tls)
    async with serving_mail(tls=early, starttls=late) as server:
        with pytest.raises(MailError, match="certificate") as raised:
            await SmtpClient(options(server, scheme, LOGIN, tls=authority.client_context())).send(content())

    assert not raised.value.is_refusal
    assert ([], []) == (server.logins, server.mails)


async def test_a_wrong_login_is_a_fault_that_can_be_corrected() -> None:
    async with serving_mail(needs_login=True) as server:
        client = SmtpClient(options(server, login=f"{USER}:wrong@"))
        with pytest.raises(MailError, match="535") as raised:
            await client.send(content())
        with pytest.raises(MailError):
            await client.check()

    assert not raised.value.is_refusal
    assert "wrong" not in str(raised.value)


@pytest.mark.parametrize(
    ("answers", "is_refusal"),
    [
        ({"DATA": "554 No"}, True),
        ({"DATA": "451 Later"}, False),
        (dict.fromkeys(TO, "550 Nobody"), True),
        (dict.fromkeys(TO, "450 Busy"), False),
    ],
)
async def test_a_refusal_is_lasting_if_the_server_says_so(answers: dict[str, str], is_refusal: bool) -> None:  # noqa: FBT001
    async with serving_mail() as server:
        server.answers = answers
        with pytest.raises(MailError) as raised:
            await SmtpClient(options(server)).send(content())

    assert is_refusal == raised.value.is_refusal
    assert [] == server.mails


async def test_a_refused_recipient_does_not_keep_the_others_from_the_mail() -> None:
    async with serving_mail() as server:
        server.answers = {TO[0]: "550 Nobody"}
        await SmtpClient(options(server)).send(content())

    assert [[TO[1]]] == [each.rcpt_tos for each in server.envelopes]


@pytest.mark.parametrize("command", ["EHLO", "RCPT", "DATA"])
async def test_a_server_that_hangs_is_left(command: str) -> None:
    async with serving_mail() as server:
        server.hangs = command
        with pytest.raises(MailError):
            await SmtpClient(options(server, timeout_seconds=0.2)).send(content())


@pytest.mark.parametrize("command", ["EHLO", "RCPT", "DATA", "QUIT"])
async def test_a_server_that_hangs_does_not_hold_a_stop(command: str) -> None:
    """The stop of the service cancels the send, which then waits for no further answer."""
    async with serving_mail() as server:
        server.hangs = command
        sending = asyncio.create_task(
            SmtpClient(options(server, timeout_seconds=3_600, quit_seconds=3_600)).send(content())
        )
        await server.is_hanging.wait()

        sending.cancel()

        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_a_mail_that_was_taken_is_sent_although_the_server_hangs_afterwards() -> None:
    async with serving_mail() as server:
        server.hangs = "QUIT"
        await SmtpClient(options(server, timeout_seconds=3_600, quit_seconds=0.01)).send(content())

    assert 1 == len(server.mails)


async def test_a_server_that_says_nothing_at_all_is_left() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for scheme in ("smtp", "smtps", "starttls"):
            with pytest.raises(MailError):
                await SmtpClient(replace(options(timeout_seconds=0.2), server=f"{scheme}://{place}")).send(content())


async def test_nothing_that_listens_is_an_error_with_its_reason() -> None:
    with pytest.raises(MailError, match="no mail server"):
        await SmtpClient(options()).send(content())


async def test_something_else_than_a_mail_server_is_an_error() -> None:
    async def strange(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
        writer.close()

    server = await asyncio.start_server(strange, "127.0.0.1", 0)
    async with server:
        found = replace(options(), server=f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(MailError):
            await SmtpClient(found).send(content())


HOSTILE = (
    "\r\nBcc: victim@example.com\r\n\r\nhello",
    "\nSubject: another",
    "a\u2028b\u2029c\x0bd\x0ce\x85f",
    "\u202egnp.exe",
    "\ud800\udfff",
    "x" * 100_000,
    "=?utf-8?q?=0ABcc:_victim=40example.com?=",
    "\r\n.\r\nMAIL FROM:<a@example.com>",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_name_adds_no_header_and_no_line(text: str) -> None:
    hostile = change(
        endpoint_uid=text,
        url=f"https://{text}/",
        description=text,
        app_name=text,
        app_uid=text,
        last_code=0,
        last_error=text,
        data={"failSince": text},
    )
    async with serving_mail() as server:
        await SmtpClient(options(server)).send(content(hostile))

    [mail], [envelope], [lines] = server.mails, server.envelopes, [server.texts[0].splitlines()]
    usual = message_of(content(), options())
    assert set(usual.keys()) == set(mail.keys())
    assert (", ".join(TO), list(TO)) == (mail["To"], envelope.rcpt_tos)
    assert len(str(usual.get_content()).splitlines()) == len(lines)
    assert all(len(line) < 700 for line in lines)
    assert len(str(mail["Subject"])) < 400


def test_many_changes_are_counted_and_the_first_ones_listed() -> None:
    some = [change(endpoint_id=f"ep_{number}") for number in range(50)]
    mail = message_of(content(*some, failing=9_000, disabled=1_000), options(console="https://x/console"))

    text = str(mail.get_content())
    assert "[tidings] 10,000 changes of endpoints: 9,000 failing, 1,000 disabled" == mail["Subject"]
    assert 50 == text.count("is failing: ")
    assert "And 9,950 more changes. https://x/console" in text
    assert len(mail.as_bytes()) < 32_000


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (change("endpoint.disabling"), "will be disabled after 2023-11-14T23:13:20Z (50 % passed)"),
        (change("endpoint.disabled", disabled_reason="gone"), "responded with 410 Gone"),
        (change("endpoint.disabled", disabled_reason="receiver"), "at the request of its receiver"),
        (change("endpoint.disabled", disabled_reason="failing"), "after lasting failure"),
        (change("endpoint.recovered"), "has recovered at 2023-11-14T22:13:20Z. It had failed since"),
        (change("endpoint.recovered", data={"failSince": None}), "has recovered"),
        (change(last_code=0, last_error="connection refused"), "Last error: connection refused"),
        (change(org_id="org_00000000000SvixManagement00"), "Operational webhooks of Acme"),
    ],
)
def test_each_change_is_explained(found: Notification, words: str) -> None:
    assert words in str(message_of(content(found), options()).get_content())
