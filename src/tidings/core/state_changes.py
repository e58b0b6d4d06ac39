# SPDX-License-Identifier: MIT
"""Changes of the state of an endpoint: it is failing, will be disabled, is disabled, or has recovered.

Each is reported once, in the transaction that stores it: as an operational event, and as a notification if mails are
sent. A condition on the stored state, in the statement that writes it, decides which of several nodes reports.
"""

from dataclasses import dataclass
from typing import Any, Final

from tidings.clock import rfc3339
from tidings.core import operational
from tidings.failpoint import point
from tidings.model.health import FailedAttempt, warning_level
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import attempts, health, notifications
from tidings.storage.tables.health import EndpointHealth

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class StateReporter:
    """Writes the state changes of endpoints, and reports them."""

    mails: bool = False
    """Whether this installation sends mails about them."""

    async def begin_run(self, tx: Write, endpoint: EndpointHealth, now: int) -> None:
        """Record that the last attempts at an endpoint all failed, and report it unless that was done."""
        recent = (await attempts.recent_attempts(tx, [endpoint.id], now)).get(endpoint.id)
        since = now if recent is None or recent.failing_since is None else recent.failing_since
        if await health.begin_run(tx, endpoint.id, since):
            last = None if recent is None else recent.last_error
            more = {"failSince": rfc3339(since), "lastAttempt": None if last is None else _attempt(last)}
            await self._report(tx, endpoint, operational.ENDPOINT_FAILING, more, now)

    async def clear(self, tx: Write, endpoint: EndpointHealth, now: int) -> None:
        """End the failure record of an endpoint after a success, and report it if its failures were reported."""
        if await health.clear(tx, endpoint.id):
            await self._report(tx, endpoint, operational.ENDPOINT_RECOVERED, {"failSince": _since(endpoint)}, now)

    async def report_disabled(self, tx: Write, endpoint: EndpointHealth, now: int) -> None:
        """Report that the service has disabled an endpoint."""
        since = endpoint.record.failing_since
        more = {"failSince": None if since is None else rfc3339(since), "trigger": "automatic"}
        await self._report(tx, endpoint, operational.ENDPOINT_DISABLED, more, now)

    async def warn_of_disabling(self, db: Database, now: int) -> int:
        """Report the endpoints that have reached a further level of the time until they are disabled; return how many.

        If several levels were reached since the last look, the highest one is reported.
        """
        warned, found = 0, _CHUNK
        while found == _CHUNK:
            async with db.read() as read:
                endpoints = await health.to_warn(read, now, limit=_CHUNK)
            found = len(endpoints)
            if endpoints:
                async with db.write(background=True) as tx:
                    warned += sum([await self._warn(tx, endpoint, now) for endpoint in endpoints])
                point("warning.after_commit")
        return warned

    async def _warn(self, tx: Write, endpoint: EndpointHealth, now: int) -> bool:
        record = endpoint.record
        level = warning_level(record, now)
        if level is None or record.failing_since is None or record.disables_at is None:
            return False
        percent, reached_at = level
        if not await health.warn(tx, endpoint.id, now, since=record.failing_since, level_at=reached_at):
            return False
        more = {"failSince": _since(endpoint), "disablesAt": rfc3339(record.disables_at), "percent": percent}
        await self._report(tx, endpoint, operational.ENDPOINT_DISABLING, more, now)
        return True

    async def _report(self, tx: Write, endpoint: EndpointHealth, type_: str, more: dict[str, Any], now: int) -> None:
        data = {
            "appId": endpoint.app_id,
            "appUid": endpoint.app_uid,
            "endpointId": endpoint.id,
            "endpointUid": endpoint.uid,
            **more,
        }
        point("state_change.before_event")
        await operational.emit(tx, endpoint.org_id, type_, data, now)
        if self.mails:
            await notifications.add(tx, endpoint.id, type_, endpoint.org_id, data, now)
        point("state_change.after_event")


EVENTS_ONLY: Final = StateReporter()


def _since(endpoint: EndpointHealth) -> str | None:
    """Return when the failures of an endpoint began, as far as they were stored."""
    record = endpoint.record
    since = (record.run_failing_since, record.failing_since)
    began = min((each for each in since if each is not None), default=None)
    return None if began is None else rfc3339(began)


def _attempt(failed: FailedAttempt) -> dict[str, Any]:
    return {"id": failed.id, "responseStatusCode": failed.status_code, "timestamp": rfc3339(failed.at)}
