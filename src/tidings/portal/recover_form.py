# SPDX-License-Identifier: MIT
"""The fields of the wizard that resends messages: their meaning and their faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tidings.clock import CLOCK_SKEW, DAY, HOUR, MINUTE, parse_rfc3339
from tidings.model import text
from tidings.model.attempt import MessageStatus, StatusCodeClass
from tidings.model.message import MessageFilter
from tidings.model.resending import ReplayFilters
from tidings.portal.formats import local_time
from tidings.portal.request import Form
from tidings.portal.starters import ResendForm

RATE_MAX: Final = 100_000
EVENT_TYPES_MAX: Final = 50
_RECOVERED_DAYS: Final = 14
_DIGITS_MAX: Final = 7


class What(NamedTuple):
    """What to resend."""

    title: str
    explanation: str


WHAT: Final[Mapping[str, What]] = {
    "failed": What(
        "Messages that failed",
        "Every message that ran out of attempts or failed in this period, and has not been delivered since.",
    ),
    "missing": What(
        "Messages that were never sent",
        "Messages that match the endpoint now, but were not sent to it: it did not exist yet, was disabled, or had"
        " other filters.",
    ),
    "selected": What(
        "Selected messages, delivered or not",
        "Messages that were sent before, chosen by the filters below. The receiver gets them again.",
    ),
}
KINDS: Final[Mapping[str, str]] = {
    "failed": "endpoint.recover",
    "missing": "endpoint.replay",
    "selected": "endpoint.bulk-replay",
}
"""The kind of task that resends them."""
PERIODS: Final[Mapping[str, str]] = {
    "hour": "The last hour",
    "day": "The last 24 hours",
    "outage": "Since the outage began",
    "custom": "Another period",
}
OUTCOMES: Final[Mapping[str, str]] = {"": "Any", "0": "Delivered", "2": "Failed", "3": "Failed, and will be retried"}
CLASSES: Final[Mapping[str, str]] = {
    "": "Any",
    "0": "No response",
    "200": "2xx",
    "300": "3xx",
    "400": "4xx",
    "500": "5xx",
}
FILTERS: Final = ("event_types", "channel", "tag", "status", "code_class")
"""The fields that apply to selected messages only."""
_LENGTHS: Final = {"hour": HOUR, "day": DAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The values of the form, as they are shown again, and the request that they mean."""

    endpoint: str
    what: str
    period: str
    since: str
    until: str
    rate: str
    event_types: str
    channel: str
    tag: str
    status: str
    code_class: str
    since_ms: int = 0
    until_ms: int | None = None
    filters: ReplayFilters = field(default_factory=ReplayFilters)

    @property
    def request(self) -> ResendForm:
        """The request; only for a form without faults."""
        return ResendForm(
            endpoint_ref=self.endpoint,
            since=self.since_ms,
            until=self.until_ms,
            rate_limit=int(self.rate) if self.rate else None,
            filters=self.filters,
        )

    @property
    def fields(self) -> dict[str, str]:
        """The values that an address or a form carries; the period is fixed, so that all steps mean the same one."""
        shown = {
            "endpoint": self.endpoint,
            "what": self.what,
            "period": "custom",
            "since": local_time(self.since_ms),
            "until": local_time(self.until_ms),
            "rate": self.rate,
        }
        if self.what == "selected":
            shown |= {name: getattr(self, name) for name in FILTERS}
        return {name: value for name, value in shown.items() if value}


def read(given: Form, now: int, outage_since: int | None) -> tuple[Choice, dict[str, str]]:
    """Return the values of a form, and its faults by field. `outage_since` is when the endpoint began to fail."""
    faults: dict[str, str] = {}
    what = given["what"] if given["what"] in WHAT else "failed"
    period = _period(given, outage_since)
    since, until = _range(given, period, now, outage_since, faults)
    rate = given["rate"]
    if rate and not (rate.isascii() and rate.isdigit() and len(rate) < _DIGITS_MAX and 1 <= int(rate) <= RATE_MAX):
        faults["rate"] = f"Enter a whole number between 1 and {RATE_MAX:,}, or leave it empty."
    if since is not None and what == "failed" and since < (until or now) - _RECOVERED_DAYS * DAY:
        faults["since"] = f"Failed messages can be resent for at most {_RECOVERED_DAYS} days. Choose a later start."
    if period != "custom" and (given["since"] or given["until"]):
        faults["period"] = f"Choose “{PERIODS['custom']}” to use these times, or clear them."
    if what != "selected" and any(given[name] for name in FILTERS):
        faults["what"] = f"The filters apply to “{WHAT['selected'].title}” only. Choose that, or clear them."
    filters = _filters(given, faults) if what == "selected" else ReplayFilters()
    choice = Choice(
        endpoint=given["endpoint"],
        what=what,
        period=period,
        since=given["since"] or (local_time(since) if period == "custom" else ""),
        until=given["until"],
        rate=rate,
        event_types=given["event_types"],
        channel=given["channel"],
        tag=given["tag"],
        status=given["status"] if given["status"] in OUTCOMES else "",
        code_class=given["code_class"] if given["code_class"] in CLASSES else "",
        since_ms=since or 0,
        until_ms=until,
        filters=filters,
    )
    return choice, faults


def _period(given: Form, outage_since: int | None) -> str:
    """Return the chosen period: by default the outage of a failing endpoint, else the last hour."""
    if given["period"] in PERIODS:
        return given["period"]
    if given["since"]:
        return "custom"
    return "hour" if outage_since is None else "outage"


def _range(
    given: Form, period: str, now: int, outage_since: int | None, faults: dict[str, str]
) -> tuple[int | None, int | None]:
    """Return the start and the end of a period; no end means now."""
    if period == "outage":
        if outage_since is None:
            faults["period"] = "This endpoint has no outage at present. Choose another period."
            return None, None
        # The attempt that opened the failure record began up to a minute before its outcome was stored.
        return max(outage_since - MINUTE, now - _RECOVERED_DAYS * DAY), None
    if period in _LENGTHS:
        return now - _LENGTHS[period], None
    since, until = _time(given, "since", faults), _time(given, "until", faults)
    if since is None:
        faults.setdefault("since", "Enter when the period begins.")
    elif since > now + CLOCK_SKEW:
        faults["since"] = "The period must not begin in the future."
    elif until is not None and until < since:
        faults["until"] = "The period must end after it begins."
    return since, until


def _time(given: Form, name: str, faults: dict[str, str]) -> int | None:
    """Return a time in UTC from a field, in milliseconds; None if it is empty or wrong."""
    value = given[name]
    if not value:
        return None
    try:
        return _parsed(value)
    except (ValueError, OverflowError):
        faults[name] = "Enter a date and a time, such as 2026-11-30T08:00, in UTC."
        return None


def _parsed(value: str) -> int:
    """Parse the value of a `datetime-local` field, which has seconds only if they are not zero."""
    short = len("2026-11-30T08:00")
    return parse_rfc3339(value if value.endswith("Z") else f"{value}{':00' if len(value) == short else ''}Z")


def _filters(given: Form, faults: dict[str, str]) -> ReplayFilters:
    names = tuple(dict.fromkeys(given["event_types"].replace(",", " ").split()))
    wrong = next((name for name in names if text.name_error(name)), None)
    if wrong is not None:
        faults["event_types"] = f"“{wrong[:60]}” is no event type: they have letters, digits, hyphens and dots."
    elif len(names) > EVENT_TYPES_MAX:
        faults["event_types"] = f"Enter at most {EVENT_TYPES_MAX} event types."
    channel, tag = given["channel"] or None, given["tag"] or None
    if channel is not None and text.channel_error(channel):
        faults["channel"] = "A channel has letters, digits, and the characters - _ . : +"
    if tag is not None and text.tag_error(tag):
        faults["tag"] = "A tag has letters, digits, and the characters - _ . / # \\"
    status = given["status"] if given["status"] in OUTCOMES else ""
    code_class = given["code_class"] if given["code_class"] in CLASSES else ""
    return ReplayFilters(
        messages=MessageFilter(event_types=names, channel=channel, tag=tag),
        status=MessageStatus(int(status)) if status else None,
        code_class=StatusCodeClass(int(code_class)) if code_class else None,
    )
