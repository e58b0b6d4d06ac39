# SPDX-License-Identifier: MIT
"""Live parts: a part of a page that follows its state while the page is shown, as server-sent events.

A page with a live part has two views and one template of the part:

- The page puts the part into `{% call parts.live(page.url("task", task.id, "live")) %}…{% endcall %}`, with its present
  content as the body, so the page is complete without JavaScript.
- A second view, at that URL, returns `page.follow(render, subject)`. `render` receives a page and returns the HTML of
  the part, usually `page.part("….html", …)`. `subject` (`core/changes.py`) is what the part shows; without one, the
  part is rendered every interval, which only few pages may afford. A page has one live part at most: browsers open six
  connections to a server.

A page with forms in it calls `await page.watch()` before it reads its data, and nothing else: the layout then connects
to a stream of the application's changes, and the browser reads the page again after each.

All readers with the same address and the same rights share one rendering, so a part contains no forms and nothing of
one session. Forms stand outside of the part; the stylesheet can hide them by what the part contains (`:has`).

One loop per process reads the versions of all subjects that are followed, with one statement for each kind of subject,
and only parts whose subject has changed are rendered again. A reader gets a rendering only if it differs from the last
one that it took, so a slow reader skips renderings and needs no buffer. A hidden tab closes its stream, and reads the
present state when it is shown again. Renderings take 5 % of one core at most, and at most ten signals a second make
pages read themselves again: many busy pages become slower, and nothing else does. Applications, and the consoles of
organizations, take turns, so the many open pages of one customer do not delay those of another.
"""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final

from tidings import observe
from tidings.asgi.stream import Stream
from tidings.core.changes import ReadVersions, Subject
from tidings.errors import AppError
from tidings.portal.live_room import LiveRoom
from tidings.storage.drivers.database import StorageError


class LastPart(str):
    """A part after which nothing changes, so that its readers need no stream any longer."""

    __slots__ = ()


Render = Callable[[], Awaitable[str]]
"""Returns the HTML of a part; raises `AppError` if it does not exist any longer."""
MayRead = Callable[[], Awaitable[bool]]

OVER: Final = b"event: over\ndata: over\n\n"
"""The event after which a browser does not connect again: `hx-sse:close` in the macro names it."""
CHANGED: Final = b"event: changed\ndata: changed\n\n"
"""The event after which a page reads itself again."""
_ENDED: Final = (
    '<p class="notice warn" role="status">This part of the page is not updated any more. Open the page again.</p>'
)
_KEEPALIVE: Final = b": \n\n"
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
"""The ends of lines in an event."""


@dataclass(frozen=True, slots=True)
class LiveTuning:
    """Internal limits of live parts. They are no settings: only tests choose other values."""

    seconds: float = 2.0
    """The time between two looks for changes."""
    look_share: float = 20.0
    """A look is followed by a pause of at least twenty times its duration: it takes 5 % of a connection."""
    check_seconds: float = 15.0
    """How often a reader's access is checked, and how often a silent stream gets a sign of life."""
    readers: int = 2_000
    """The most streams of this process."""
    readers_per_session: int = 30
    """Browsers open six streams; people who share a portal link share this."""
    readers_per_owner: int = 200
    """Of the pages of one application, or of one organization's console."""
    render_share: float = 20.0
    """A rendering is followed by a pause of twenty times its duration, before the next one of this process."""
    signal_seconds: float = 0.1
    """The time between two signals to pages: each reads a page again, which takes some milliseconds."""


@dataclass(slots=True, eq=False)
class _Topic:
    """The latest rendering of one part, for all of its readers."""

    key: Hashable
    subject: Subject | None
    render: Render
    text: str = ""
    version: int = 0
    is_due: bool = True
    readers: set["_Reader"] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def wake(self) -> None:
        """Make the readers look at the topic."""
        for reader in self.readers:
            reader.woken.set()


@dataclass(slots=True, eq=False)
class _Reader:
    """One stream."""

    topic: _Topic
    session: Hashable
    owner: Hashable
    may_read: MayRead
    seconds_left: Callable[[], float]
    """Returns for how long the session is valid."""
    reconnects: bool = False
    """Whether the browser is to connect again at the end of the session, to get another one."""
    must_check: bool = False
    check_at: float = 0.0
    sent: int = 0
    """The version of the part that the reader has."""
    is_over: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def is_check_due(self) -> bool:
        return self.must_check or asyncio.get_running_loop().time() >= self.check_at

    def checked(self, seconds: float) -> None:
        """Set the next check: after some seconds, or at the end of the session."""
        self.must_check = False
        self.check_at = asyncio.get_running_loop().time() + min(seconds, max(0.0, self.seconds_left()))

    def end(self, part: bytes) -> bytes:
        """End the stream with a part, after which the browser does not connect again."""
        self.is_over = True
        return part + OVER

    async def wait(self) -> None:
        """Wait for a change, the end of the stream, or the next check."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self.check_at):
                await self.woken.wait()


def _for_ever() -> float:
    return float("inf")


class Live:
    """The live parts that pages of this process follow."""

    def __init__(self, versions: ReadVersions, tuning: LiveTuning = LiveTuning()) -> None:
        """`versions` reads the versions of subjects."""
        self._versions = versions
        self._tuning = tuning
        self._topics: dict[Hashable, _Topic] = {}
        self._known: dict[Subject, str | None] = {}
        self._room = LiveRoom(
            in_all=tuning.readers, of_session=tuning.readers_per_session, of_owner=tuning.readers_per_owner
        )
        self._rendering = asyncio.Lock()
        self._free_at = 0.0
        """When the next rendering or signal may begin."""
        self._closed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def readers(self) -> int:
        """The number of open streams."""
        return self._room.total

    @property
    def topics(self) -> frozenset[Hashable]:
        """The keys of the parts that have readers."""
        return frozenset(self._topics)

    def follow(  # noqa: PLR0913 - the part, and whose it is
        self,
        key: Hashable,
        render: Render,
        may_read: MayRead,
        *,
        subject: Subject | None = None,
        session: Hashable = None,
        owner: Hashable = None,
        seconds_left: Callable[[], float] = _for_ever,
        reconnects: bool = False,
    ) -> Stream:
        """Return a stream of a part's renderings; pages use `PageRequest.follow`.

        Readers with the same `key` share one rendering. `may_read` is called every 15 seconds, after
        `recheck_access`, and when the time that `seconds_left` returns is over. Raises `too_many` if this process,
        `session`, or `owner`, whose data the part shows, has its maximum of streams. With `reconnects`, the browser
        connects again after that time, with a request that is a new session; otherwise the page says that it ended.
        """
        self._room.require(session, owner)
        reader = self._joined(key, subject, render, may_read, (session, owner), seconds_left)
        reader.reconnects = reconnects
        return Stream(200, parts=lambda: self._parts(reader), hang_up=lambda: self._leave(reader))

    def signal(  # noqa: PLR0913 - what to watch, and whose it is
        self,
        subject: Subject,
        seen: str,
        may_read: MayRead,
        *,
        session: Hashable = None,
        owner: Hashable = None,
        seconds_left: Callable[[], float] = _for_ever,
        reconnects: bool = False,
    ) -> Stream:
        """Return a stream of signals: one after each change of a subject since its version `seen`."""
        self._room.require(session, owner)
        reader = self._joined(("signal", subject), subject, _nothing, may_read, (session, owner), seconds_left)
        reader.reconnects = reconnects
        parts = partial(self._signals, reader, subject, seen)
        return Stream(200, parts=parts, hang_up=lambda: self._leave(reader))

    async def version(self, subject: Subject) -> str:
        """Return the present version of a subject, for `signal`; empty if it does not exist."""
        return _short((await self._versions([subject])).get(subject))

    def recheck_access(self) -> None:
        """Make all readers check their access: an API key was changed."""
        for topic in self._topics.values():
            for reader in topic.readers:
                reader.must_check = True
            topic.wake()

    def close(self) -> None:
        """End all streams, and each later one after its first part: the process stops."""
        self._closed.set()
        for topic in self._topics.values():
            for reader in topic.readers:
                reader.is_over = True
            topic.wake()
        if self._watching is not None:
            self._watching.cancel()

    async def look(self) -> None:
        """Read the versions of all subjects once, and wake the readers of those that have changed."""
        subjects = {topic.subject for topic in self._topics.values() if topic.subject is not None}
        found = await self._versions(subjects) if subjects else {}
        before, self._known = self._known, {subject: found.get(subject) for subject in subjects}
        for topic in self._topics.values():
            subject = topic.subject
            # A subject that is looked at for the first time may have changed since its part was rendered.
            if subject is None or subject not in before or before[subject] != self._known.get(subject):
                topic.is_due = True
                topic.wake()

    def _joined(
        self,
        key: Hashable,
        subject: Subject | None,
        render: Render,
        may_read: MayRead,
        whose: tuple[Hashable, Hashable],
        seconds_left: Callable[[], float],
    ) -> _Reader:
        """Add a reader to its topic, and look for changes from now on."""
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = _Topic(key, subject, render)
        session, owner = whose
        reader = _Reader(topic, session, owner, may_read, seconds_left, is_over=self._closed.is_set())
        topic.readers.add(reader)
        self._room.join(session, owner)
        if self._watching is None and not self._closed.is_set():
            self._watching = asyncio.create_task(self._watch(), name="watching for live pages")
        return reader

    def _leave(self, reader: _Reader) -> None:
        """Forget a reader; called at each end of its stream, perhaps twice."""
        reader.is_over = True
        reader.woken.set()
        topic = reader.topic
        if reader not in topic.readers:
            return
        topic.readers.remove(reader)
        if not topic.readers:
            del self._topics[topic.key]
        self._room.leave(reader.session, reader.owner)

    async def _watch(self) -> None:
        """Look for changes while there are readers."""
        loop = asyncio.get_running_loop()
        try:
            while self._topics:
                began = loop.time()
                try:
                    await self.look()
                except StorageError:
                    observe.count("pages.live_troubles")  # the pages keep what they show
                except Exception as error:  # noqa: BLE001 - the next look tries again
                    observe.failure("looking for changes of live pages", error)
                pause = max(self._tuning.seconds, self._tuning.look_share * (loop.time() - began))
                await asyncio.sleep(pause)
        finally:
            self._watching = None

    async def _parts(self, reader: _Reader) -> AsyncGenerator[bytes, None]:
        """Yield a part whenever it has changed, and signs of life; end with the session, the part or the process."""
        reader.checked(self._tuning.check_seconds)
        while True:
            reader.woken.clear()
            found = await self._next(reader)
            if found:
                yield found
            if reader.is_over:
                return
            await reader.wait()

    async def _next(self, reader: _Reader) -> bytes:
        """Return what a reader does not have yet, perhaps nothing; set `is_over` if nothing follows."""
        topic, is_last = reader.topic, reader.is_over  # a process that stops still sends the first part
        found = await self._check(reader)
        if reader.is_over and not is_last:
            return found
        if topic.is_due and not await self._refresh(topic, reader.owner):
            return reader.end(event(_ENDED))
        if topic.version == reader.sent:
            return found
        reader.sent = topic.version
        part = event(topic.text)
        return reader.end(part) if isinstance(topic.text, LastPart) else part

    async def _signals(self, reader: _Reader, subject: Subject, seen: str) -> AsyncGenerator[bytes, None]:
        """Yield a signal after each change of a subject, and signs of life."""
        reader.checked(self._tuning.check_seconds)
        while True:
            reader.woken.clear()
            found = await self._check(reader)
            present = _short(self._known.get(subject))
            if present and present != seen and not reader.is_over:
                seen = present
                async with self._room.turn_of(reader.owner):
                    await self._have_turn()
                    self._free_at = asyncio.get_running_loop().time() + self._tuning.signal_seconds
                found = CHANGED
            if found:
                yield found
            if reader.is_over:
                return
            await reader.wait()

    async def _check(self, reader: _Reader) -> bytes:
        """Check the access of a reader if that is due: return a sign of life, or the end of the stream."""
        if not reader.is_check_due():
            return b""
        if reader.reconnects and reader.seconds_left() <= 0:
            reader.is_over = True
            return b""
        if not await reader.may_read():
            return reader.end(event(_ENDED))
        reader.checked(self._tuning.check_seconds)
        return _KEEPALIVE

    async def _have_turn(self) -> None:
        """Wait until earlier renderings and signals have left enough time for others; the stop ends the wait."""
        async with self._rendering:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._free_at):
                    await self._closed.wait()

    async def _refresh(self, topic: _Topic, owner: Hashable) -> bool:
        """Render a part that is due: the first reader does it for all. Return False if the part does not exist."""
        async with topic.lock:
            if not topic.is_due:
                return True
            async with self._room.turn_of(owner):
                await self._have_turn()
                began = monotonic()  # the time of the event loop has steps of a millisecond
                is_rendered = await self._render(topic)
                pause = self._tuning.render_share * (monotonic() - began)
                self._free_at = asyncio.get_running_loop().time() + pause
            return is_rendered

    async def _render(self, topic: _Topic) -> bool:
        topic.is_due = False
        try:
            text = await topic.render()
        except StorageError:
            observe.count("pages.live_troubles")
            topic.is_due = not topic.version  # without any part yet, the next sign of life tries again
            return True
        except AppError:
            topic.is_due = True  # the other readers learn it too
            return False
        except Exception as error:  # noqa: BLE001 - the page keeps what it shows
            observe.failure("rendering a live part", error)
            topic.is_due = True
            return False
        if text != topic.text or not topic.version:
            topic.text = text
            topic.version += 1
        return True


async def _nothing() -> str:
    return ""


def _short(version: str | None) -> str:
    """Return a short text for a version."""
    return "" if version is None else hashlib.sha256(version.encode()).hexdigest()[:16]


def event(text: str) -> bytes:
    """Return a server-sent event with a part of a page."""
    return b"".join(b"data: %b\n" % line.encode("utf-8", "replace") for line in _LINE_END.split(text)) + b"\n"
