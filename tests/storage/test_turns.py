# SPDX-License-Identifier: MIT
"""SQLite's one writer: who is waited for goes first, and nobody is starved or forgotten."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tidings.storage.turns import Turns


class Line:
    """Callers of one set of turns, and in which order they had them."""

    def __init__(self) -> None:
        self.turns = Turns()
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


@pytest.mark.parametrize(
    ("come", "served"),
    [("abc", "abc"), ("ABC", "ABC"), ("abA", "aAb"), ("abcABC", "aAbBcC"), ("ABCa", "aABC"), ("A", "A"), ("", "")],
)
async def test_turns_go_to_and_fro_where_both_sorts_wait(come: str, served: str) -> None:
    """The one who has the turn is not patient, so that a patient one is next."""
    assert await Line().served(come, _nothing) == served


async def test_who_is_cancelled_while_he_waits_holds_up_nobody() -> None:
    async def leave(calls: list[asyncio.Task[None]]) -> None:
        for each in (0, 3):
            calls[each].cancel()

    assert await Line().served("abcABC", leave) == "bBcC"


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
