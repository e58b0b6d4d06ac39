# SPDX-License-Identifier: MIT
"""SQLite's one writer: who is waited for goes first, and nobody is starved or forgotten."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tidings.storage.turns import Turns


class Line:
    """Callers of one set of turns, in which order they had them, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = Turns(lambda: self.now)
        self.order: list[str] = []

    async def call(self, name: str) -> None:
        """Have a turn; a name in small letters is patient."""
        async with self.turns.turn(patient=name.islower()):
            self.order.append(name)
            await asyncio.sleep(0)

    async def served(
        self, names: Sequence[str], meanwhile: Callable[[list[asyncio.Task[None]]], Awaitable[None]]
    ) -> str:
        """Have callers come while somebody has the turn; return the order in which they were served."""
        async with self.turns.turn():
            calls = []
            for name in names:
                calls.append(asyncio.create_task(self.call(name)))
                await asyncio.sleep(0)
            await meanwhile(calls)
        async with asyncio.timeout(5):
            await asyncio.gather(*calls, return_exceptions=True)
        return "".join(self.order)


async def _nothing(_: list[asyncio.Task[None]]) -> None:
    """Let them wait."""


async def _served(come: str, *, after: float) -> str:
    line = Line()

    async def wait(_: list[asyncio.Task[None]]) -> None:
        line.now += after

    return await line.served(come, wait)


@pytest.mark.parametrize(
    ("come", "served"),
    [("abc", "abc"), ("ABC", "ABC"), ("abA", "aAb"), ("abcABC", "aAbBcC"), ("ABCa", "aABC"), ("A", "A"), ("", "")],
)
async def test_turns_go_to_and_fro_where_both_sorts_have_waited_for_long(come: str, served: str) -> None:
    """The one who has the turn is not patient, so that a patient one is next."""
    assert await _served(come, after=0.1) == served


@pytest.mark.parametrize(
    ("come", "served"), [("abc", "abc"), ("abA", "Aab"), ("abcABC", "ABCabc"), ("aAbB", "ABab"), ("", "")]
)
async def test_all_others_go_before_a_patient_one_that_has_just_come(come: str, served: str) -> None:
    assert await _served(come, after=0) == served


async def _come_again(line: Line, times: int, after: float) -> None:
    for _ in range(times):
        line.now += after
        async with line.turns.turn():
            line.order.append("A")
            await asyncio.sleep(0)


@pytest.mark.parametrize(("after", "served"), [(0.001, "AAAAAAab"), (0.012, "AAaAbAAA")])
async def test_who_comes_again_at_once_goes_before_the_patient_until_they_have_waited_for_long(
    after: float, served: str
) -> None:
    line = Line()
    async with line.turns.turn():
        again = asyncio.create_task(_come_again(line, 6, after))
        await asyncio.sleep(0)
        patient = [asyncio.create_task(line.call(name)) for name in "ab"]
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.gather(again, *patient)

    assert "".join(line.order) == served


async def test_a_turn_that_is_on_offer_is_given_though_the_patient_one_has_gone() -> None:
    line = Line()
    async with line.turns.turn():
        gone = asyncio.create_task(line.call("a"))
        await asyncio.sleep(0)
        line.now += 0.1
    gone.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(line.call("A"), line.call("b"))

    assert sorted(line.order) == ["A", "b"]


async def test_who_is_cancelled_while_he_waits_holds_up_nobody() -> None:
    line = Line()

    async def leave(calls: list[asyncio.Task[None]]) -> None:
        line.now += 0.1
        for each in (0, 3):
            calls[each].cancel()

    assert await line.served("abcABC", leave) == "bBcC"


async def test_who_is_cancelled_as_his_turn_comes_passes_it_on() -> None:
    line = Line()
    async with line.turns.turn():
        calls = [asyncio.create_task(line.call(name)) for name in "ab"]
        await asyncio.sleep(0)
    calls[0].cancel()  # it has the turn, and has not run since
    async with asyncio.timeout(5):
        await asyncio.wait(calls)

    assert (line.order, calls[0].cancelled()) == (["b"], True)


async def test_the_patient_wait_for_as_long_as_only_the_others_may_write() -> None:
    line = Line()
    async with line.turns.urgent_only():
        calls = [asyncio.create_task(line.call(name)) for name in "aAbB"]
        await asyncio.wait([calls[1], calls[3]], timeout=5)
        during = "".join(line.order)
    async with asyncio.timeout(5):
        await asyncio.gather(*calls)

    assert (during, "".join(line.order)) == ("AB", "ABab")
