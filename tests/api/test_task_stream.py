# SPDX-License-Identifier: MIT
"""Background tasks as server-sent events, for clients that hang up, reconnect or stop reading."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.kit import ORG, SECRET, Api, Json
from api.task_kit import commanded, failing, recovering, stored
from tidings import observe
from tidings.api.app import build
from tidings.api.tuning import ApiTuning
from tidings.asgi import stream
from tidings.core.access import APP_TOKEN_MS, issue_app_token
from tidings.core.tuning import CoreTuning
from tidings.ids import AppId, OrgId
from tidings.model.task import State
from tidings.model.token import LEEWAY_MS
from tidings.table import TABLE

Message = dict[str, Any]


@dataclass
class Reader:
    """One request for a stream, made at the ASGI interface."""

    api: Api
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    status: int = 0
    answered: dict[bytes, bytes] = field(default_factory=dict)
    text: str = ""
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        given = {"authorization": f"Bearer {self.api.token}", **self.headers}
        scope: Message = {
            "type": "http",
            "method": self.method,
            "path": f"/api/v1{self.path}",
            "query_string": b"",
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "extensions": {stream.ABORT: {"call": self.gone.set}},
        }
        await build(self.api.context, TABLE)(scope, self._receive, self._send)
        self.over.set()

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.reads.wait()
        self.status = message.get("status", self.status)
        self.answered |= dict(message.get("headers", ()))
        self.text += message.get("body", b"").decode()
        self.news.set()

    async def has(self, what: str) -> None:
        """Wait until the stream has sent a given text."""
        async with asyncio.timeout(30):
            while what not in self.text:
                self.news.clear()
                await self.news.wait()

    @property
    def events(self) -> list[tuple[int | None, str, Json]]:
        """The events read: id, name and data of each."""
        found = []
        for block in self.text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
            if "event" in lines:
                number = int(lines["id"]) if "id" in lines else None
                found.append((number, lines["event"], json.loads(lines["data"])))
        return found

    @property
    def states(self) -> list[tuple[int | None, str]]:
        """The transitions read."""
        return [(number, data["event"]) for number, name, data in self.events if name == "state"]


@asynccontextmanager
async def reading(api: Api, task_id: str, *, after: int | None = None, reads: bool = True) -> AsyncIterator[Reader]:
    """Read a stream for the length of a block; leaving the block hangs up."""
    headers = {} if after is None else {"last-event-id": str(after)}
    reader = Reader(api, f"/background-task/{task_id}/events", headers)
    if reads:
        reader.reads.set()
    running = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        reader.reads.set()
        reader.gone.set()
        async with asyncio.timeout(30):
            await running


async def read_to_end(api: Api, task_id: str, *, after: int | None = None, method: str = "GET") -> Reader:
    """Read a stream to its end."""
    headers = {} if after is None else {"last-event-id": str(after)}
    reader = Reader(api, f"/background-task/{task_id}/events", headers, method)
    reader.reads.set()
    async with asyncio.timeout(30):
        await reader.run()
    return reader


async def _command(api: Api, task_id: str, *names: str) -> None:
    for name in names:
        assert (await api.post(f"/background-task/{task_id}/{name}")).status_code == 200


async def test_a_stream_reports_each_transition_and_ends_with_the_task(api: Api) -> None:
    app, endpoint, _ = await failing(api, 3)
    task_id = (await commanded(api, app, endpoint))["id"]
    async with reading(api, task_id) as reader:
        await reader.has('"created"')
        await _command(api, task_id, "pause", "resume")
        async with recovering(api):
            await reader.has('"succeeded"')

    assert reader.status == 200
    assert reader.answered[b"content-type"].startswith(b"text/event-stream")
    assert (reader.answered[b"cache-control"], reader.answered[b"x-accel-buffering"]) == (b"no-store", b"no")
    assert reader.text.startswith("retry: 3000\n\n")
    assert reader.states == [(1, "created"), (2, "paused"), (3, "resumed"), (4, "succeeded")]
    last = [data for _, name, data in reader.events if name == "progress"][-1]
    assert (last["state"], last["progress"]["done"], last["progress"]["percent"]) == ("succeeded", 3, 100.0)
    assert "0 tasks, 0 streams" in repr(api.context.task_watcher)


async def test_a_reconnecting_reader_gets_each_event_once(api: Api) -> None:
    task_id = await stored(api, State.QUEUED)
    heard: list[tuple[int | None, str]] = []
    for commands in (["pause"], ["resume", "pause"], [], ["resume"]):
        last = heard[-1][0] if heard else None
        async with reading(api, task_id, after=last) as reader:
            await reader.has("event: progress")
            await _command(api, task_id, *commands[:1])
            if commands:
                await reader.has(f'"event":"{commands[0]}')
        heard += reader.states
        await _command(api, task_id, *commands[1:])  # without reading
    await _command(api, task_id, "cancel")
    heard += (await read_to_end(api, task_id, after=heard[-1][0])).states

    names = ["created", "paused", "resumed", "paused", "resumed", "cancelled"]
    assert heard == list(enumerate(names, 1))


async def test_a_reader_that_has_seen_the_end_gets_a_204(api: Api) -> None:
    task_id = await stored(api, State.QUEUED)
    await _command(api, task_id, "cancel")

    assert (await read_to_end(api, task_id)).states == [(1, "created"), (2, "cancelled")]
    assert (await read_to_end(api, task_id, after=1)).states == [(2, "cancelled")]
    assert (await read_to_end(api, task_id, after=2)).status == 204
    for nonsense in ("soon", "-1", "9" * 40):
        response = await api.get(f"/background-task/{task_id}/events", headers={"last-event-id": nonsense})
        assert "id: 2" in response.text


async def test_a_head_of_a_stream_has_no_body(lite: Api) -> None:
    reader = await read_to_end(lite, await stored(lite, State.QUEUED), method="HEAD")

    assert (reader.status, reader.text) == (200, "")
    assert "0 tasks, 0 streams" in repr(lite.context.task_watcher)


async def test_readers_of_one_task_share_one_poller(lite: Api) -> None:
    task_id = await stored(lite, State.QUEUED)
    async with reading(lite, task_id) as one, reading(lite, task_id) as two:
        await one.has("created")
        await two.has("created")
        assert "1 tasks, 2 streams" in repr(lite.context.task_watcher)
        one.gone.set()
        await _command(lite, task_id, "pause")
        await two.has("paused")

    assert "0 tasks, 0 streams" in repr(lite.context.task_watcher)


async def _store_progress(api: Api, task_id: str, done: int) -> None:
    async with api.db.write() as tx:
        await tx.run("UPDATE task SET done = :done WHERE id = :id", done=done, id=task_id)


def _progress(reader: Reader) -> list[int]:
    return [data["progress"]["done"] for _, name, data in reader.events if name == "progress"]


async def test_progress_within_the_interval_is_reported_once(lite: Api) -> None:
    lite = lite.tuned(ApiTuning(progress_seconds=3_600), CoreTuning(watch_seconds=0.001))
    task_id = await stored(lite, State.RUNNING)
    async with reading(lite, task_id) as reader:
        await reader.has('"done":0')
        with lite.context.task_watcher.view(task_id) as view:
            for done in range(1, 5):
                version = view.version
                await _store_progress(lite, task_id, done)
                await view.changed(version, 30)
        await _command(lite, task_id, "cancel")
        await reader.over.wait()

    assert [0, 4] == _progress(reader), "the first one, and the last one when the task ended"


async def test_new_progress_is_reported_after_the_interval(lite: Api) -> None:
    lite = lite.tuned(ApiTuning(progress_seconds=0.001), CoreTuning(watch_seconds=0.001))
    task_id = await stored(lite, State.RUNNING)
    async with reading(lite, task_id) as reader:
        for done in range(1, 5):
            await _store_progress(lite, task_id, done)
            await reader.has(f'"done":{done}')

    assert [1, 2, 3, 4] == _progress(reader)[-4:]


async def test_an_idle_stream_sends_keepalives(lite: Api) -> None:
    lite = lite.tuned(ApiTuning(keepalive_seconds=0.05))
    async with reading(lite, await stored(lite, State.PAUSED)) as reader:
        await reader.has(": nothing new\n\n: nothing new\n\n")

    assert 1 == len(reader.states)


@pytest.mark.parametrize("way", ["logout", "expiry"])
async def test_a_stream_ends_with_the_token_of_its_reader(lite: Api, way: str) -> None:
    lite = lite.tuned(ApiTuning(keepalive_seconds=0.05))
    app = await lite.app()
    task_id = await stored(lite, State.QUEUED, app=app)
    mine = issue_app_token(SECRET, OrgId(ORG), AppId(app), lite.clock.now())
    async with reading(lite, task_id) as whoever, reading(lite, task_id) as reader:
        reader.headers["authorization"] = f"Bearer {mine}"
        await reader.has("nothing new")
        if way == "logout":
            assert 204 == (await lite.post("/auth/logout", token=mine)).status_code
        else:
            lite.clock.advance(APP_TOKEN_MS + 2 * LEEWAY_MS)
        async with asyncio.timeout(30):
            await reader.over.wait()
        assert not whoever.over.is_set()


async def test_a_reader_that_does_not_read_is_disconnected(lite: Api) -> None:
    lite = lite.tuned(ApiTuning(stall_seconds=0.05))
    before = observe.counters["streams.dropped"]
    task_id = await stored(lite, State.QUEUED)
    async with reading(lite, task_id) as reader:
        await reader.has("created")
        reader.reads.clear()
        await _command(lite, task_id, "pause")
        async with asyncio.timeout(30):
            await reader.gone.wait()

    assert before + 1 == observe.counters["streams.dropped"]
    assert "0 tasks, 0 streams" in repr(lite.context.task_watcher)


async def test_the_streams_of_a_token_are_limited(lite: Api) -> None:
    lite = lite.tuned(core=CoreTuning(streams_per_token=1))
    app = await lite.app()
    task_id = await stored(lite, State.QUEUED, app=app)
    async with reading(lite, task_id) as reader:
        await reader.has("created")
        assert (await lite.get(f"/background-task/{task_id}/events")).status_code == 429
        mine = issue_app_token(SECRET, OrgId(ORG), AppId(app), lite.clock.now())
        async with reading(lite, task_id) as other:
            other.headers["authorization"] = f"Bearer {mine}"
            await other.has("created")

    async with reading(lite, task_id) as again:
        await again.has("created")


async def test_streams_end_immediately_when_the_process_stops(lite: Api) -> None:
    task_id = await stored(lite, State.QUEUED)
    async with reading(lite, task_id) as reader:
        await reader.has("created")
        await lite.context.task_watcher.close()
        assert (await read_to_end(lite, task_id)).status == 200

    assert "0 tasks, 0 streams" in repr(lite.context.task_watcher)


@contextmanager
def failing_listener() -> Iterator[None]:
    def listener(*_: str) -> None:
        raise ZeroDivisionError

    observe.listen(listener)
    try:
        yield
    finally:
        observe.ignore(listener)


async def test_a_failing_listener_does_not_change_the_transition(lite: Api) -> None:
    task_id = await stored(lite, State.QUEUED)

    with failing_listener():
        await _command(lite, task_id, "pause")

    assert (await lite.read(f"/background-task/{task_id}"))["x"]["state"] == "paused"


async def test_a_task_that_is_deleted_ends_its_stream(lite: Api) -> None:
    task_id = await stored(lite, State.QUEUED)
    async with reading(lite, task_id) as reader:
        await reader.has("created")
        async with lite.db.write() as tx:
            await tx.run("DELETE FROM task WHERE id = :id", id=task_id)
        async with asyncio.timeout(30):
            await reader.over.wait()

    assert "0 tasks, 0 streams" in repr(lite.context.task_watcher)
