# SPDX-License-Identifier: MIT
"""SQLite's writer lock: foreground writes go first, and no write starves or is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tidings.storage.drivers.sqlite_file import WriterLock


class Writers:
    """Writers of one lock, the order in which they held it, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lock = WriterLock(lambda: self.now)
        self.order: list[str] = []

    async def call(self, name: str) -> None:
        """Hold the lock; a lowercase name is a background write."""
        async with self.lock.hold(background=name.islower()):
            self.order.append(name)
            await asyncio.sleep(0)

    async def served(
        self, names: Sequence[str], meanwhile: Callable[[list[asyncio.Task[None]]], Awaitable[None]]
    ) -> str:
        """Have writers arrive while the lock is held; return the order in which they held it."""
        async with self.lock.hold():
            calls = []
            for name in names:
                calls.append(asyncio.create_task(self.call(name)))
                await asyncio.sleep(0)
            await meanwhile(calls)
        async with asyncio.timeout(30):
            await asyncio.gather(*calls, return_exceptions=True)
        return "".join(self.order)


async def _nothing(_: list[asyncio.Task[None]]) -> None:
    """Advance the clock while they wait."""


async def _served(come: str, *, after: float) -> str:
    writers = Writers()

    async def wait(_: list[asyncio.Task[None]]) -> None:
        writers.now += after

    return await writers.served(come, wait)


@pytest.mark.parametrize(
    ("come", "served"),
    [("abc", "abc"), ("ABC", "ABC"), ("abA", "aAb"), ("abcABC", "aAbBcC"), ("ABCa", "aABC"), ("A", "A"), ("", "")],
)
async def test_the_priorities_alternate_after_both_have_waited_long(come: str, served: str) -> None:
    """The owner is a foreground write, so a background write is next."""
    assert await _served(come, after=0.1) == served


@pytest.mark.parametrize(
    ("come", "served"), [("abc", "abc"), ("abA", "Aab"), ("abcABC", "ABCabc"), ("aAbB", "ABab"), ("", "")]
)
async def test_every_foreground_write_goes_before_a_new_background_write(come: str, served: str) -> None:
    assert await _served(come, after=0) == served


async def _write_repeatedly(writers: Writers, times: int, after: float) -> None:
    for _ in range(times):
        writers.now += after
        async with writers.lock.hold():
            writers.order.append("A")
            await asyncio.sleep(0)


@pytest.mark.parametrize(("after", "served"), [(0.001, "AAAAAAab"), (0.012, "AAaAbAAA")])
async def test_an_owner_that_returns_immediately_goes_first_until_background_writes_have_waited_long(
    after: float, served: str
) -> None:
    writers = Writers()
    async with writers.lock.hold():
        again = asyncio.create_task(_write_repeatedly(writers, 6, after))
        await asyncio.sleep(0)
        background = [asyncio.create_task(writers.call(name)) for name in "ab"]
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await asyncio.gather(again, *background)

    assert "".join(writers.order) == served


async def test_a_lock_offered_to_a_canceled_background_write_is_taken_by_the_next() -> None:
    writers = Writers()
    async with writers.lock.hold():
        gone = asyncio.create_task(writers.call("a"))
        await asyncio.sleep(0)
        writers.now += 0.1
    gone.cancel()
    async with asyncio.timeout(30):
        await asyncio.gather(writers.call("A"), writers.call("b"))

    assert sorted(writers.order) == ["A", "b"]


async def test_a_write_canceled_in_the_queue_delays_no_other() -> None:
    writers = Writers()

    async def leave(calls: list[asyncio.Task[None]]) -> None:
        writers.now += 0.1
        for each in (0, 3):
            calls[each].cancel()

    assert await writers.served("abcABC", leave) == "bBcC"


async def test_a_write_canceled_as_it_gets_the_lock_passes_it_on() -> None:
    writers = Writers()
    async with writers.lock.hold():
        calls = [asyncio.create_task(writers.call(name)) for name in "ab"]
        await asyncio.sleep(0)
    calls[0].cancel()  # it owns the lock, but has not resumed yet
    async with asyncio.timeout(30):
        await asyncio.wait(calls)

    assert (writers.order, calls[0].cancelled()) == (["b"], True)


async def test_background_writes_wait_while_only_foreground_writes_may_begin() -> None:
    writers = Writers()
    async with writers.lock.foreground_only():
        calls = [asyncio.create_task(writers.call(name)) for name in "aAbB"]
        await asyncio.wait([calls[1], calls[3]], timeout=5)
        during = "".join(writers.order)
    async with asyncio.timeout(30):
        await asyncio.gather(*calls)

    assert (during, "".join(writers.order)) == ("AB", "ABab")
