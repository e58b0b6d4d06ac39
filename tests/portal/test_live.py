# SPDX-License-Identifier: MIT
"""Live parts: one rendering for all readers, only after a change, and the ends of a stream."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tidings.asgi.stream import Stream
from tidings.core.changes import Subject, SubjectKind
from tidings.errors import AppError, not_found
from tidings.portal.live import CHANGED, OVER, LastPart, Live, LiveTuning, event
from tidings.portal.sessions import SHARED_PART
from tidings.storage.drivers.database import Unavailable

NEVER: Final = 86_400.0
ONE, OTHER = (Subject(SubjectKind.TASK, name) for name in ("one", "other"))
Parts = AsyncGenerator[bytes, None]


@dataclass(slots=True)
class World:
    """Subjects with their versions, and the parts that show them."""

    live: Live = field(init=False)
    tuning: LiveTuning = field(default_factory=lambda: LiveTuning(seconds=NEVER, check_seconds=NEVER, render_share=0.0))
    versions: dict[Subject, str] = field(default_factory=lambda: {ONE: "1", OTHER: "1"})
    looks: list[int] = field(default_factory=list)
    rendered: list[str] = field(default_factory=list)
    may_read: bool = True
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.live = Live(self._read, self.tuning)

    async def _read(self, subjects: Collection[Subject]) -> Mapping[Subject, str]:
        self.looks.append(len(subjects))
        return {each: self.versions[each] for each in subjects if each in self.versions}

    def follow(self, subject: Subject = ONE, **more: Any) -> Stream:
        async def may_read() -> bool:
            return self.may_read

        return self.live.follow(subject.id, self.render(subject), may_read, subject=subject, **more)

    def signals(self, seen: str, owner: str | None = None) -> Parts:
        async def may_read() -> bool:
            return self.may_read

        return self.live.signal(ONE, seen, may_read, owner=owner).parts()

    def render(self, subject: Subject) -> Callable[[], Awaitable[str]]:
        async def render() -> str:
            if self.error is not None:
                raise self.error
            self.rendered.append(subject.id)
            return f"{subject.id} {self.versions[subject].partition(' ')[0]}"

        return render

    async def reader(self, subject: Subject = ONE, **more: Any) -> Parts:
        """Return a stream whose first part was taken, after its subject was looked at."""
        parts = self.follow(subject, **more).parts()
        assert event(f"{subject.id} {self.versions[subject]}") == await anext(parts)
        await self.live.look()
        return parts

    async def change(self, subject: Subject, version: str) -> None:
        self.versions[subject] = version
        await self.live.look()


async def test_readers_of_one_part_share_its_renderings() -> None:
    world = World()
    readers = [await world.reader(session=number) for number in range(100)]
    world.rendered.clear()

    await world.change(ONE, "2")
    parts = [await anext(each) for each in readers]

    assert ({event("one 2")}, ["one"]) == (set(parts), world.rendered)


async def test_only_a_part_whose_subject_changed_is_rendered() -> None:
    world = World()
    one, other = await world.reader(ONE), await world.reader(OTHER)
    waiting = [asyncio.ensure_future(anext(each)) for each in (one, other)]
    await _settled()
    world.rendered.clear()

    await world.change(ONE, "2")
    await waiting[0]
    await _settled()

    assert (["one"], False) == (world.rendered, waiting[1].done())
    waiting[1].cancel()


async def test_a_rendering_like_the_last_one_is_not_sent() -> None:
    world = World()
    waiting = asyncio.ensure_future(anext(await world.reader()))

    await world.change(ONE, "1 elsewhere")
    await _settled()
    assert not waiting.done()
    await world.change(ONE, "2")

    assert event("one 2") == await waiting


async def test_a_slow_reader_skips_what_it_missed() -> None:
    world = World()
    slow, fast = await world.reader(), await world.reader()

    taken = []
    for version in ("2", "3", "4"):
        await world.change(ONE, version)
        taken.append(await anext(fast))

    assert [event(f"one {n}") for n in (2, 3, 4)] == taken
    assert event("one 4") == await anext(slow)


async def test_a_later_reader_gets_the_present_part_without_a_rendering() -> None:
    world = World()
    first = await world.reader()
    await world.change(ONE, "2")
    await anext(first)
    world.rendered.clear()

    assert event("one 2") == await anext(world.follow().parts())
    assert [] == world.rendered


async def test_one_look_reads_all_subjects_and_none_follows_the_last_reader() -> None:
    world = World(tuning=LiveTuning(seconds=0.0, check_seconds=NEVER, readers_per_session=500))
    world.versions = {Subject(SubjectKind.TASK, f"{n}"): "1" for n in range(500)}
    streams = [world.follow(each) for each in world.versions]
    for each in streams:
        await anext(each.parts())
    await _settled()
    assert (500, 500) == (world.live.readers, world.looks[-1])

    for each in streams:
        each.hang_up()
        each.hang_up()
    await _settled()
    looks = len(world.looks)
    await _settled()

    assert (0, looks) == (world.live.readers, len(world.looks))


async def test_a_part_without_a_subject_is_rendered_at_each_look() -> None:
    world = World()

    async def may_read() -> bool:
        return True

    parts = world.live.follow("home", world.render(ONE), may_read).parts()
    await anext(parts)

    world.versions[ONE] = "2"
    await world.live.look()

    assert event("one 2") == await anext(parts)


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_stream_ends_with_its_session(how: str) -> None:
    world = World()
    seconds = [NEVER]
    parts = await world.reader(seconds_left=lambda: seconds[0])
    waiting = asyncio.ensure_future(anext(parts))
    await _settled()

    world.may_read, seconds[0] = False, 0.0
    if how == "revoked":
        world.live.recheck_access()
    else:
        waiting.cancel()
        parts = world.follow(seconds_left=lambda: 0.0).parts()
        waiting = asyncio.ensure_future(anext(parts))
    last = await waiting

    assert (True, True) == (b"not updated any more" in last, last.endswith(OVER))
    assert b"one" not in last
    assert [] == [part async for part in parts]


async def test_a_silent_stream_gives_signs_of_life_and_checks_the_session() -> None:
    world = World(tuning=LiveTuning(seconds=NEVER, check_seconds=0.001))
    parts = world.follow().parts()
    await anext(parts)

    assert b": \n\n" == await anext(parts)
    world.may_read = False

    assert (await anext(parts)).endswith(OVER)


async def test_a_stop_ends_all_streams() -> None:
    world = World()
    readers = [await world.reader(), await world.reader(OTHER)]
    waiting = [asyncio.ensure_future(anext(each)) for each in readers]
    await _settled()

    world.live.close()

    for each in waiting:
        with pytest.raises(StopAsyncIteration):
            await each
    assert [event("one 1")] == [part async for part in world.follow().parts()]


async def test_a_part_that_ends_needs_no_stream_any_longer() -> None:
    world = World()

    async def render() -> str:
        return LastPart("done")

    async def may_read() -> bool:
        return True

    parts = [part async for part in world.live.follow("ended", render, may_read, subject=ONE).parts()]

    assert [event("done") + OVER] == parts


@pytest.mark.parametrize("error", [not_found(), RuntimeError("a bug")])
async def test_a_part_that_cannot_be_rendered_ends_for_all_of_its_readers(error: Exception) -> None:
    world = World()
    readers = [await world.reader(), await world.reader()]

    world.error = error
    await world.change(ONE, "2")

    assert all([(await anext(each)).endswith(OVER) for each in readers])


async def test_an_outage_of_the_database_keeps_what_the_page_shows() -> None:
    world = World()
    parts = await world.reader()
    waiting = asyncio.ensure_future(anext(parts))

    world.error = Unavailable("down")
    await world.change(ONE, "2")
    await _settled()
    assert not waiting.done()
    world.error = None
    await world.change(ONE, "3")

    assert event("one 3") == await waiting


@pytest.mark.parametrize(
    ("tuning", "sessions"),
    [
        (LiveTuning(readers=2), ("mine", "another")),
        (LiveTuning(readers_per_session=2), ("mine", "mine")),
        (LiveTuning(readers_per_owner=2), ("mine", "another")),
    ],
)
async def test_streams_are_limited(tuning: LiveTuning, sessions: tuple[str, str]) -> None:
    world = World(tuning=tuning)
    streams = [world.follow(session=each, owner="app_1") for each in sessions]

    with pytest.raises(AppError, match="live pages"):
        world.follow(session="mine", owner="app_1")
    streams[0].hang_up()
    streams[0].hang_up()
    world.follow(session="mine", owner="app_1")
    with pytest.raises(AppError, match="live pages"):
        world.follow(session="mine", owner="app_1")
    world.live.close()


@pytest.mark.parametrize("how", ["signals", "parts"])
async def test_the_many_pages_of_one_owner_do_not_delay_those_of_another(how: str) -> None:
    world = World(
        tuning=LiveTuning(
            seconds=NEVER, check_seconds=NEVER, render_share=1.0, signal_seconds=0.001, readers_per_session=99
        )
    )
    order: list[str] = []

    async def read(owner: str, number: int) -> None:
        if how == "signals":
            parts = world.signals("older", owner)
        else:
            subject = Subject(SubjectKind.TASK, f"{owner} {number}")
            world.versions[subject] = "1"
            parts = world.follow(subject, owner=owner).parts()
        await anext(parts)
        order.append(owner)

    await anext(world.signals("older", "first"))  # others wait for its turn to end
    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(read("many", number))
        group.create_task(read("one", 0))

    assert 31 == len(order)
    assert order.index("one") <= 3
    world.live.close()


async def test_a_signal_follows_each_change_since_the_version_that_a_page_shows() -> None:
    world = World(tuning=LiveTuning(seconds=NEVER, check_seconds=NEVER, signal_seconds=0.0))
    seen = await world.live.version(ONE)
    signals = world.signals(seen)
    waiting = asyncio.ensure_future(anext(signals))
    await _settled()
    assert not waiting.done()

    for version in ("2", "3"):
        await world.change(ONE, version)
        assert CHANGED == await waiting
        waiting = asyncio.ensure_future(anext(signals))
        await _settled()
        assert not waiting.done()
    waiting.cancel()


async def test_a_change_between_the_page_and_its_stream_is_signaled() -> None:
    world = World(tuning=LiveTuning(seconds=NEVER, check_seconds=NEVER, signal_seconds=0.0))
    seen = await world.live.version(ONE)
    world.versions[ONE] = "2"

    assert CHANGED == await anext(world.signals(seen))
    assert [] == world.rendered


@pytest.mark.parametrize("how", ["signals", "parts"])
async def test_busy_pages_wait_for_their_turn_and_a_stop_ends_the_wait(how: str) -> None:
    world = World(tuning=LiveTuning(seconds=NEVER, check_seconds=NEVER, render_share=1e9, signal_seconds=NEVER))
    if how == "parts":
        await anext(world.follow(ONE).parts())
        waiting = asyncio.ensure_future(anext(world.follow(OTHER).parts()))
    else:
        assert CHANGED == await anext(world.signals("older"))
        waiting = asyncio.ensure_future(anext(world.signals("older")))
    await _settled()
    assert not waiting.done()

    world.live.close()

    assert await waiting


def test_no_text_leaves_its_event() -> None:
    assert b"data: a\ndata: data: b\ndata: \ndata: event: over\n\n" == event("a\rdata: b\r\n\nevent: over")


def test_a_shared_part_has_no_form() -> None:
    with pytest.raises(RuntimeError, match="has no form"):
        SHARED_PART.form_token("/portal/app_1/task")


async def _settled() -> None:
    """Let every task run that can."""
    for _ in range(20):
        await asyncio.sleep(0)
