# SPDX-License-Identifier: MIT
"""A kill while the state of an endpoint changes: the state, its event and its mail exist together or not at all.

Each change is then reported once, however the process that made it, or was about to make it, died.
"""

import asyncio
import contextlib
import http.client
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from delivery.receiver import OK, Peer, Receiver, read, say
from faults.kit import ended, eventually, node, started
from faults.test_operational import PATH, answering, call, events
from live import Live, LiveError, free_port
from tidings.clock import HOUR, SystemClock
from tidings.core import operational
from tidings.storage.drivers.database import Database
from tidings.storage.drivers.store import opened

FAILURE = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
MESSAGE = {"eventType": "a.b", "payload": {"n": 1}}
IN_A_ROW = 10
WITHIN = ("state_change.before_event", "state_change.after_event")
_STATE = "SELECT run_failing_since, warned_at, disabled FROM endpoint WHERE id = :id"
_EVENTS = "SELECT type FROM operational_event"
_MESSAGES = "SELECT event_type AS type FROM message WHERE event_type LIKE 'endpoint.%'"
_MAILS = "SELECT type FROM notification WHERE endpoint_id = :id"


@dataclass
class Scene:
    """A server with a chat of operators, and a receiver whose reply the test chooses."""

    server: Live
    reply: bytes = OK
    operators: Receiver = field(default_factory=answering)
    app: str = ""
    endpoint: str = ""
    reported: Counter[str] = field(default_factory=Counter)

    async def serve(self, peer: Peer) -> None:
        while True:
            await read(peer)
            await say(self.reply)(peer)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        return await asyncio.to_thread(call, self.server, method, f"/api/v1/app/{self.app}{path}", body)

    async def new_endpoint(self, url: str) -> None:
        """Go on with an endpoint of an application of its own."""
        self.app = (await asyncio.to_thread(call, self.server, "POST", "/api/v1/app", {"name": "A"}))["id"]
        self.endpoint = (await self.call("POST", "/endpoint", {"url": url}))["id"]

    async def attempts(self) -> int:
        found = await self.call("GET", f"/attempt/endpoint/{self.endpoint}?limit=100")
        return len(found["data"])

    async def fail(self, count: int) -> None:
        """Let messages fail, each recorded before the next."""
        self.reply = FAILURE
        for _ in range(count):
            await self.send()

    async def send(self) -> None:
        before = await self.attempts()
        await self.call("POST", "/msg", MESSAGE)
        while await self.attempts() == before:  # noqa: ASYNC110 - the attempt is made by another process
            await asyncio.sleep(0.02)

    async def every_message_is_tried(self) -> None:
        """Wait until the message of a dead server is sent again: its lease must expire."""
        async with asyncio.timeout(60):
            sent = {each["id"] for each in (await self.call("GET", "/msg?limit=100"))["data"]}
            tried: set[str] = set()
            while tried != sent:
                found = await self.call("GET", f"/attempt/endpoint/{self.endpoint}?limit=100")
                tried = {each["msgId"] for each in found["data"]}

    async def die(self, place: str, *, sending: bool) -> None:
        """Restart so that the server dies at a failpoint: at its start, or when it has sent a message."""
        try:
            await started(self.server, failpoints=place)
        except LiveError as early:
            if f"ended with {-signal.SIGKILL} " not in str(early):
                raise
            return
        if sending:
            with contextlib.suppress(OSError, http.client.HTTPException):  # it may die before it responds
                await self.call("POST", "/msg", MESSAGE)
        await eventually(lambda: self.server.process is not None and self.server.process.poll() is not None)
        assert self.server.stop() == -signal.SIGKILL

    async def stored(self, type_: str) -> tuple[bool, int, int]:
        """Return whether the state of the change is stored, and how many new events and mails of it; nothing runs."""
        async with database_of(self.server) as db:
            async with db.read() as read_:
                row = await read_.one(_STATE, id=self.endpoint)
                mails = [each["type"] for each in await read_.rows(_MAILS, id=self.endpoint)]
            found = await count_events(db, type_)
        changed = {
            operational.ENDPOINT_FAILING: row["run_failing_since"] is not None,
            operational.ENDPOINT_RECOVERED: row["run_failing_since"] is None,
            operational.ENDPOINT_DISABLING: row["warned_at"] is not None,
            operational.ENDPOINT_DISABLED: bool(row["disabled"]),
        }
        return changed[type_], found - self.reported[type_], mails.count(type_)

    async def expect(self, type_: str) -> None:
        """Wait until the operators have one more event of a type; remember it."""
        self.reported[type_] += 1
        await eventually(lambda: self.arrived(type_) >= self.reported[type_])

    def arrived(self, type_: str) -> int:
        return Counter(event["type"] for event in events(self.operators))[type_]


@contextlib.asynccontextmanager
async def database_of(server: Live) -> Any:
    db = await opened(server.database_url, connections=1)
    try:
        yield db
    finally:
        await db.close()


@contextlib.asynccontextmanager
async def acted(database_url: str, folder: Path) -> Any:
    pytest.importorskip("aiosmtplib")
    mails = {"notify_email": "[ops@example.com]", "smtp_url": f"smtp://127.0.0.1:{free_port()}"}
    scene = Scene(node(database_url, folder, retry_schedule="[600]", **mails))
    async with scene.operators as operators, Receiver([scene.serve]) as receiver:
        with ended(scene.server):
            await started(scene.server)
            body = {"url": operators.url, "eventTypes": list(operational.STATE_CHANGES)}
            await asyncio.to_thread(call, scene.server, "POST", PATH, body)
            yield scene, receiver.url


async def check(scene: Scene, type_: str, place: str, *, repeats: int) -> None:
    """Check what the dead server stored, and that the next one reports the change once.

    `repeats` is the number of messages after which a server that knows of no failure makes the change.
    """
    is_committed = "after_commit" in place
    assert (is_committed, int(is_committed), int(is_committed)) == await scene.stored(type_), place
    await started(scene.server, failpoints="")
    for _ in range(repeats):
        await scene.send()
    await scene.expect(type_)


async def check_that_nothing_was_doubled(scene: Scene, type_: str) -> None:
    """Stop the server; there must be no event, message or request more than those that were expected."""
    assert 0 == await asyncio.to_thread(scene.server.stop)
    async with database_of(scene.server) as db:
        assert scene.reported[type_] == await count_events(db, type_)
    assert scene.reported[type_] == scene.arrived(type_)


async def count_events(db: Database, type_: str) -> int:
    """Count the events of a type that are stored, as such or as messages."""
    async with db.read() as read_:
        return [each["type"] for sql in (_EVENTS, _MESSAGES) for each in await read_.rows(sql)].count(type_)


@pytest.mark.timeout(400)
async def test_a_kill_at_the_tenth_failure(database_url: str, tmp_path: Path) -> None:
    # The tenth batch has the tenth failure: each was recorded before the next.
    places = (*(f"{each}=kill" for each in WITHIN), *(f"settle.{each}_commit=kill@10" for each in ("before", "after")))
    async with acted(database_url, tmp_path) as (scene, url):
        for place in places:
            await scene.new_endpoint(url)
            await started(scene.server, failpoints=place)
            await scene.fail(IN_A_ROW - 1)
            with contextlib.suppress(OSError, http.client.HTTPException):
                await scene.call("POST", "/msg", MESSAGE)
            await eventually(lambda: scene.server.process is not None and scene.server.process.poll() is not None)
            assert scene.server.stop() == -signal.SIGKILL
            # The new process looks at the third failure that it sees.
            await check(scene, operational.ENDPOINT_FAILING, place, repeats=3)
            await scene.every_message_is_tried()
        await check_that_nothing_was_doubled(scene, operational.ENDPOINT_FAILING)


@pytest.mark.timeout(400)
async def test_a_kill_at_a_recovery(database_url: str, tmp_path: Path) -> None:
    places = (*(f"{each}=kill" for each in WITHIN), "settle.before_commit=kill", "settle.after_commit=kill")
    async with acted(database_url, tmp_path) as (scene, url):
        for place in places:
            await scene.new_endpoint(url)
            await scene.fail(IN_A_ROW)
            await scene.expect(operational.ENDPOINT_FAILING)
            scene.reply = OK
            await scene.die(place, sending=True)
            await check(scene, operational.ENDPOINT_RECOVERED, place, repeats=1)
            await scene.every_message_is_tried()
        await check_that_nothing_was_doubled(scene, operational.ENDPOINT_RECOVERED)


@pytest.mark.timeout(400)
async def test_a_kill_at_a_disabling_by_the_receiver(database_url: str, tmp_path: Path) -> None:
    places = (*(f"{each}=kill" for each in WITHIN), "settle.before_commit=kill", "settle.after_commit=kill")
    async with acted(database_url, tmp_path) as (scene, url):
        for place in places:
            await scene.new_endpoint(url)
            scene.reply = GONE
            await scene.die(place, sending=True)
            # The message is sent again when its lease has expired.
            await check(scene, operational.ENDPOINT_DISABLED, place, repeats=0)
        await check_that_nothing_was_doubled(scene, operational.ENDPOINT_DISABLED)


@pytest.mark.timeout(400)
async def test_a_kill_at_a_warning(database_url: str, tmp_path: Path) -> None:
    places = (*WITHIN, "warning.after_commit")
    async with acted(database_url, tmp_path) as (scene, url):
        for place in places:
            await scene.new_endpoint(url)
            assert 0 == await asyncio.to_thread(scene.server.stop)
            await fail_for_most_of_the_time(scene)
            await scene.die(f"{place}=kill", sending=False)
            await check(scene, operational.ENDPOINT_DISABLING, place, repeats=0)
        await check_that_nothing_was_doubled(scene, operational.ENDPOINT_DISABLING)


async def fail_for_most_of_the_time(scene: Scene) -> None:
    """Give the endpoint the record of failures since 60 of the 100 hours until it is disabled."""
    now = SystemClock().now()
    async with database_of(scene.server) as db, db.write() as tx:
        await tx.run(
            "UPDATE endpoint SET failing_since = :since, last_failure_at = :now, disables_at = :at WHERE id = :id",
            since=now - 60 * HOUR,
            now=now,
            at=now + 40 * HOUR,
            id=scene.endpoint,
        )
