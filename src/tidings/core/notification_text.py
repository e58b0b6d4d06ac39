# SPDX-License-Identifier: MIT
"""The text of a mail about changes of the state of endpoints. Names and errors come from strangers: see `one_line`."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from tidings.clock import rfc3339
from tidings.core.operational import ENDPOINT_DISABLED, ENDPOINT_DISABLING, ENDPOINT_FAILING, ENDPOINT_RECOVERED
from tidings.ids import MANAGEMENT_ORG
from tidings.model.health import EndpointDisabledReason
from tidings.storage.tables.notifications import Notification

_LINE_MAX: Final = 200
_SUBJECT_MAX: Final = 60
_STATES: Final = {
    ENDPOINT_FAILING: "failing",
    ENDPOINT_DISABLING: "to be disabled",
    ENDPOINT_DISABLED: "disabled",
    ENDPOINT_RECOVERED: "recovered",
}
_NEXT: Final = {
    ENDPOINT_FAILING: "Messages are sent again by the retry schedule. If they keep running out of attempts, you are"
    " warned before the endpoint is disabled.",
    ENDPOINT_DISABLING: "Unless a message succeeds before, the next message after this time that runs out of attempts"
    " disables the endpoint.",
    ENDPOINT_DISABLED: "Nothing is sent to it until it is enabled. Enable it with recovery to send what it missed.",
    ENDPOINT_RECOVERED: "Messages with attempts left are sent by the retry schedule. Recover the endpoint to send those"
    " that ran out of attempts.",
}
_DISABLED: Final = {
    EndpointDisabledReason.FAILING.value: "was disabled after lasting failure",
    EndpointDisabledReason.RECEIVER.value: "was disabled at the request of its receiver",
    EndpointDisabledReason.GONE.value: "was disabled because its receiver responded with 410 Gone",
}


def one_line(text: str | None, most: int = _LINE_MAX) -> str:
    """Return a text as one line of a bounded length, without control and format characters.

    So a name cannot add lines to a mail, headers least of all, nor change the direction of its text.
    """
    shown = "".join(" " if unicodedata.category(each) in _HIDDEN else each for each in (text or "")[: 4 * most])
    line = " ".join(shown.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


_HIDDEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def subject(changes: Sequence[Notification], counts: Mapping[str, int]) -> str:
    """Return the subject of a mail; it names the endpoint if there is one change only."""
    total = sum(counts.values())
    if total == 1:
        [change] = changes
        name = one_line(change.app_name, _SUBJECT_MAX)
        return f"[tidings] Endpoint {_STATES[change.type]}: {_host(change)} ({name})"
    parts = (f"{counts[type_]:,} {word}" for type_, word in _STATES.items() if counts.get(type_))
    return f"[tidings] {total:,} changes of endpoints: {', '.join(parts)}"


def body(changes: Sequence[Notification], counts: Mapping[str, int], console: str | None) -> str:
    """Return the text of a mail; `console` is the URL of the console, if it is known."""
    total = sum(counts.values())
    blocks = [_block(change, console, is_alone=total == 1) for change in changes]
    if total > len(changes):
        more = f"And {total - len(changes):,} more changes."
        blocks.append(f"{more} {console}" if console else f"{more} `tidings status` shows the endpoints.")
    if total > 1:
        blocks += [f"{_STATES[each].capitalize()}: {text}" for each, text in _NEXT.items() if counts.get(each)]
    return "\n\n".join(blocks) + "\n"


def _block(change: Notification, console: str | None, *, is_alone: bool) -> str:
    lines = [f"{_host(change)} {_what(change)}", ""] if is_alone else [f"{_host(change)} {_what(change)}"]
    whose = "Operational webhooks of" if change.org_id == MANAGEMENT_ORG else "Application:"
    lines.append(f"{whose} {_named(change.app_name, change.app_id, change.app_uid)}")
    lines.append(f"Endpoint: {_named(change.description, change.endpoint_id, change.endpoint_uid)}")
    if change.type != ENDPOINT_RECOVERED and change.last_code is not None:
        lines.append(f"Last error: {_error(change)}")
    if console:
        lines.append(f"{console}/{change.org_id}/app/{change.app_id}/endpoint/{change.endpoint_id}")
    if is_alone:
        lines += ["", _NEXT[change.type]]
    return "\n".join(lines)


def _what(change: Notification) -> str:
    since = one_line(change.data.get("failSince"))
    match change.type:
        case operational_type if operational_type == ENDPOINT_FAILING:
            return f"is failing: every attempt since {since} failed."
        case operational_type if operational_type == ENDPOINT_DISABLING:
            at = one_line(change.data.get("disablesAt"))
            return f"has failed since {since}, and will be disabled after {at} ({change.data.get('percent')} % passed)."
        case operational_type if operational_type == ENDPOINT_DISABLED:
            return f"{_DISABLED.get(change.disabled_reason or '', 'was disabled')} at {rfc3339(change.at)}."
    return f"has recovered at {rfc3339(change.at)}." + (f" It had failed since {since}." if since else "")


def _error(change: Notification) -> str:
    return one_line(change.last_error) or f"status {change.last_code}"


def _named(name: str, identifier: str, uid: str | None) -> str:
    known = identifier if uid is None else f"{identifier}, uid {one_line(uid)}"
    return f"{one_line(name)} ({known})" if one_line(name) else known


def _host(change: Notification) -> str:
    """Return the host of the endpoint: the rest of the URL may hold secrets."""
    try:
        return one_line(urlsplit(change.url).netloc.rpartition("@")[2]) or change.endpoint_id
    except ValueError:
        return change.endpoint_id
