# SPDX-License-Identifier: MIT
"""Spans of traces: what a process did, from when to when. None is recorded unless a setting asks for it.

The parts of the service describe their spans here, after the work. `server/tracing.py` has the recorder; without one
the message path pays one comparison per batch. A span has ids, counts and outcomes, never a payload, a header, a
secret, or the path of an endpoint's URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol


class SpanKind(Enum):
    """The side of the communication that a span describes."""

    SERVER = auto()
    CLIENT = auto()
    INTERNAL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One piece of work that has ended."""

    name: str
    """One of a few texts: it has no ids."""
    kind: SpanKind
    began_at: int
    """In milliseconds since the Unix epoch."""
    seconds: float
    attributes: Mapping[str, str | int | float | bool | None]
    """Those that are None are left out."""
    is_error: bool = False
    subject: str | None = None
    """The id of a message or a task: all spans of a subject, from any node, are in one trace."""
    parent: bytes | None = None
    """The `traceparent` header of a request, unchecked."""


class SpanRecorder(Protocol):
    """Records spans, and decides which."""

    def is_sampled(self, *, subject: str | None = None, parent: bytes | None = None) -> bool:
        """Return whether a span with this subject or parent is to be recorded."""
        ...

    def record(self, span: Span) -> None:
        """Record a sampled span. Never waits, and never raises."""
        ...

    async def close(self, seconds: float) -> None:
        """Export the remaining spans, within some seconds."""
        ...


class Spans:
    """The recorder of this process, if there is one."""

    __slots__ = ("recorder",)

    def __init__(self) -> None:
        self.recorder: SpanRecorder | None = None


spans: Final = Spans()
