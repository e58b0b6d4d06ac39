# SPDX-License-Identifier: MIT
"""Endpoint health: failures are recorded in the transaction that settles the deliveries.

A delivery that succeeds at a healthy endpoint causes no health event and costs nothing here. Health events arise when a
message fails repeatedly or recovers, when an endpoint does not respond, and when a receiver requests to be disabled.
They become operational events. Writes to an endpoint are rare: one at the start and the end of a failure record, and at
most one a second in between. `failure_runs` decides when the attempts are read to find ten failures in a row.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tidings import ids
from tidings.clock import SECOND, rfc3339
from tidings.core import operational
from tidings.core.failure_runs import FailureRuns
from tidings.core.operational import OperationalEvent
from tidings.core.state_changes import EVENTS_ONLY, StateReporter
from tidings.ids import AppId
from tidings.model.health import EndpointDisabledReason, ExhaustionVerdict, judge_exhaustion
from tidings.model.routing import Receiver
from tidings.observe import transition
from tidings.storage.drivers.database import Write
from tidings.storage.tables import apps, health, routing
from tidings.storage.tables.health import EndpointHealth

FAILING_AFTER: Final = 4
"""Failed automatic attempts after which a message with attempts left counts as failing."""
_REMEMBERED: Final = 10_000


class HealthEventKind(Enum):
    """The kinds of health events."""

    FAILING = auto()
    EXHAUSTED = auto()
    RECOVERED = auto()
    ABORTED = auto()
    """The receiver requested no further attempts of this message; this is not a failure of the endpoint."""
    UNREACHABLE = auto()
    DISABLE_REQUESTED = auto()
    """The receiver requested that the endpoint be disabled."""
    GONE = auto()
    """The receiver responded with 410 Gone."""
    SUCCEEDED = auto()
    FAILED_IN_A_ROW = auto()
    """The last attempts may all have failed; the attempts that are stored decide."""


DISABLING: Final = frozenset({HealthEventKind.DISABLE_REQUESTED, HealthEventKind.GONE})
"""The events that disable an endpoint immediately."""
_OPERATIONAL: Final = {
    HealthEventKind.FAILING: operational.ATTEMPT_FAILING,
    HealthEventKind.EXHAUSTED: operational.ATTEMPT_EXHAUSTED,
    HealthEventKind.ABORTED: operational.ATTEMPT_EXHAUSTED,
    HealthEventKind.RECOVERED: operational.ATTEMPT_RECOVERED,
}


@dataclass(frozen=True, slots=True)
class HealthEvent:
    """A change in the health of an endpoint or a message, observed in one attempt."""

    kind: HealthEventKind
    receiver: Receiver
    msg_id: str = ""
    attempt_id: str = ""
    status_code: int = 0


def _ignore(_identifier: str) -> None:
    """Do nothing: the event has no listener."""


class HealthRecorder:
    """Records health events. After the commit it reports applications to `changed` and endpoints to `disabled`."""

    def __init__(
        self,
        window: int,
        *,
        changed: Callable[[str], None] = _ignore,
        disabled: Callable[[str], None] = _ignore,
        reporter: StateReporter = EVENTS_ONLY,
    ) -> None:
        self.failing: set[str] = set()
        """Endpoints with an open failure record, which a success closes."""
        self.runs = FailureRuns()
        self._window = window
        self._reporter = reporter
        self._changed = changed
        self._disabled = disabled
        self._recorded_at: dict[str, int] = {}

    async def write(self, tx: Write, events: Sequence[HealthEvent], now: int) -> None:
        """Record health events, and emit the operational events that follow from them."""
        reported = [event for event in events if event.kind in _OPERATIONAL]
        if reported:
            await operational.emit_all(tx, await _operational_events(tx, reported), now)
        by_endpoint: dict[str, set[HealthEventKind]] = {}
        for event in events:
            by_endpoint.setdefault(event.receiver.id, set()).add(event.kind)
        recorded = {each: kinds & _RECORDED for each, kinds in by_endpoint.items() if kinds & _RECORDED}
        due = {each: kinds for each, kinds in recorded.items() if not self._was_just_recorded(each, kinds, now)}
        if due:
            urls: dict[str, str] = {
                event.receiver.id: event.receiver.url for event in events if event.kind in DISABLING
            }
            await self._update(tx, due, urls, now)

    def _was_just_recorded(self, endpoint_id: str, kinds: set[HealthEventKind], now: int) -> bool:
        """Return whether exhaustion is the only kind, and an event was recorded less than a second ago."""
        last = self._recorded_at.get(endpoint_id)
        return kinds == {HealthEventKind.EXHAUSTED} and last is not None and 0 <= now - last < SECOND

    async def _update(self, tx: Write, due: dict[str, set[HealthEventKind]], urls: dict[str, str], now: int) -> None:
        """Apply the events; an event does not disable an endpoint whose URL is no longer the one in `urls`."""
        await self._confirm_runs(tx, due, now)
        endpoints = await health.find(tx, sorted(due))
        for endpoint_id in urls.keys() & endpoints.keys():
            if urls[endpoint_id] != endpoints[endpoint_id].url:
                due[endpoint_id] = due[endpoint_id] - DISABLING
        steps = [
            _Step(endpoint, action)
            for endpoint in sorted(endpoints.values(), key=lambda each: each.id)
            for action in _actions(endpoint, due[endpoint.id], now, self._window)
        ]
        transitions = [step for step in steps if step.action in _TRANSITIONS]
        for app_id in sorted({step.endpoint.app_id for step in transitions}):
            await apps.advance_routing_version(tx, AppId(app_id), now)
        for step in steps:
            await self._apply(tx, step, now)
        deleted = due.keys() - endpoints.keys()
        tx.after_commit(lambda: self._remember(steps, deleted, now))

    async def _confirm_runs(self, tx: Write, due: dict[str, set[HealthEventKind]], now: int) -> None:
        """Remove the runs of failures that the stored attempts do not show, or that are recorded already."""
        suspects = sorted(each for each, kinds in due.items() if HealthEventKind.FAILED_IN_A_ROW in kinds)
        if not suspects:
            return
        confirmed = await health.failed_runs(tx, suspects)
        for each in suspects:
            if each not in confirmed:
                due[each] = due[each] - {HealthEventKind.FAILED_IN_A_ROW}
                if not due[each]:
                    del due[each]
        tx.after_commit(lambda: self.runs.looked(suspects, now))

    async def _apply(self, tx: Write, step: "_Step", now: int) -> None:
        endpoint = step.endpoint
        match step.action:
            case _Action.CLEAR:
                await self._reporter.clear(tx, endpoint, now)
            case _Action.BEGIN_RUN:
                await self._reporter.begin_run(tx, endpoint, now)
            case _Action.BEGIN:
                await health.begin(tx, endpoint.id, now, now + self._window)
            case _Action.COUNT:
                await health.count(tx, endpoint.id, now, (endpoint.record.failing_since or now) + self._window)
            case _Action.UNREACHABLE:
                await health.unreachable(tx, endpoint.id, now)
            case _Action.DISABLE | _Action.DISABLE_BY_RECEIVER | _Action.GONE:
                await self._disable(tx, endpoint, now, _REASONS[step.action])
            case _Action.NOTHING:
                pass

    async def _disable(self, tx: Write, endpoint: EndpointHealth, now: int, reason: EndpointDisabledReason) -> None:
        if await health.disable(tx, endpoint.id, now, reason):
            await routing.record_history(tx, endpoint.id, now)
            await self._reporter.report_disabled(tx, endpoint, now)

    def _remember(self, steps: Sequence["_Step"], deleted: Iterable[str], now: int) -> None:
        self.failing.difference_update(deleted)
        if len(self._recorded_at) >= _REMEMBERED:
            self._recorded_at.clear()
        for step in steps:
            endpoint_id = step.endpoint.id
            self._recorded_at[endpoint_id] = now
            if step.action in _STARTS:
                self.failing.add(endpoint_id)
            elif step.action is not _Action.COUNT:
                self.failing.discard(endpoint_id)
                self._recorded_at.pop(endpoint_id, None)
            if step.action in _TRANSITIONS:
                transition(
                    "endpoint", endpoint_id, step.action.value, org=step.endpoint.org_id, app=step.endpoint.app_id
                )
                self._changed(step.endpoint.app_id)
            if step.action in _REASONS:
                self._disabled(endpoint_id)


class _Action(Enum):
    """A change to an endpoint's health; the value is the event in the log."""

    NOTHING = "unchanged"
    CLEAR = "recovered"
    BEGIN_RUN = "failed ten times in a row"
    BEGIN = "started failing"
    COUNT = "failed again"
    UNREACHABLE = "not responding"
    DISABLE = "disabled after lasting failure"
    DISABLE_BY_RECEIVER = "disabled by its receiver"
    GONE = "disabled after 410 Gone"


_RECORDED: Final = (
    frozenset(
        {
            HealthEventKind.EXHAUSTED,
            HealthEventKind.UNREACHABLE,
            HealthEventKind.SUCCEEDED,
            HealthEventKind.FAILED_IN_A_ROW,
        }
    )
    | DISABLING
)
_TRANSITIONS: Final = frozenset(_Action) - {_Action.NOTHING, _Action.COUNT}
_STARTS: Final = (_Action.BEGIN, _Action.BEGIN_RUN, _Action.UNREACHABLE)
_REASONS: Final = {
    _Action.DISABLE: EndpointDisabledReason.FAILING,
    _Action.DISABLE_BY_RECEIVER: EndpointDisabledReason.RECEIVER,
    _Action.GONE: EndpointDisabledReason.GONE,
}
_ACTIONS: Final = {
    ExhaustionVerdict.BEGIN: _Action.BEGIN,
    ExhaustionVerdict.COUNT: _Action.COUNT,
    ExhaustionVerdict.DISABLE: _Action.DISABLE,
}


@dataclass(frozen=True, slots=True)
class _Step:
    endpoint: EndpointHealth
    action: _Action


def _actions(endpoint: EndpointHealth, kinds: set[HealthEventKind], now: int, window: int) -> list[_Action]:
    """Return the changes that health events require; a success outweighs failures."""
    record = endpoint.record
    if endpoint.disabled:
        return [_Action.NOTHING]
    if HealthEventKind.DISABLE_REQUESTED in kinds:
        return [_Action.DISABLE_BY_RECEIVER]
    if HealthEventKind.GONE in kinds:
        return [_Action.GONE]
    found = [_Action.BEGIN_RUN] if HealthEventKind.FAILED_IN_A_ROW in kinds else []
    if HealthEventKind.SUCCEEDED in kinds:
        return [_Action.CLEAR if record.is_open else _Action.NOTHING, *found]
    if HealthEventKind.UNREACHABLE in kinds and record.unreachable_since is None:
        found.append(_Action.UNREACHABLE)
    if HealthEventKind.EXHAUSTED in kinds:
        found.append(_ACTIONS[judge_exhaustion(record.failing_since, now, window)])
    return found


async def _operational_events(tx: Write, events: Sequence[HealthEvent]) -> list[OperationalEvent]:
    app_uids = await health.app_uids(tx, sorted({event.receiver.app_id for event in events}))
    event_ids = await health.event_ids(tx, sorted({event.msg_id for event in events}))
    return [
        OperationalEvent(
            event.receiver.org_id,
            _OPERATIONAL[event.kind],
            {
                "appId": event.receiver.app_id,
                "appUid": app_uids.get(event.receiver.app_id),
                "msgId": event.msg_id,
                "msgEventId": event_ids.get(event.msg_id),
                "endpointId": event.receiver.id,
                "lastAttempt": {
                    "id": event.attempt_id,
                    "responseStatusCode": event.status_code,
                    "timestamp": rfc3339(ids.timestamp_of(event.attempt_id)),
                },
            },
        )
        for event in events
    ]
