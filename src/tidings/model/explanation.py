# SPDX-License-Identifier: MIT
"""Explanations of the state of a delivery, derived from stored data by rules in a fixed order. Pure.

The stored data is incomplete: the history of an endpoint is bounded, and a write to the endpoint may overlap the
acceptance of the message. An explanation that depends on an inference has `certain=False`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tidings.clock import rfc3339
from tidings.ids import AttemptId, TaskId
from tidings.model.attempt import DeliveryEnd, MessageAttemptTriggerType, MessageStatus
from tidings.model.endpoint import Endpoint
from tidings.model.json_document import JsonDocument
from tidings.model.payload_filter import PayloadFilter
from tidings.model.routing import Mismatch, mismatch


class DeliveryState(Enum):
    """The state of a message at one endpoint."""

    DELIVERED = "delivered"
    """The receiver accepted the message."""
    IN_FLIGHT = "in_flight"
    """A node sends the message, or holds it in memory to send it next."""
    SCHEDULED = "scheduled"
    """A request is due, now or later."""
    EXHAUSTED = "exhausted"
    """No attempts are left."""
    CANCELED = "canceled"
    """A background task that requested the message was canceled."""
    DISCARDED = "discarded"
    """The delivery ended without another request."""
    NOT_SENT = "not_sent"
    """There was no request."""


@dataclass(frozen=True, slots=True)
class DeliveryReason:
    """Why a delivery has its state; `certain` is false if the stored data allows another explanation."""

    code: str
    detail: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """The state of a delivery, the reason for it, and when the next request is due."""

    state: DeliveryState
    reason: DeliveryReason
    next_attempt_at: int | None = None
    task_id: TaskId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """The parts of a message that an explanation uses; timestamps in milliseconds."""

    at: int
    event_type: str
    channels: tuple[str, ...] | None
    deliver_at: int | None
    has_payload: bool
    expires_at: int
    """When the payload expires or expired."""
    document: JsonDocument | None = None
    """The payload, if it is kept and a payload filter needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutstandingDelivery:
    """The row of an outstanding delivery."""

    due_at: int
    attempts: int
    is_manual: bool
    lease_until: int | None
    task_id: TaskId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAttempt:
    """The latest attempt."""

    id: AttemptId
    at: int
    status: MessageStatus
    status_code: int
    trigger: MessageAttemptTriggerType
    ended: DeliveryEnd | None
    """How the delivery ended after the attempt; None if it succeeded or another was scheduled."""
    task_id: TaskId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSummary:
    """The attempts of a message at an endpoint, at least one."""

    count: int
    automatic: int
    blocked: int
    """The attempts that made no request, because the address is blocked."""
    is_delivered: bool
    last: LastAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsInForce:
    """What decided whether an endpoint received a message, at the time when the message was accepted."""

    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    filter: PayloadFilter | None
    disabled: bool
    is_certain: bool
    """Whether no write to the endpoint can have overlapped the acceptance of the message."""
    was_disabled_later: bool
    """Whether the endpoint was disabled at some time since then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFacts:
    """The stored data about one message and one endpoint."""

    subject: MessageFacts
    endpoint: Endpoint
    deleted_at: int | None
    outstanding: OutstandingDelivery | None
    attempts: AttemptSummary | None
    canceled_by: TaskId | None
    """A task that requested a resend after the last attempt, and was canceled before the attempt."""
    in_force: SettingsInForce | None
    """The settings of the endpoint at the time of the message; None where its history is younger, or not needed."""
    now: int
    attempts_max: int
    """The number of automatic attempts in the current retry schedule."""

    @property
    def is_unedited(self) -> bool:
        """Whether the endpoint has not changed since the message was accepted."""
        return self.endpoint.updated_at <= self.subject.at

    @property
    def was_never_disabled(self) -> bool:
        """Whether the history shows that the endpoint was enabled from the time of the message on."""
        found = self.in_force
        return found is not None and found.is_certain and not found.disabled and not found.was_disabled_later

    @property
    def is_filter_undecided(self) -> bool:
        """Whether a payload filter decided, and the payload that it was about is not known."""
        settings = self.endpoint if self.in_force is None else self.in_force
        return settings.filter is not None and self.subject.document is None

    @property
    def disabled_at(self) -> int | None:
        """When the endpoint was disabled; None if it is enabled."""
        return self.endpoint.record.disabled_at if self.endpoint.disabled else None


def explain(case: DeliveryFacts) -> Explanation:
    """Return the state of a delivery and the reason for it."""
    if case.outstanding is not None:
        return _outstanding(case, case.outstanding)
    if case.attempts is not None and case.attempts.is_delivered:
        return _with_task(
            case.attempts, DeliveryState.DELIVERED, DeliveryReason("delivered", "The receiver accepted the message.")
        )
    if case.attempts is not None and case.attempts.last.status is MessageStatus.CANCELED:
        detail = "The transformation of the endpoint canceled the message; no request was made."
        return _with_task(case.attempts, DeliveryState.CANCELED, DeliveryReason("transformation_canceled", detail))
    if case.canceled_by is not None:
        reason = DeliveryReason("task_canceled", f"Task {case.canceled_by} was canceled before it sent the message.")
        return Explanation(DeliveryState.CANCELED, reason, task_id=case.canceled_by)
    return _without_attempts(case) if case.attempts is None else _ended(case, case.attempts)


def _with_task(attempts: AttemptSummary, state: DeliveryState, reason: DeliveryReason) -> Explanation:
    return Explanation(state, reason, task_id=attempts.last.task_id)


# ----------------------------------------------------------------------------------------------------------------------
# Outstanding deliveries


def _outstanding(case: DeliveryFacts, row: OutstandingDelivery) -> Explanation:
    if row.lease_until is not None and row.lease_until > case.now:
        reason = DeliveryReason("sending", "A node sends the message, or holds it in memory to send it next.")
        return Explanation(DeliveryState.IN_FLIGHT, reason, task_id=row.task_id)
    return Explanation(DeliveryState.SCHEDULED, _scheduled(case, row), row.lease_until or row.due_at, row.task_id)


def _scheduled(case: DeliveryFacts, row: OutstandingDelivery) -> DeliveryReason:
    if row.lease_until is not None:
        return DeliveryReason("lease_expired", "The lease of the sending node expired; another node takes over.")
    if case.deleted_at is not None:
        return DeliveryReason("endpoint_deleted", "The endpoint is deleted, so no request follows.")
    if case.endpoint.disabled:
        return DeliveryReason(
            "endpoint_disabled",
            "The endpoint is disabled, so no request follows unless you enable it before the request is due.",
        )
    return _due(case, row)


def _due(case: DeliveryFacts, row: OutstandingDelivery) -> DeliveryReason:
    if row.is_manual:
        return DeliveryReason("resend_scheduled", "A resend or a task requested another attempt.")
    if case.attempts is not None and row.attempts:
        return _retry(case.attempts)
    if case.subject.deliver_at is not None and row.due_at > case.now:
        return DeliveryReason("deliver_at", f"The message is to be delivered at {rfc3339(case.subject.deliver_at)}.")
    return DeliveryReason("waiting", "The request is due and waits for a free connection, a rate limit or a node.")


def _retry(attempts: AttemptSummary) -> DeliveryReason:
    if attempts.blocked == attempts.count:
        return DeliveryReason("blocked_address", "The endpoint's address is blocked; no request was made.")
    return DeliveryReason("retry_scheduled", f"{_failures(attempts)}, and the retry schedule has another attempt.")


def _failures(attempts: AttemptSummary) -> str:
    code = attempts.last.status_code
    how = f"with status {code}" if code else "without a response"
    return f"Attempt {attempts.count} failed {how}"


# ----------------------------------------------------------------------------------------------------------------------
# Deliveries that ended after failed attempts


def _ended(case: DeliveryFacts, attempts: AttemptSummary) -> Explanation:
    return _with_task(attempts, *_end(case, attempts))


_Found = tuple[DeliveryState, DeliveryReason]


def _end(case: DeliveryFacts, attempts: AttemptSummary) -> _Found:
    if attempts.blocked == attempts.count:
        return DeliveryState.NOT_SENT, DeliveryReason(
            "blocked_address", "The endpoint's address is blocked; no request was made."
        )
    match attempts.last.ended:
        case DeliveryEnd.CANCELED:
            detail = "A task that requested the message again was canceled before it sent the message."
            return DeliveryState.CANCELED, DeliveryReason("task_canceled", detail)
        case DeliveryEnd.DISCARDED:
            return DeliveryState.DISCARDED, _discarded(case, is_sure=True)
        case _:
            return DeliveryState.EXHAUSTED, _exhausted(case, attempts)


def _discarded(case: DeliveryFacts, *, is_sure: bool) -> DeliveryReason:
    """Return why no other request followed: the cause that applies now, although an earlier one may have ended it.

    `is_sure` says whether there was a delivery.
    """
    has_payload = case.subject.has_payload
    if case.deleted_at is not None:
        return _deleted(case.deleted_at, certain=is_sure and has_payload and case.was_never_disabled)
    if case.disabled_at is not None:
        return _disabled(case.disabled_at, certain=is_sure and has_payload)
    if not has_payload:
        return _without_payload(case, certain=is_sure and (case.is_unedited or case.was_never_disabled))
    detail = "The endpoint was disabled when the next request was due; it was enabled later."
    return DeliveryReason("endpoint_disabled", detail)


def _exhausted(case: DeliveryFacts, attempts: AttemptSummary) -> DeliveryReason:
    if attempts.automatic >= case.attempts_max:
        return DeliveryReason("no_attempts_left", f"{_failures(attempts)}, and no attempts are left.")
    if not attempts.automatic:
        detail = f"{_failures(attempts)}. It was a resend, and no other attempt is scheduled."
        return DeliveryReason("resend_failed", detail)
    detail = (
        f"{_failures(attempts)}, and no other attempt follows: the receiver ended the delivery, or the retry schedule"
        " was changed."
    )
    return DeliveryReason("stopped_early", detail, certain=False)


# ----------------------------------------------------------------------------------------------------------------------
# Messages without an attempt


def _without_attempts(case: DeliveryFacts) -> Explanation:
    return Explanation(*(_not_matched(case) or _ended_without_attempts(case)))


_MISMATCHES: Final = {
    Mismatch.FILTER: ("filter_not_matched", "The payload filter of the endpoint does not match. {}"),
    Mismatch.EVENT_TYPE: ("event_type_not_subscribed", "The endpoint did not subscribe to the event type {}."),
    Mismatch.CHANNEL: ("channel_not_matched", "The endpoint had channels, and the message has none of them."),
}


def _not_matched(case: DeliveryFacts) -> _Found | None:
    """Return the reason if accepting the message created no delivery to the endpoint."""
    subject, endpoint, disabled_at = case.subject, case.endpoint, case.disabled_at
    if endpoint.created_at > subject.at:
        detail = f"The endpoint was created at {rfc3339(endpoint.created_at)}, after the message."
        return DeliveryState.NOT_SENT, DeliveryReason("endpoint_created_later", detail)
    if disabled_at is not None and disabled_at <= subject.at:
        return DeliveryState.NOT_SENT, _disabled(disabled_at, certain=True)
    known = case.in_force
    if known is None:
        return _mismatched(subject, endpoint, certain=case.is_unedited)
    if known.disabled:
        detail = "The endpoint was disabled when the message was accepted."
        return DeliveryState.NOT_SENT, DeliveryReason("endpoint_disabled", detail, known.is_certain)
    return _mismatched(subject, known, certain=known.is_certain)


def _mismatched(subject: MessageFacts, settings: Endpoint | SettingsInForce, *, certain: bool) -> _Found | None:
    found = mismatch(settings, subject.event_type, subject.channels, subject.document)
    if found is None:
        return None
    code, detail = _MISMATCHES[found]
    fact = subject.event_type if found is not Mismatch.FILTER else _why_not(subject, settings)
    return DeliveryState.NOT_SENT, DeliveryReason(code, detail.format(fact), certain)


def _why_not(subject: MessageFacts, settings: Endpoint | SettingsInForce) -> str:
    if settings.filter is None or subject.document is None:
        return ""
    return settings.filter.why_not(subject.document) or ""


def _ended_without_attempts(case: DeliveryFacts) -> _Found:
    """Return the reason for a missing delivery, if the endpoint matched the message or matches it now."""
    is_known = case.in_force is not None and case.in_force.is_certain
    is_ended = case.deleted_at is not None or case.disabled_at is not None or not case.subject.has_payload
    if is_ended or (is_known and not case.was_never_disabled):
        is_sure = (is_known or case.is_unedited) and not case.is_filter_undecided
        return DeliveryState.DISCARDED, _discarded(case, is_sure=is_sure)
    if is_known or case.is_unedited:
        return DeliveryState.NOT_SENT, DeliveryReason(
            "unknown", "The stored data does not show the reason.", certain=False
        )
    detail = (
        f"The endpoint was changed at {rfc3339(case.endpoint.updated_at)}, after the message. Before, it was"
        " disabled, or its filters did not match."
    )
    return DeliveryState.NOT_SENT, DeliveryReason("endpoint_changed_later", detail, certain=False)


def _deleted(at: int, *, certain: bool) -> DeliveryReason:
    return DeliveryReason("endpoint_deleted", f"The endpoint was deleted at {rfc3339(at)}.", certain)


def _disabled(at: int, *, certain: bool) -> DeliveryReason:
    return DeliveryReason("endpoint_disabled", f"The endpoint has been disabled since {rfc3339(at)}.", certain)


def _without_payload(case: DeliveryFacts, *, certain: bool) -> DeliveryReason:
    if case.now < case.subject.expires_at:
        return DeliveryReason("payload_expunged", "The payload was expunged before the message was delivered.", certain)
    return DeliveryReason("payload_expired", f"The payload expired at {rfc3339(case.subject.expires_at)}.", certain)
