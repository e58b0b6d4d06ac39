# SPDX-License-Identifier: MIT
"""Filters and positions of lists, from the query of a page."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from tidings import ids
from tidings.clock import DAY, HOUR
from tidings.errors import bad_request
from tidings.model import text
from tidings.model.attempt import AttemptFilter, MessageStatus, StatusCodeClass
from tidings.model.message import MessageFilter
from tidings.model.page import AHEAD_MS, Cursor, Order
from tidings.portal.request import PageRequest

PAGE: Final = 30
WITHIN: Final = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
"""The time ranges that a list offers, in milliseconds."""
_STATUSES: Final = {"succeeded": MessageStatus.SUCCESS, "failed": MessageStatus.FAIL}
_CLASSES: Final = {
    "none": StatusCodeClass.CODE_NONE,
    "2xx": StatusCodeClass.CODE_2XX,
    "3xx": StatusCodeClass.CODE_3XX,
    "4xx": StatusCodeClass.CODE_4XX,
    "5xx": StatusCodeClass.CODE_5XX,
}
_LONGEST: Final = 200


def cursor(page: PageRequest, prefix: str, order: Order = Order.DESCENDING, limit: int = PAGE) -> Cursor:
    """Return the position in a list of ids; raise `bad_request` for one that is not an id."""
    at = page.query["at"]
    if at and not ids.is_id(at.removeprefix("-"), prefix):
        raise bad_request("no_position", "The address of this page is damaged. Open the list again.")
    return Cursor(order, limit, at or None)


@dataclass(frozen=True, slots=True)
class ListFilters:
    """The filters of a list of messages or attempts, and the faults in them by the names of the fields."""

    message: MessageFilter
    status: MessageStatus | None = None
    code_class: StatusCodeClass | None = None
    since: int | None = None
    """In milliseconds."""
    until: int | None = None
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def attempt(self) -> AttemptFilter:
        """The filters as those of attempts."""
        return AttemptFilter(status=self.status, code_class=self.code_class, message=self.message)

    def over(self, position: Cursor, now: int) -> Cursor:
        """Return the position within the time range of the filters."""
        before = self.until
        if before is None and self.since is not None:
            before = now + AHEAD_MS  # with a start alone a list would begin at its oldest element
        return Cursor(position.order, position.limit, position.iterator, before, self.since)


def filters(page: PageRequest) -> ListFilters:
    """Read the filters in the query of a page; a value that no element can have is a fault, and is left out."""
    query, faults = page.query, dict[str, str]()
    since, until = _times(page, faults)
    checks = (("type", text.name_error), ("channel", text.channel_error), ("tag", text.tag_error))
    valid = {name: query[name] for name, _ in checks}
    for name, error_of in checks:
        wrong = error_of(query[name]) if query[name] else None
        if wrong is not None:
            faults[name], valid[name] = wrong, ""
    return ListFilters(
        message=MessageFilter(
            event_types=(valid["type"],) if valid["type"] else (),
            channel=valid["channel"] or None,
            tag=valid["tag"] or None,
        ),
        status=_STATUSES.get(query["status"]),
        code_class=_CLASSES.get(query["code"]),
        since=since,
        until=until,
        faults=faults,
    )


def _times(page: PageRequest, faults: dict[str, str]) -> tuple[int | None, int | None]:
    found: dict[str, int | None] = {}
    for name in ("from", "to"):
        found[name] = None
        if page.query[name]:
            found[name] = parse_time(page.query[name])
            if found[name] is None:
                faults[name] = "Write a time like 2026-05-01T12:30."
    within = WITHIN.get(page.query["within"])
    if within is not None and found["from"] is None:
        found["from"] = page.now - within
    if found["from"] is not None and found["to"] is not None and found["from"] >= found["to"]:
        faults["to"], found["to"] = "The end must be after the start.", None
    return found["from"], found["to"]


def parse_time(given: str) -> int | None:
    """Return a time in UTC, as `<input type="datetime-local">` sends it, in milliseconds; None if it is not one."""
    try:
        found = datetime.fromisoformat(given[:_LONGEST])
        return int(found.replace(tzinfo=found.tzinfo or UTC).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None
