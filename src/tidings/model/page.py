# SPDX-License-Identifier: MIT
"""Pages of a list: where one starts, which way it travels, and what is told of the way on.

A list is ordered by one text key (an id, a name) and is read a page at a time. An iterator is the key of the last
element of a page: the next page starts behind it. With a leading `-` it is the key of the first element, and the
page is the one before it, still told in the list's own order. One element more than asked for is read: it says
whether the list goes on, and is not shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Generic, TypeVar

from tidings.clock import DAY, HOUR
from tidings.ids import first_at, timestamp_of

Item = TypeVar("Item")
Other = TypeVar("Other")

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 250
WINDOW_MS: Final = 90 * DAY
PAGE_BYTES: Final = 4 * 1024 * 1024
"""Where a page ends though its limit is not reached; one element is shown in any case."""
AHEAD_MS: Final = HOUR
"""How far in the future the newest element of a list may be: as far as clocks may differ."""


class Order(Enum):
    """The sort order of a list."""

    ASCENDING = "ascending"
    DESCENDING = "descending"

    @property
    def opposite(self) -> "Order":
        """The other way round."""
        return Order.DESCENDING if self is Order.ASCENDING else Order.ASCENDING


@dataclass(frozen=True, slots=True)
class PageWindow:
    """The rows with `above < key < below` and `first <= key`, in `order`, at most `rows` of them."""

    order: Order
    rows: int
    above: str | None = None
    below: str | None = None
    first: str | None = None

    @property
    def direction(self) -> str:
        """The order as databases spell it."""
        return "ASC" if self.order is Order.ASCENDING else "DESC"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Elements in the list's order, and the keys to go on with."""

    items: tuple[Item, ...]
    iterator: str | None
    prev_iterator: str | None
    done: bool
    keys: tuple[str, ...] = ()
    """The key of each element."""
    is_back: bool = False
    """Whether it was read against the list's order, so that its last elements are the nearest to the cursor."""

    def mapped(self, change: Callable[[Item], Other]) -> "Page[Other]":
        """Return the same page of something made of each element."""
        items = tuple(change(item) for item in self.items)
        return Page(items, self.iterator, self.prev_iterator, self.done, self.keys, self.is_back)

    def within(self, sizes: Sequence[int], most: int = PAGE_BYTES) -> "Page[Item]":
        """Return the elements nearest to the cursor whose sizes fit in all; the next page goes on behind them."""
        total, fitting = 0, 0
        for size in reversed(sizes) if self.is_back else sizes:
            total += size
            if total > most and fitting:
                break
            fitting += 1
        if fitting == len(self.items):
            return self
        kept = slice(len(self.items) - fitting, None) if self.is_back else slice(fitting)
        keys = self.keys[kept]
        return Page(self.items[kept], keys[-1], f"-{keys[0]}", done=False, keys=keys, is_back=self.is_back)


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a caller asks of a list: how many elements, from where, in which order, made when."""

    order: Order
    limit: int = LIMIT_DEFAULT
    iterator: str | None = None
    before: int | None = None
    after: int | None = None

    @property
    def key(self) -> str | None:
        """The key in the iterator, its direction taken off."""
        return None if self.iterator is None else self.iterator.removeprefix("-")

    @property
    def is_back(self) -> bool:
        """Tell whether the page is read against the list's order."""
        if self.iterator is None:
            # The first page of "everything since" is next to that timestamp, and goes on from there towards now.
            return self.order is Order.DESCENDING and self.after is not None and self.before is None
        return self.iterator.startswith("-")

    @property
    def follows(self) -> bool:
        """Tell whether the page goes on from a place towards the newest element."""
        order = self.order.opposite if self.is_back else self.order
        return order is Order.ASCENDING and (self.iterator is not None or self.after is not None)

    def window(self) -> PageWindow:
        """Return the rows to read."""
        order = self.order.opposite if self.is_back else self.order
        if order is Order.ASCENDING:
            return PageWindow(order, self.limit + 1, above=self.key)
        return PageWindow(order, self.limit + 1, below=self.key)

    def window_in_time(self, prefix: str, now: int) -> PageWindow:
        """Return the rows to read of a list that is bounded in time, by the timestamps inside its ids."""
        since, until = self._time_range(now)
        window = self.window()
        return replace(
            window,
            first=None if since is None else first_at(prefix, since),
            below=min(filter(None, (window.below, first_at(prefix, until)))),
        )

    def _time_range(self, now: int) -> tuple[int | None, int]:
        """Return [since, until) of a list that tells at most 90 days at once."""
        latest = now + AHEAD_MS
        if self.before is not None:
            since = self.before - WINDOW_MS
            return max(since, self.after or since), min(self.before, latest)
        if self.after is not None:
            return self.after, min(self.after + WINDOW_MS, latest)
        if self.key is None:
            return now - WINDOW_MS, latest
        timestamp = timestamp_of(self.key)
        if self.is_back:
            return None, min(timestamp + WINDOW_MS, latest)
        return timestamp - WINDOW_MS, latest

    def page(self, rows: list[Item], key: Callable[[Item], str]) -> Page[Item]:
        """Make the page of the rows that were read, which may hold one more than it shows."""
        shown = rows[: self.limit]
        if self.is_back:
            shown.reverse()
        keys = tuple(map(key, shown))
        return Page(
            items=tuple(shown),
            iterator=keys[-1] if keys else None,
            prev_iterator=f"-{keys[0]}" if keys else None,
            done=len(rows) <= self.limit,
            keys=keys,
            is_back=self.is_back,
        )
