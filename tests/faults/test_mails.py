# SPDX-License-Identifier: MIT
"""Mails of a running service: an outage and its end, and a kill between the send and its record."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from delivery.mail_server import MailServer, serving_mail
from delivery.receiver import OK, Peer, Receiver, read, say
from faults.kit import ended, eventually, node, started, with_endpoint
from live import Live
from tidings.storage.drivers.store import opened

FAILURE = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
MESSAGE = {"eventType": "a.b", "payload": {"n": 1}}


class Switch:
    """A receiver that fails until it is repaired."""

    def __init__(self) -> None:
        self.reply = FAILURE
        self.receiver = Receiver([self._serve])

    async def _serve(self, peer: Peer) -> None:
        while True:
            await read(peer)
            await say(self.reply)(peer)


def mailing(database_url: str, folder: Path, mails: MailServer, **more: Any) -> Live:
    settings = {"smtp_url": f"smtp://127.0.0.1:{mails.port}", "notify_email": "[ops@example.com]"}
    return node(database_url, folder, **{**settings, "retry_schedule": "[600]", **more})


async def send(server: Live, path: str, count: int) -> None:
    for _ in range(count):
        status, body = await asyncio.to_thread(server.call, "POST", path, MESSAGE)
        assert 202 == status, body


async def stored(database_url: str) -> list[str]:
    """Return the types of the notifications that wait for a mail."""
    db = await opened(database_url)
    async with db.read() as read:
        found = [str(row["type"]) for row in await read.rows("SELECT type FROM notification")]
    await db.close()
    return found


async def test_an_endpoint_that_fails_and_recovers_is_mailed(database_url: str, tmp_path: Path) -> None:
    switch = Switch()
    async with switch.receiver as receiver, serving_mail() as mails:
        server = mailing(database_url, tmp_path, mails)
        with ended(server):
            await started(server, app_portal_url="https://tidings.example.com/")
            path = with_endpoint(server, receiver.url)
            await send(server, path, 10)
            await eventually(lambda: mails.texts)
            sent = len(receiver.requests)
            switch.reply = OK
            await send(server, path, 1)
            await eventually(lambda: len(receiver.requests) > sent)
            server.stop()  # the next mail is due in a minute
        waiting = await stored(database_url)

    assert ["endpoint.recovered"] == waiting
    [failing] = (str(mail["Subject"]) for mail in mails.mails)
    assert failing.startswith("[tidings] Endpoint failing: 127.0.0.1:")
    assert "status 500" in mails.texts[0]
    assert "https://tidings.example.com/console/org_" in mails.texts[0]


async def test_a_kill_between_the_send_and_its_record_repeats_the_mail_under_its_name(
    sqlite_url: str, tmp_path: Path
) -> None:
    switch = Switch()
    async with switch.receiver as receiver, serving_mail() as mails:
        server = mailing(sqlite_url, tmp_path, mails)
        with ended(server):
            await started(server, failpoints="mail.before_record=kill")
            await send(server, with_endpoint(server, receiver.url), 10)
            await eventually(lambda: server.process is not None and server.process.poll() is not None)
            assert server.stop() == -signal.SIGKILL
            assert 1 == len(mails.mails)
            await started(server, failpoints="")
            await eventually(lambda: len(mails.mails) == 2)

    first, second = mails.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert mails.texts[0] == mails.texts[1]
