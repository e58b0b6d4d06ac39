# SPDX-License-Identifier: MIT
"""The inbox of `tidings dev`: the webhooks that arrived, and how it responds to the next ones.

It is in memory, and bounded: the last 200 webhooks, with at most 64 KiB of each payload. A request that the inbox holds
(slow, hanging) is released as soon as it behaves differently, and responds as it then does.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from tidings.clock import Clock
from tidings.dev.verification import SignatureVerdict, judge, signed_id
from tidings.model.signature import Key
from tidings.portal.json_text import indented

OK: Final = 200
FAILED: Final = 500
_HEADERS_MAX: Final = 100
_HEADER_CHARACTERS: Final = 1_024
_TYPE_CHARACTERS: Final = 128


class InboxMode(Enum):
    """How the inbox responds."""

    ACCEPTING = "accepting"
    """With 200."""
    FAILING = "failing"
    """With 500."""
    SLOW = "slow"
    """With 200, after some seconds."""
    HANGING = "hanging"
    """Not at all, until the sender gives up."""


@dataclass(frozen=True, slots=True)
class InboxTuning:
    """The bounds of the inbox."""

    kept: int = 200
    kept_bytes: int = 64 * 1024
    slow_seconds: float = 5.0
    hang_seconds: float = 40.0


@dataclass(slots=True, eq=False)
class ReceivedWebhook:
    """One request to the inbox."""

    number: int
    """Counts the requests, from 1."""
    at: int
    """When it arrived, in milliseconds."""
    msg_id: str
    arrival: int
    """How often the inbox received this message, this request included."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    """The payload, up to the limit."""
    size: int
    """The bytes of the whole payload."""
    verdict: SignatureVerdict
    mode: InboxMode
    status: int | None = None
    """The status of the response; None until there is one."""
    is_pending: bool = True
    """Whether the inbox still holds the request."""

    @property
    def is_accepted(self) -> bool:
        """Whether the inbox confirmed the webhook."""
        return self.status == OK

    @property
    def is_cut(self) -> bool:
        """Whether the payload was too large to keep all of it."""
        return self.size > len(self.body)

    @property
    def event_type(self) -> str:
        """The member `type` of the payload, where Standard Webhooks has the event type; empty if there is none."""
        try:
            return msgspec.json.decode(self.body, type=_Typed).type[:_TYPE_CHARACTERS]
        except msgspec.MsgspecError:
            return ""

    @property
    def text(self) -> str:
        """The payload for people: JSON with indentation, anything else as it is."""
        return self.body.decode(errors="replace") if self.is_cut else indented(self.body)


class _Typed(msgspec.Struct):
    type: str


class Inbox:
    """What arrived, newest first, and the present mode."""

    def __init__(self, clock: Clock, tuning: InboxTuning = InboxTuning()) -> None:
        self._clock = clock
        self._tuning = tuning
        self._received: deque[ReceivedWebhook] = deque(maxlen=tuning.kept)
        self._total = 0
        self._switched = asyncio.Event()
        self._changed = asyncio.Event()
        self.mode = InboxMode.ACCEPTING
        self.version = 0
        """Increases with each change of the content or the mode."""

    @property
    def received(self) -> Sequence[ReceivedWebhook]:
        """The webhooks, newest first."""
        return tuple(reversed(self._received))

    @property
    def total(self) -> int:
        """The number of webhooks since the start, also those that are no longer kept."""
        return self._total

    def find(self, number: int) -> ReceivedWebhook | None:
        """Return a webhook by its number, or None if it is not kept."""
        return next((each for each in self._received if each.number == number), None)

    def switch(self, mode: InboxMode) -> None:
        """Behave differently from now on; requests that are held respond accordingly."""
        self.mode = mode
        self._switched.set()
        self._switched = asyncio.Event()
        self._notify()

    def clear(self) -> None:
        """Remove all webhooks."""
        self._received.clear()
        self._notify()

    def stop(self) -> None:
        """Release everything that waits, because the process stops."""
        self.switch(InboxMode.ACCEPTING)

    async def changed(self, version: int) -> int:
        """Wait until the content or the mode differs from a version; return the new version."""
        while self.version == version:
            await self._changed.wait()
        return self.version

    async def receive(self, headers: Iterable[tuple[str, str]], body: bytes, keys: Iterable[Key]) -> int | None:
        """Keep a webhook, and return the status to respond with; None is no response."""
        webhook = self._add(tuple(headers), body, tuple(keys))
        self._notify()
        try:
            webhook.status = await self._decide()
        finally:
            webhook.is_pending = False
            self._notify()
        return webhook.status

    def _add(self, headers: Sequence[tuple[str, str]], body: bytes, keys: Sequence[Key]) -> ReceivedWebhook:
        named = {name.lower(): value for name, value in headers}
        msg_id = signed_id(named)[:_HEADER_CHARACTERS]
        self._total += 1
        webhook = ReceivedWebhook(
            number=self._total,
            at=self._clock.now(),
            msg_id=msg_id,
            arrival=1 + sum(bool(msg_id) and each.msg_id == msg_id for each in self._received),
            headers=tuple((name, value[:_HEADER_CHARACTERS]) for name, value in headers[:_HEADERS_MAX]),
            body=body[: self._tuning.kept_bytes],
            size=len(body),
            verdict=judge(named, body, keys, self._clock.now()),
            mode=self.mode,
        )
        self._received.append(webhook)
        return webhook

    async def _decide(self) -> int | None:
        """Return the status for a request, after holding it for as long as the mode requires."""
        held = {InboxMode.SLOW: self._tuning.slow_seconds, InboxMode.HANGING: self._tuning.hang_seconds}
        while (seconds := held.get(self.mode)) is not None:
            try:
                async with asyncio.timeout(seconds):
                    await self._switched.wait()
            except TimeoutError:
                return OK if self.mode is InboxMode.SLOW else None
        return FAILED if self.mode is InboxMode.FAILING else OK

    def _notify(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()
