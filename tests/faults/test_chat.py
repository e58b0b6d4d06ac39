# SPDX-License-Identifier: MIT
"""An operator adds a Slack URL in the console, and sees when a receiver starts failing and when it is disabled."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from delivery.receiver import OK, Peer, Receiver, read, say
from faults.kit import ended, eventually, node, started, with_endpoint
from faults.test_mails import send
from live import Live
from portal.kit import Page
from tidings.ids import DEFAULT_ORG

FAILURE = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
INVALID = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 15\r\n\r\ninvalid_payload"
PATH = f"/console/{DEFAULT_ORG}/notification"


class Slack:
    """Slack's side of an incoming webhook: it takes a JSON object with a text, and refuses everything else."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.receiver = Receiver([self._serve])

    async def _serve(self, peer: Peer) -> None:
        while True:
            await read(peer)
            await say(OK if self._takes(peer.receiver.requests[-1].body) else INVALID)(peer)

    def _takes(self, body: bytes) -> bool:
        found = json.loads(body)
        if not isinstance(found, dict) or not found.get("text") or not {*found} <= {"text", "attachments", "blocks"}:
            return False
        self.messages.append(found)
        return True


class Failing:
    """A receiver whose response the test chooses."""

    def __init__(self) -> None:
        self.reply = FAILURE
        self.receiver = Receiver([self._serve])

    async def _serve(self, peer: Peer) -> None:
        while True:
            await read(peer)
            await say(self.reply)(peer)


async def add_chat(server: Live, url: str) -> None:
    """Sign in to the console, and add a chat with its form."""
    async with httpx.AsyncClient(base_url=server.url, headers={"origin": server.url}) as client:
        signed_in = await client.post("/console/sign-in", data={"key": server.token, "next": ""})
        assert signed_in.status_code < 400, signed_in.text
        form = Page((await client.get(PATH)).text).form("/notification")
        added = await client.post(form.action, data={**form.values, "kind": "slack", "url": url})
        assert 303 == added.status_code, added.text


async def test_a_slack_channel_gets_the_changes_of_a_receiver(database_url: str, tmp_path: Path) -> None:
    pytest.importorskip("_quickjs")
    slack, failing = Slack(), Failing()
    async with slack.receiver as channel, failing.receiver as receiver:
        server = node(database_url, tmp_path, retry_schedule="[600]")
        with ended(server):
            await asyncio.gather(started(server))
            await add_chat(server, channel.url)
            path = with_endpoint(server, receiver.url)
            await send(server, path, 10)
            await eventually(lambda: len(slack.messages) == 1)
            failing.reply = GONE
            await send(server, path, 1)
            await eventually(lambda: len(slack.messages) == 2)
            bodies = len(channel.requests)

    first, second = (each["text"] for each in slack.messages)
    assert "is failing" in first
    assert "was disabled" in second
    assert 2 == bodies


async def test_the_url_of_a_chat_is_shown_nowhere_when_it_fails(sqlite_url: str, tmp_path: Path) -> None:
    pytest.importorskip("_quickjs")
    secret = "T0SECRETB0PART"
    failing = Failing()
    async with failing.receiver as channel:
        server = node(sqlite_url, tmp_path, retry_schedule="[1]")
        with ended(server):
            await asyncio.gather(started(server))
            await add_chat(server, f"{channel.url.rstrip('/')}/services/{secret}")
            path = with_endpoint(server, channel.url)
            await send(server, path, 10)
            await eventually(lambda: any(secret.encode() in request.line for request in channel.requests))
            await eventually(lambda: "attempts failed" in server.log())
            shown = [await asyncio.to_thread(_text, server, each) for each in (PATH, "/console", "/api/v1/status")]
            server.stop()

    assert all(shown)
    assert secret not in server.log()
    assert [] == [text for text in shown if secret in text]


def _text(server: Live, path: str) -> str:
    with httpx.Client(base_url=server.url, follow_redirects=True, headers={"origin": server.url}) as client:
        client.post("/console/sign-in", data={"key": server.token, "next": ""})
        found = client.get(path, headers={"authorization": f"Bearer {server.token}"})
        assert 200 == found.status_code, found.text
        return found.text
