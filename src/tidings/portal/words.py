# SPDX-License-Identifier: MIT
"""States in plain words: of endpoints, deliveries and attempts, each with what to do next."""

from dataclasses import dataclass
from typing import Final

from tidings.model.attempt import MessageAttemptTriggerType, MessageStatus
from tidings.model.endpoint import Endpoint
from tidings.model.explanation import DeliveryState
from tidings.model.health import EndpointDisabledReason, EndpointHealthStatus, failing_since, health_status

GOOD: Final = "good"
BAD: Final = "bad"
WARN: Final = "warn"
INFO: Final = "info"


@dataclass(frozen=True, slots=True)
class Words:
    """A state as a word, the kind that colors it, and a sentence about it."""

    text: str
    kind: str
    detail: str = ""
    since: int | None = None
    """When the state began, in milliseconds."""


_DISABLED: Final = {
    EndpointDisabledReason.FAILING: "Its messages kept running out of attempts, so the service disabled it.",
    EndpointDisabledReason.RECEIVER: "Its receiver requested that with a response header.",
    EndpointDisabledReason.GONE: "Its receiver responded with 410 Gone.",
    None: "It was disabled by hand.",
}


def health(endpoint: Endpoint) -> Words:
    """Return the health of an endpoint in words."""
    record, recent = endpoint.record, endpoint.recent
    match health_status(record, recent, disabled=endpoint.disabled):
        case EndpointHealthStatus.DISABLED:
            detail = f"{_DISABLED[record.disabled_reason]} It receives nothing until you enable it."
            by_service = record.disabled_reason is not None
            return Words("Disabled", BAD if by_service else "", detail, record.disabled_at)
        case EndpointHealthStatus.FAILING:
            return Words("Failing", BAD, _failing(endpoint), failing_since(record, recent) or record.unreachable_since)
        case EndpointHealthStatus.DEGRADED:
            failed = recent.attempts - recent.delivered
            return Words("Degraded", WARN, f"{failed} of the last {recent.attempts} attempts failed.")
    if not recent.attempts:
        return Words("No attempts yet", "", "There was no attempt in the last 24 hours.")
    return Words("Healthy", GOOD, f"{recent.delivered} of the last {recent.attempts} attempts succeeded.")


def _failing(endpoint: Endpoint) -> str:
    record, recent = endpoint.record, endpoint.recent
    if recent.is_failing:
        return f"The last {recent.failures_in_a_row} attempts failed."
    if record.unreachable_since is not None:
        return "It does not respond, so it gets fewer requests at a time."
    if record.failing_since is None:
        return "Ten attempts in a row failed, and none has succeeded since."
    return "A message ran out of attempts, and none has succeeded since."


def last_error(endpoint: Endpoint) -> str:
    """Return why the last failed attempt at an endpoint failed; empty without one."""
    failed = endpoint.recent.last_error
    if failed is None:
        return ""
    return failed.detail or f"The receiver responded with status {failed.status_code}."


_STATES: Final = {
    DeliveryState.DELIVERED: Words("Delivered", GOOD),
    DeliveryState.IN_FLIGHT: Words("In flight", INFO),
    DeliveryState.SCHEDULED: Words("Scheduled", INFO),
    DeliveryState.EXHAUSTED: Words("Exhausted", BAD),
    DeliveryState.CANCELED: Words("Canceled", WARN),
    DeliveryState.DISCARDED: Words("Discarded", WARN),
    DeliveryState.NOT_SENT: Words("Not sent", ""),
}
_ENABLE: Final = "Enable the endpoint, then resend the message."
_REPAIR: Final = "Repair the receiver, then resend the message."
_EXPIRED: Final = "It cannot be sent again; its sender can create a new message."
ADVICE: Final = {
    "sending": "Reload this page in a few seconds.",
    "lease_expired": "Nothing to do: the attempt follows by itself.",
    "endpoint_deleted": "Add the endpoint again to receive later messages.",
    "endpoint_disabled": _ENABLE,
    "resend_scheduled": "Nothing to do: the attempt follows by itself.",
    "retry_scheduled": "Repair the receiver: the next attempt follows by itself, or resend the message now.",
    "blocked_address": "Change the URL to an address that the service may reach.",
    "deliver_at": "Nothing to do: the attempt follows by itself.",
    "waiting": "Nothing to do: the attempt follows by itself.",
    "no_attempts_left": _REPAIR,
    "resend_failed": _REPAIR,
    "stopped_early": _REPAIR,
    "task_canceled": "Resend the message if you want it.",
    "payload_expunged": _EXPIRED,
    "payload_expired": _EXPIRED,
    "event_type_not_subscribed": "Add the event type to the endpoint for later messages, or resend this one.",
    "channel_not_matched": "Change the channels of the endpoint for later messages, or resend this one.",
    "endpoint_created_later": "Resend the message if this endpoint needs it.",
    "endpoint_changed_later": "Resend the message if this endpoint needs it.",
    "unknown": "A test event is sent to one endpoint only. Resend the message if this endpoint needs it.",
}
"""What to do next, by the code of a reason."""


def delivery(state: DeliveryState) -> Words:
    """Return the state of a delivery in a word."""
    return _STATES[state]


def attempt(status: MessageStatus) -> Words:
    """Return the outcome of an attempt in a word."""
    if status is MessageStatus.CANCELED:
        return Words("Canceled", WARN)
    return Words("Succeeded", GOOD) if status is MessageStatus.SUCCESS else Words("Failed", BAD)


_DESTINATIONS: Final = {
    MessageStatus.SUCCESS: Words("Delivered", GOOD),
    MessageStatus.SENDING: Words("Scheduled", INFO),
    MessageStatus.FAIL: Words("Failed", BAD),
    MessageStatus.CANCELED: Words("Canceled", WARN),
}


def destination(status: MessageStatus) -> Words:
    """Return the state of a message at an endpoint to which it had an attempt."""
    return _DESTINATIONS.get(status, Words(status.name.capitalize(), ""))


def trigger(kind: MessageAttemptTriggerType) -> str:
    """Return what caused an attempt."""
    return "Automatic" if kind is MessageAttemptTriggerType.SCHEDULED else "Resend"


def response(code: int, body: str = "") -> str:
    """Return the response of an attempt in a few words; `body` is the error where there was no response."""
    return f"HTTP {code}" if code else body or "No response"
