# SPDX-License-Identifier: MIT
"""A client that follows a list of messages, while others write to real servers, misses none."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from live import Live, serving

WRITERS = 8
EACH = 40
AT_ONCE = 5


@contextlib.contextmanager
def _nodes(url: str, folder: Path, count: int) -> Iterator[list[Live]]:
    with contextlib.ExitStack() as stack:
        found = []
        for number in range(count):
            own = folder / str(number)
            own.mkdir()
            found.append(stack.enter_context(serving(url, own)))
        yield found


def _one(server: Live, path: str) -> list[str]:
    status, body = server.call("POST", path, {"eventType": "a", "payload": {}})
    assert 202 == status, body
    return [body["id"]]


def _batch(server: Live, path: str) -> list[str]:
    messages = [{"eventType": "a", "payload": {"n": n}} for n in range(AT_ONCE)]
    status, body = server.call("POST", f"{path}/batch", {"messages": messages})
    assert status in (200, 202, 207), body
    return [each["id"] for each in body["data"]]


def _written(server: Live, path: str, number: int) -> list[str]:
    found: list[str] = []
    for turn in range(EACH):
        found += _batch(server, path) if (turn + number) % 4 == 0 else _one(server, path)
    return found


def _followed(server: Live, path: str, first: str, writing: list[Future[list[str]]]) -> list[str]:
    """Follow the list from a message on, until the newest of all written messages has arrived."""
    seen: list[str] = []
    newest, last = first, "~"  # sorts after every id
    while newest < last:
        if all(each.done() for each in writing):
            last = max(each for done in writing for each in done.result())
        page: dict[str, Any] = server.call("GET", f"{path}?limit=50&iterator=-{newest}")[1]
        seen += [each["id"] for each in page["data"]][::-1]
        newest = max([newest, *seen[-1:]])
    return seen


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "two nodes"])
def test_a_followed_list_skips_no_message(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    url = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_dsn")
    with _nodes(url, tmp_path, 2 if kind == "two nodes" else 1) as servers, ThreadPoolExecutor(WRITERS + 1) as pool:
        app = servers[0].call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
        path = f"/api/v1/app/{app}/msg"
        [first] = _one(servers[0], path)
        writing = [pool.submit(_written, servers[n % len(servers)], path, n) for n in range(WRITERS)]

        seen = _followed(servers[0], path, first, writing)

        made = {each for done in writing for each in done.result()}
        assert set() == made - set(seen)
        assert sorted(seen) == seen
        assert len(seen) == len(made)
