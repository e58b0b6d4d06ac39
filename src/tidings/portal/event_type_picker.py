# SPDX-License-Identifier: MIT
"""The picker of event types: those that match a search, in groups, and those that are chosen already."""

from dataclasses import dataclass
from itertools import groupby
from typing import Final

from tidings.core import event_types
from tidings.model.event_type import EventType
from tidings.model.page import Cursor, Order
from tidings.portal.request import PageRequest

MATCHES: Final = 100
"""The event types that a picker shows at most; a search finds the others."""
SEARCH_LONGEST: Final = 256


@dataclass(frozen=True, slots=True)
class Picker:
    """What a picker shows."""

    groups: tuple[tuple[str, tuple[EventType, ...]], ...]
    """The event types that match the search, by the part of their name before the first dot."""
    chosen: tuple[str, ...]
    elsewhere: tuple[str, ...]
    """The chosen names that are not in the groups: the search does not match them, or they are archived."""
    search: str
    has_more: bool


async def read(page: PageRequest, chosen: tuple[str, ...], search: str) -> Picker:
    """Read the event types that match a search."""
    search = search[:SEARCH_LONGEST]
    found = await event_types.page(
        page.services,
        page.principal,
        Cursor(Order.ASCENDING, MATCHES),
        archived=False,
        with_schemas=False,
        search=search,
    )
    names = {each.name for each in found.items}
    return Picker(
        groups=grouped(found.items),
        chosen=chosen,
        elsewhere=tuple(name for name in chosen if name not in names),
        search=search,
        has_more=not found.done,
    )


def grouped(found: tuple[EventType, ...]) -> tuple[tuple[str, tuple[EventType, ...]], ...]:
    """Return event types, which are in the order of their names, in groups."""
    return tuple((group, tuple(each)) for group, each in groupby(found, lambda event_type: group_of(event_type.name)))


def group_of(name: str) -> str:
    """Return the part of a name before its first dot; empty for a name without a dot."""
    head, dot, _ = name.partition(".")
    return head if dot else ""
