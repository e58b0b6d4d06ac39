# SPDX-License-Identifier: MIT
"""Name resolution in threads, some of them slow."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from delivery.client_kit import until
from tidings.delivery.address import UnresolvedError
from tidings.delivery.lookup import MAX_WAITING, QUICK_THREADS, SLOW_SECONDS, SLOW_THREADS, SystemResolver


class System:
    """A resolver that resolves the names in `stuck` only when the test releases them."""

    def __init__(self) -> None:
        self.stuck = threading.Event()
        self.asked: list[str] = []
        self.seconds = 0.0
        """The time, moved by the test."""

    def addresses(self, host: str) -> list[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.stuck.wait(30)
        if host.startswith("no"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ["192.0.2.1"]


@pytest.fixture
def system() -> Iterator[System]:
    system = System()
    yield system
    system.stuck.set()


@asynccontextmanager
async def serving(system: System) -> AsyncIterator[SystemResolver]:
    names = SystemResolver(system.addresses, lambda: system.seconds)
    try:
        yield names
    finally:
        names.close()


async def test_a_name_is_looked_up_and_a_failure_is_raised(system: System) -> None:
    async with serving(system) as names:
        found = await names.look_up("host")
        with pytest.raises(socket.gaierror):
            await names.look_up("nohost")

    assert found == ["192.0.2.1"]


async def test_the_system_resolver_returns_every_address() -> None:
    names = SystemResolver()

    found = await names.look_up("localhost")

    names.close()
    assert "127.0.0.1" in found


async def test_an_invalid_name_is_a_value_error() -> None:
    names = SystemResolver()

    with pytest.raises(ValueError, match="label"):
        await names.look_up("a" * 70)

    names.close()


async def test_a_slow_name_delays_only_slow_names(system: System) -> None:
    slow = [f"slow{number}" for number in range(QUICK_THREADS)]
    async with serving(system) as names:
        asking = [asyncio.create_task(names.look_up(host)) for host in slow]
        await until(lambda: len(system.asked) == QUICK_THREADS)
        system.seconds += SLOW_SECONDS
        system.stuck.set()
        await asyncio.gather(*asking)
        system.stuck.clear()

        asking = [asyncio.create_task(names.look_up(host)) for host in slow]
        quick = await asyncio.gather(*(names.look_up(f"quick{number}") for number in range(100)))

        assert quick == [["192.0.2.1"]] * 100
        assert not any(task.done() for task in asking)
        system.stuck.set()
        await asyncio.gather(*asking)


async def test_a_name_that_resolves_fast_again_leaves_the_slow_lane(system: System) -> None:
    async with serving(system) as names:
        asking = asyncio.create_task(names.look_up("slow"))
        await until(lambda: system.asked == ["slow"])
        system.seconds += SLOW_SECONDS
        system.stuck.set()
        await asking
        await names.look_up("slow")
        system.stuck.clear()

        stuck = [asyncio.create_task(names.look_up(f"slow{number}")) for number in range(SLOW_THREADS)]
        others = asyncio.create_task(names.look_up("slow"))
        await until(lambda: system.asked.count("slow") == 3)  # in the fast lane, which has threads left
        system.stuck.set()
        await asyncio.gather(*stuck, others)


async def test_lookup_threads_are_few_and_start_on_demand(system: System) -> None:
    others = lookups()  # threads of earlier tests; they may end meanwhile
    async with serving(system) as names:
        idle = lookups() - others
        await names.look_up("one")
        one = lookups() - others
        asking = [asyncio.create_task(names.look_up(f"slow{number}")) for number in range(50)]
        await asyncio.sleep(0)
        many = lookups() - others
        system.stuck.set()
        await asyncio.gather(*asking)

    assert (len(idle), len(one), len(many)) == (0, 1, QUICK_THREADS)
    await until(lambda: not lookups() - others)


async def test_the_queue_of_names_is_bounded(system: System) -> None:
    async with serving(system) as names:
        asking = [asyncio.create_task(names.look_up(f"slow{number}")) for number in range(MAX_WAITING)]
        await asyncio.sleep(0)

        with pytest.raises(UnresolvedError, match="one: too many names are being looked up"):
            await names.look_up("one")

        system.stuck.set()
        await asyncio.gather(*asking)
        assert await names.look_up("one") == ["192.0.2.1"]


async def test_closing_does_not_wait_for_running_lookups(system: System) -> None:
    async with serving(system) as names:
        asking = [asyncio.create_task(names.look_up(f"slow{number}")) for number in range(20)]
        await asyncio.sleep(0)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        names.close()

        with pytest.raises(UnresolvedError):
            await names.look_up("one")

    system.stuck.set()
    await until(lambda: not lookups())
    assert len(system.asked) <= QUICK_THREADS


def test_a_closed_loop_gets_no_callback(system: System) -> None:
    async def leave() -> None:
        names = SystemResolver(system.addresses)
        asking = asyncio.create_task(names.look_up("slow"))
        await asyncio.sleep(0)
        asking.cancel()
        names.close()

    asyncio.run(leave())
    system.stuck.set()

    for thread in threading.enumerate():
        if thread.name == "lookup":
            thread.join(5)
    assert not lookups()


def lookups() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "lookup"}
