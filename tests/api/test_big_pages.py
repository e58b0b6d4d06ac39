# SPDX-License-Identifier: MIT
"""The bytes of a page are bounded, and so is the memory that readers can occupy by not reading."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.kit import ORG, Api, Json
from tidings import ids
from tidings.asgi.response_buffer import PART, ResponseBuffer
from tidings.model.page import PAGE_BYTES
from tidings.storage.tables import settlement
from tidings.storage.tables.settlement import AttemptRow

BIG = "x" * 1_500_000
Listed = tuple[str, list[str], str]


async def _messages(api: Api) -> Listed:
    path = f"/app/{await api.app()}/msg"
    made = [await api.made(path, {"eventType": "a", "payload": {"big": BIG, "n": n}}) for n in range(7)]
    return path, [each["id"] for each in made][::-1], "id"


async def _narrowed(api: Api) -> Listed:
    path, made, key = await _messages(api)
    return f"{path}?event_types=a", made, key


async def _attempted(api: Api) -> Listed:
    path, made, key = await _messages(api)
    app = path.split("/")[2]
    endpoint = await api.endpoint(app)
    for msg in made:
        await api.attempt(app, endpoint, msg)
    return f"/app/{app}/endpoint/{endpoint}/msg", made, key


async def _event_types(api: Api) -> Listed:
    schema = {"1": {"type": "object", "description": BIG}}
    made = [await api.made("/event-type", {"name": f"t{n}", "description": "d", "schemas": schema}) for n in range(7)]
    return "/event-type?with_content=true", [each["name"] for each in made], "name"


async def _attempts(api: Api) -> Listed:
    app = await api.app()
    endpoint, msg = await api.endpoint(app), await api.message(app)
    made = [ids.new(ids.ATTEMPT, api.clock.now() + (n - 100) * ids.STEP_MS) for n in range(100)]
    url = "http://example.com/" + "u" * 60_000
    async with api.db.write() as tx:
        for each in made:
            who = (msg, each, endpoint, app, ORG, url)
            await settlement.add_attempts(tx, [AttemptRow(*who, 0, 200, "\x01" * 18_000, 12, 0)])
    return f"/app/{app}/attempt/endpoint/{endpoint}", made[::-1], "id"


LISTS = [_messages, _narrowed, _attempted, _event_types, _attempts]


@pytest.mark.parametrize("make", LISTS)
async def test_a_page_ends_at_its_byte_limit_and_the_iterator_continues(
    api: Api, make: Callable[[Api], Awaitable[Listed]]
) -> None:
    path, made, key = await make(api)
    join = "&" if "?" in path else "?"
    found: list[Json] = []
    pages, iterator = 0, ""

    while True:
        response = await api.get(f"{path}{join}limit=250{iterator}")
        page = response.json()
        assert len(response.content) <= PAGE_BYTES + 1_000
        found += page["data"]
        pages += 1
        if page["done"]:
            break
        assert page["data"][-1][key] == page["iterator"]
        iterator = f"&iterator={page['iterator']}"

    assert made == [each[key] for each in found]
    assert pages > 3
    back = (await api.get(f"{path}{join}limit=250&iterator=-{made[-1]}")).json()
    assert not back["done"]
    body = [each[key] for each in back["data"]]
    assert made[-1 - len(body) : -1] == body
    assert f"-{body[0]}" == back["prevIterator"]


async def test_a_page_counts_the_bytes_of_its_response(api: Api) -> None:
    path = f"/app/{await api.app()}/msg"
    raw = {"eventType": "a", "payload": {}, "transformationsParams": {"rawPayload": "\x01" * 300_000}}
    made = [(await api.made(path, raw))["id"] for _ in range(3)]

    page = await api.read(path, limit=3)

    assert made[:0:-1] == [each["id"] for each in page["data"]]
    assert (False, "\x01" * 300_000) == (page["done"], page["data"][0]["payload"]["raw"])


async def test_an_expired_payload_does_not_count_towards_the_byte_limit(api: Api) -> None:
    path, made, _ = await _messages(api)
    for msg in made[:5]:
        await api.call("DELETE", f"{path}/{msg}/content")

    page = await api.read(path, limit=250)

    assert made == [each["id"] for each in page["data"]]
    assert [{"expired": True}] * 5 == [each["payload"] for each in page["data"][:5]]


class _Reader:
    """A reader that reads only when the test allows it."""

    def __init__(self) -> None:
        self.got = b""
        self.is_done = False
        self.is_aborted = False
        self.reads, self.is_reading = asyncio.Event(), asyncio.Event()
        self.scope: dict[str, Any] = {"extensions": {"tidings.abort": {"call": self._abort}}}

    def _abort(self) -> None:
        self.is_aborted = True

    async def send(self, message: Any) -> None:
        self.is_reading.set()
        await self.reads.wait()
        self.got += message["body"]
        self.is_done = not message.get("more_body")


async def test_a_large_response_is_sent_part_by_part() -> None:
    buffer, reader, body = ResponseBuffer(), _Reader(), bytes(range(256)) * 5_000
    reader.reads.set()

    await buffer.send(reader.scope, reader.send, body)

    assert (body, True, False, 0) == (reader.got, reader.is_done, reader.is_aborted, buffer.held)


async def test_a_reader_that_does_not_read_is_disconnected() -> None:
    buffer, reader = ResponseBuffer(stall_seconds=0.01), _Reader()

    await buffer.send(reader.scope, reader.send, b"x" * PART * 2)

    assert (b"", False, True, 0) == (reader.got, reader.is_done, reader.is_aborted, buffer.held)


async def test_the_slowest_reader_is_disconnected_when_memory_is_full() -> None:
    buffer = ResponseBuffer(size_max=PART * 4)
    readers = [_Reader() for _ in range(4)]
    sending = [asyncio.create_task(buffer.send(each.scope, each.send, b"x" * PART * 2)) for each in readers[:2]]
    for each in readers[:2]:
        await each.is_reading.wait()
    assert PART * 4 == buffer.held

    for each in readers[2:]:
        each.reads.set()
        await buffer.send(each.scope, each.send, b"y" * PART * 2)
    await sending[0]

    assert [True, False, False, False] == [each.is_aborted for each in readers]
    assert [0, 0, PART * 2, PART * 2] == [len(each.got) for each in readers]
    readers[1].reads.set()
    await sending[1]
    assert readers[1].is_done
