# SPDX-License-Identifier: MIT
"""The relay: makes messages of stored operational events, for the operational endpoints of their organizations.

One transaction deletes events and inserts their messages with deliveries, so none is lost or doubled. The deliveries
have no leases; the dispatcher is woken after the commit. An event that no endpoint wants is deleted and makes no
message, and an endpoint gets no event that is older than itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidings import ids
from tidings.clock import Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.core.operational import RETENTION_MS
from tidings.core.tuning import CoreTuning
from tidings.failpoint import point
from tidings.ids import MANAGEMENT_ORG, AppId, MessageId
from tidings.model.message import AcceptedMessage, Draft
from tidings.model.routing import filtered, label_mismatch
from tidings.storage.drivers.database import Database, Write, retried
from tidings.storage.tables import intake, operational_events
from tidings.storage.tables.intake import DeliveryRow
from tidings.storage.tables.operational_events import OperationalEndpoint, StoredEvent


@dataclass(frozen=True, slots=True)
class Relay:
    """Makes messages of operational events."""

    db: Database
    clock: Clock
    notifier: Notifier
    tuning: CoreTuning = CoreTuning()

    async def pass_on(self) -> bool:
        """Make messages of the oldest events, in one transaction; return whether there may be more events."""
        await self.db.give_way(self.tuning.relay_give_way_seconds)
        return await retried(self._transaction)

    async def close(self) -> None:
        """Do nothing: there are no connections to close."""

    async def _transaction(self) -> bool:
        async with self.db.write(background=True) as tx:
            taken = await operational_events.take(tx, self.tuning.relay_events)
            if not taken:
                return False
            point("relay.after_delete")
            found = list(_addressed(taken, await _endpoints_of(tx, taken)))
            fitting = _fitting(found, self.tuning.relay_deliveries)
            await operational_events.put_back(tx, [each.event for each in found[fitting:]])
            await self._send(tx, found[:fitting])
            point("relay.before_commit")
        point("relay.after_commit")
        return len(taken) == self.tuning.relay_events or fitting < len(found)

    async def _send(self, tx: Write, found: Sequence["_Addressed"]) -> None:
        now = self.clock.now()
        messages = [(each.message(now), each) for each in found if each.receivers]
        if not messages:
            return
        await intake.add(tx, [message for message, _ in messages])
        rows = [
            DeliveryRow.of(message, receiver.id, now)
            for message, each in messages
            for receiver in each.receivers
            if not receiver.disabled
        ]
        await intake.add_deliveries(tx, rows)
        woken = sorted({row.endpoint_id for row in rows})
        notify_after_commit(tx, lambda: self.notifier.deliveries(woken))


@dataclass(frozen=True, slots=True)
class _Addressed:
    """An event and the endpoints that want it. Those that are disabled now can still be sent it by a replay."""

    event: StoredEvent
    receivers: tuple[OperationalEndpoint, ...]

    def message(self, now: int) -> AcceptedMessage:
        """Return the message to store."""
        draft = Draft(self.event.type, self.event.payload.encode(), None, None, RETENTION_MS)
        app_id = AppId(self.receivers[0].app_id)
        return draft.accepted(MessageId(ids.new(ids.MESSAGE, now)), app_id, MANAGEMENT_ORG, now)


async def _endpoints_of(tx: Write, events: Sequence[StoredEvent]) -> dict[str, list[OperationalEndpoint]]:
    """Return the operational endpoints of the organizations of events."""
    found: dict[str, list[OperationalEndpoint]] = {}
    for each in await operational_events.endpoints(tx, sorted({event.org_id for event in events})):
        found.setdefault(each.org_id, []).append(each)
    return found


def _addressed(events: Sequence[StoredEvent], known: dict[str, list[OperationalEndpoint]]) -> Iterator[_Addressed]:
    for event in events:
        timestamp = ids.timestamp_of(event.id)
        candidates = [
            each
            for each in known.get(event.org_id, ())
            if each.created_at <= timestamp and label_mismatch(each, event.type, None) is None
        ]
        yield _Addressed(event, filtered(candidates, event.payload.encode()) if candidates else ())


def _fitting(found: Sequence[_Addressed], most: int) -> int:
    """Return how many events fit in one transaction: at least one, and within `most` deliveries."""
    deliveries = 0
    for count, each in enumerate(found):
        deliveries += len(each.receivers)
        if deliveries > most and count:
            return count
    return len(found)
