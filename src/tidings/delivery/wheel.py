# SPDX-License-Identifier: MIT
"""A timer wheel: one coarse timer for all deadlines, cheap to set and to drop, and off when there are none."""

from collections.abc import Callable
from typing import Final, Protocol

TICK_SECONDS: Final = 0.1
STALL_TICKS: Final = 5
MARGIN_SECONDS: Final = 0.001  # event loops round to milliseconds, so a timer may be early


class Expiring(Protocol):
    """Something with a deadline."""

    def expire(self) -> None:
        """Handle the deadline; may set a new one."""
        ...


class Handle(Protocol):
    """A timer of the event loop."""

    def cancel(self) -> None:
        """Cancel the timer."""
        ...


class TimerWheel:
    """Holds deadlines in slots of one tick. A deadline expires on time or up to a tick late, never early."""

    __slots__ = ("_armed", "_call_later", "_handle", "_has_waited", "_now", "_per_second", "_slots")

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], Handle],
        now: Callable[[], float],
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._call_later = call_later
        self._now = now
        self._per_second = 1 / tick_seconds
        self._slots: dict[int, set[Expiring]] = {}
        self._armed: float = float("inf")
        self._handle: Handle | None = None
        self._has_waited = False

    def __len__(self) -> int:
        """Return the number of deadlines."""
        return sum(map(len, self._slots.values()))

    @property
    def is_armed(self) -> bool:
        """Whether a timer of the event loop is set."""
        return self._handle is not None

    def add(self, timestamp: float, item: Expiring) -> int:
        """Set a deadline, and return its slot, which `drop` needs."""
        slot = int(timestamp * self._per_second) + 1
        items = self._slots.get(slot)
        if items is None:
            items = self._slots[slot] = set()
        items.add(item)
        if slot < self._armed:
            self._arm(slot)
        return slot

    def drop(self, slot: int, item: Expiring) -> None:
        """Remove a deadline; do nothing if it has already expired."""
        items = self._slots.get(slot)
        if items is not None:
            items.discard(item)

    def close(self) -> None:
        """Remove all deadlines."""
        self._slots.clear()
        self._disarm()

    def _arm(self, slot: int) -> None:
        self._disarm()
        self._armed = slot
        delay = slot / self._per_second - self._now() + MARGIN_SECONDS
        self._handle = self._call_later(max(0.0, delay), self._tick)

    def _disarm(self) -> None:
        self._armed = float("inf")
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        current = int(self._now() * self._per_second)
        late = current - self._armed
        self._armed, self._handle = float("inf"), None
        if late >= STALL_TICKS and not self._has_waited:
            # The process was suspended, and sockets may have unread responses: let the event loop read them first.
            self._has_waited = True
            self._arm(current + 1)
            return
        self._has_waited = False
        self._expire_up_to(current)
        self._rearm()

    def _expire_up_to(self, current: int) -> None:
        for slot in sorted(slot for slot in self._slots if slot <= current):
            for item in self._slots.pop(slot, ()):
                item.expire()

    def _rearm(self) -> None:
        for slot in [slot for slot, items in self._slots.items() if not items]:
            del self._slots[slot]
        if self._slots:
            self._arm(min(self._slots))
