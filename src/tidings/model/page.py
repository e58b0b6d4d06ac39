# SPDX-License-Identifier: MIT
"""Pagination: the start, the direction and the size of a page, and the iterators of its neighbors.

A list is ordered by one text key (an id, a name) and is read a page at a time. An iterator is the key of the last
element of a page; the next page starts after it. With a leading `-` it is the key of the first element, and selects the
page before it, which is in the list's order too. A query reads one element more than the limit: the page does not
contain it, but its presence shows that the list continues.
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
"""The size at which a page ends before it reaches its limit; a page has at least one element."""
AHEAD_MS: Final = HOUR
"""How far in the future the newest element of a list may be: the largest difference of clocks."""


class Order(Enum):
    """The sort order of a list."""

    ASCENDING = "ascending"
    DESCENDING = "descending"

    @property
    def opposite(self) -> "Order":
        """The reverse order."""
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
        """The order in SQL."""
        return "ASC" if self.order is Order.ASCENDING else "DESC"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Elements in the list's order, and the iterators of the next and the previous page."""

    items: tuple[Item, ...]
    iterator: str | None
    prev_iterator: str | None
    done: bool
    keys: tuple[str, ...] = ()
    """The key of each element."""
    is_back: bool = False
    """Whether the rows were read in reverse order, so that the last elements are nearest to the cursor."""

    def mapped(self, change: Callable[[Item], Other]) -> "Page[Other]":
        """Return the same page with a function applied to each element."""
        items = tuple(change(item) for item in self.items)
        return Page(items, self.iterator, self.prev_iterator, self.done, self.keys, self.is_back)

    def within(self, sizes: Sequence[int], max_bytes: int = PAGE_BYTES) -> "Page[Item]":
        """Return the elements nearest to the cursor whose total size fits; the next page continues after them."""
        total, fitting = 0, 0
        for size in reversed(sizes) if self.is_back else sizes:
            total += size
            if total > max_bytes and fitting:
                break
            fitting += 1
        if fitting == len(self.items):
            return self
        kept = slice(len(self.items) - fitting, None) if self.is_back else slice(fitting)
        keys = self.keys[kept]
        return Page(self.items[kept], keys[-1], f"-{keys[0]}", done=False, keys=keys, is_back=self.is_back)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The request for one page: its size, start and order, and the time range of the elements."""

    order: Order
    limit: int = LIMIT_DEFAULT
    iterator: str | None = None
    before: int | None = None
    after: int | None = None

    @property
    def key(self) -> str | None:
        """The key in the iterator, without the sign of its direction."""
        return None if self.iterator is None else self.iterator.removeprefix("-")

    @property
    def is_back(self) -> bool:
        """Whether the page is read in reverse order."""
        if self.iterator is None:
            # With `after` only, the first page starts at that timestamp and continues toward now.
            return self.order is Order.DESCENDING and self.after is not None and self.before is None
        return self.iterator.startswith("-")

    @property
    def follows(self) -> bool:
        """Whether the page continues from a given position toward the newest element."""
        order = self.order.opposite if self.is_back else self.order
        return order is Order.ASCENDING and (self.iterator is not None or self.after is not None)

    def window(self) -> PageWindow:
        """Return the rows to read."""
        order = self.order.opposite if self.is_back else self.order
        if order is Order.ASCENDING:
            return PageWindow(order, self.limit + 1, above=self.key)
        return PageWindow(order, self.limit + 1, below=self.key)

    def window_in_time(self, prefix: str, now: int) -> PageWindow:
        """Return the rows to read of a list that is limited to a time range, by the timestamps in its ids."""
        since, until = self._time_range(now)
        window = self.window()
        return replace(
            window,
            first=None if since is None else first_at(prefix, since),
            below=min(filter(None, (window.below, first_at(prefix, until)))),
        )

    def _time_range(self, now: int) -> tuple[int | None, int]:
        """Return [since, until) of a page, at most 90 days."""
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
        """Return the page of the rows that were read, without the additional row."""
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
