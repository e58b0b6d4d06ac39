# SPDX-License-Identifier: MIT
"""The record of endpoints' failures, kept by whoever settles deliveries, in the transaction that settles them.

A healthy delivery leaves no sign and costs nothing here. Signs come when a message is in trouble or out of it, when
nothing answers at an endpoint, and when a receiver asks to be let alone. They become operational events, and few of
them writes to the endpoint: at most one a second, and at the beginning and the end of a record.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from tidings import ids
from tidings.clock import SECOND, rfc3339
from tidings.core import operational
from tidings.core.operational import Event
from tidings.ids import AppId
from tidings.model.health import Reason, Verdict, judged
from tidings.model.routing import Receiver
from tidings.observe import transition
from tidings.storage import apps, health
from tidings.storage.database import Write
from tidings.storage.health import Patient

FAILING_AFTER: Final = 4
"""Failed automatic attempts after which a message that has another one left is told to be failing."""
_REMEMBERED: Final = 10_000


class Trouble(Enum):
    """What a sign is a sign of."""

    FAILING = auto()
    EXHAUSTED = auto()
    RECOVERED = auto()
    ABORTED = auto()
    """The receiver wants this message no more; nobody takes that for a failure of the endpoint."""
    UNREACHABLE = auto()
    UNWANTED = auto()
    """The receiver wants nothing more."""
    GONE = auto()
    """The receiver answered 410 Gone."""
    WORKS = auto()


ENDING: Final = frozenset({Trouble.UNWANTED, Trouble.GONE})
"""What disables an endpoint at once."""
_TOLD: Final = {
    Trouble.FAILING: operational.ATTEMPT_FAILING,
    Trouble.EXHAUSTED: operational.ATTEMPT_EXHAUSTED,
    Trouble.ABORTED: operational.ATTEMPT_EXHAUSTED,
    Trouble.RECOVERED: operational.ATTEMPT_RECOVERED,
}


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that a send has shown of its endpoint or its message."""

    trouble: Trouble
    receiver: Receiver
    msg_id: str = ""
    attempt_id: str = ""
    status_code: int = 0


def _unheard(_identifier: str) -> None:
    """Stand in for somebody who is not told."""


class Ledger:
    """Writes signs down. `changed` is told of applications after the commit, `disabled` of endpoints."""

    def __init__(
        self,
        window: int,
        *,
        changed: Callable[[str], None] = _unheard,
        disabled: Callable[[str], None] = _unheard,
    ) -> None:
        self.marked: set[str] = set()
        """Endpoints with a record that a success would end."""
        self._window = window
        self._changed = changed
        self._disabled = disabled
        self._counted: dict[str, int] = {}

    async def write(self, tx: Write, signs: Sequence[Sign], now: int) -> None:
        """Write down what has shown itself."""
        told = [sign for sign in signs if sign.trouble in _TOLD]
        if told:
            await operational.emit_all(tx, await _events(tx, told), now)
        by_endpoint: dict[str, set[Trouble]] = {}
        for sign in signs:
            by_endpoint.setdefault(sign.receiver.id, set()).add(sign.trouble)
        grave = {each: troubles & _GRAVE for each, troubles in by_endpoint.items() if troubles & _GRAVE}
        due = {each: troubles for each, troubles in grave.items() if not self._is_fresh(each, troubles, now)}
        if due:
            urls: dict[str, str] = {sign.receiver.id: sign.receiver.url for sign in signs if sign.trouble in ENDING}
            await self._treat(tx, due, urls, now)

    def _is_fresh(self, endpoint_id: str, troubles: set[Trouble], now: int) -> bool:
        """Tell whether the same was written down less than a second ago."""
        last = self._counted.get(endpoint_id)
        return troubles == {Trouble.EXHAUSTED} and last is not None and 0 <= now - last < SECOND

    async def _treat(self, tx: Write, due: dict[str, set[Trouble]], urls: dict[str, str], now: int) -> None:
        """`urls` are those where receivers asked for an end; it does not concern an endpoint that has moved since."""
        patients = await health.find(tx, sorted(due))
        for endpoint_id in urls.keys() & patients.keys():
            if urls[endpoint_id] != patients[endpoint_id].url:
                due[endpoint_id] = due[endpoint_id] - ENDING
        steps = [
            _Step(patient, action)
            for patient in sorted(patients.values(), key=lambda each: each.id)
            for action in _actions(patient, due[patient.id], now, self._window)
        ]
        turns = [step for step in steps if step.action in _TURNS]
        for app_id in sorted({step.patient.app_id for step in turns}):
            await apps.touch(tx, AppId(app_id), now)
        for step in steps:
            await self._take(tx, step, now)
        gone = due.keys() - patients.keys()
        tx.after_commit(lambda: self._remember(steps, gone, now))

    async def _take(self, tx: Write, step: "_Step", now: int) -> None:
        patient = step.patient
        match step.action:
            case _Action.CLEAR:
                await health.clear(tx, patient.id)
            case _Action.BEGIN:
                await health.begin(tx, patient.id, now, now + self._window)
            case _Action.COUNT:
                await health.count(tx, patient.id, now, (patient.record.failing_since or now) + self._window)
            case _Action.UNREACHABLE:
                await health.unreachable(tx, patient.id, now)
            case _Action.DISABLE | _Action.TURN_OFF | _Action.GONE:
                await _disable(tx, patient, now, _REASONS[step.action])
            case _Action.NOTHING:
                pass

    def _remember(self, steps: Sequence["_Step"], gone: Iterable[str], now: int) -> None:
        self.marked.difference_update(gone)
        if len(self._counted) >= _REMEMBERED:
            self._counted.clear()
        for step in steps:
            endpoint_id = step.patient.id
            self._counted[endpoint_id] = now
            if step.action in _BEGINNINGS:
                self.marked.add(endpoint_id)
            elif step.action is not _Action.COUNT:
                self.marked.discard(endpoint_id)
                self._counted.pop(endpoint_id, None)
            if step.action in _TURNS:
                transition("endpoint", endpoint_id, step.action.value)
                self._changed(step.patient.app_id)
            if step.action in _REASONS:
                self._disabled(endpoint_id)


class _Action(Enum):
    """What is done about an endpoint."""

    NOTHING = "left as it is"
    CLEAR = "works again"
    BEGIN = "began to fail"
    COUNT = "failed again"
    UNREACHABLE = "does not answer"
    DISABLE = "disabled after lasting failure"
    TURN_OFF = "disabled by its receiver"
    GONE = "disabled after 410 Gone"


_GRAVE: Final = frozenset({Trouble.EXHAUSTED, Trouble.UNREACHABLE, Trouble.WORKS}) | ENDING
_TURNS: Final = frozenset(_Action) - {_Action.NOTHING, _Action.COUNT}
_BEGINNINGS: Final = (_Action.BEGIN, _Action.UNREACHABLE)
_REASONS: Final = {_Action.DISABLE: Reason.FAILING, _Action.TURN_OFF: Reason.RECEIVER, _Action.GONE: Reason.GONE}
_ACTIONS: Final = {Verdict.BEGIN: _Action.BEGIN, Verdict.COUNT: _Action.COUNT, Verdict.DISABLE: _Action.DISABLE}


@dataclass(frozen=True, slots=True)
class _Step:
    patient: Patient
    action: _Action


def _actions(patient: Patient, troubles: set[Trouble], now: int, window: int) -> list[_Action]:
    """Choose what to do about what an endpoint has shown; where it has shown several things, the best news counts."""
    record = patient.record
    if patient.disabled:
        return [_Action.NOTHING]
    if Trouble.UNWANTED in troubles:
        return [_Action.TURN_OFF]
    if Trouble.GONE in troubles:
        return [_Action.GONE]
    if Trouble.WORKS in troubles:
        return [_Action.CLEAR if record.is_open else _Action.NOTHING]
    found = []
    if Trouble.UNREACHABLE in troubles and record.unreachable_since is None:
        found.append(_Action.UNREACHABLE)
    if Trouble.EXHAUSTED in troubles:
        found.append(_ACTIONS[judged(record.failing_since, now, window)])
    return found


async def _disable(tx: Write, patient: Patient, now: int, reason: Reason) -> None:
    if not await health.disable(tx, patient.id, now, reason):
        return
    since = patient.record.failing_since
    data: dict[str, Any] = {
        "appId": patient.app_id,
        "appUid": patient.app_uid,
        "endpointId": patient.id,
        "endpointUid": patient.uid,
        "failSince": None if since is None else rfc3339(since),
        "trigger": "automatic",
    }
    await operational.emit(tx, patient.org_id, operational.ENDPOINT_DISABLED, data, now)


async def _events(tx: Write, signs: Sequence[Sign]) -> list[Event]:
    app_uids = await health.app_uids(tx, sorted({sign.receiver.app_id for sign in signs}))
    event_ids = await health.event_ids(tx, sorted({sign.msg_id for sign in signs}))
    return [
        Event(
            sign.receiver.org_id,
            _TOLD[sign.trouble],
            {
                "appId": sign.receiver.app_id,
                "appUid": app_uids.get(sign.receiver.app_id),
                "msgId": sign.msg_id,
                "msgEventId": event_ids.get(sign.msg_id),
                "endpointId": sign.receiver.id,
                "lastAttempt": {
                    "id": sign.attempt_id,
                    "responseStatusCode": sign.status_code,
                    "timestamp": rfc3339(ids.moment_of(sign.attempt_id)),
                },
            },
        )
        for sign in signs
    ]
