# SPDX-License-Identifier: MIT
"""The delivery role of a process: creates the parts of delivery, and starts and stops them in order."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tidings.clock import HOUR, SECOND, Clock
from tidings.core.delivery_sink import DeliverySink
from tidings.core.health_recorder import DISABLING, HealthEvent, HealthEventKind, HealthRecorder
from tidings.core.routing import RoutingCache
from tidings.core.state_changes import StateReporter
from tidings.delivery.address import AddressPolicy
from tidings.delivery.budget import MemoryLimits
from tidings.delivery.claim import Claimer, ClaimParts, LeaseTerms
from tidings.delivery.claim_schedule import ClaimSchedule
from tidings.delivery.client import Client, PoolLimits
from tidings.delivery.dial import tls_context
from tidings.delivery.endpoint_queues import EndpointQueues
from tidings.delivery.outcome import SendResult
from tidings.delivery.proxy import Proxy
from tidings.delivery.sender import Sender, SendOptions
from tidings.delivery.settle import SettleBatcher
from tidings.delivery.sink import QueueSink
from tidings.delivery.throttle import Pacer
from tidings.delivery.transforming import Transforming, TransformingParts
from tidings.delivery.tuning import DeliveryTuning
from tidings.ids import STEP_MS, timestamp_of
from tidings.model.lease import Leases, new_node
from tidings.sandbox.pool import Sandbox
from tidings.storage.drivers.database import Database
from tidings.storage.tables import deliveries

_ALL: Final = 2**62
_CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """The delivery settings of one process."""

    policy: AddressPolicy
    schedule: tuple[int, ...]
    timeout: float
    """Seconds until the head of a response is due."""
    lease_grace: float
    """Seconds from the timeout to the lease expiry, shared by the response body, the wait in memory, and settling."""
    concurrency: int
    memory: int
    memory_bytes: int = 128 * 1024 * 1024
    """The maximum number of bytes of large payloads in memory."""
    in_flight: int = 4_000
    """The maximum number of sends in flight to all endpoints."""
    disable_after_ms: int = 120 * HOUR
    """Milliseconds for which an endpoint may exhaust deliveries, without a success, before it is disabled."""
    proxy: Proxy | None = None
    verify_tls: bool = True
    whitelabel: bool = False
    gone_disables: bool = True
    attempt_headers: bool = False
    """Whether the headers of successful attempts are recorded, too."""
    mails: bool = False
    """Whether changes of the state of endpoints are mailed."""

    @property
    def lease_ms(self) -> int:
        """The duration of a lease, in milliseconds."""
        return int((self.timeout + self.lease_grace) * SECOND)

    @property
    def body_grace(self) -> float:
        """Seconds that the body of a response may take after its head was due."""
        return min(5.0, self.lease_grace / 5)

    @property
    def max_wait(self) -> float:
        """Seconds that a delivery may wait in memory, short enough that its send ends within its lease."""
        return (self.lease_grace - self.body_grace) / 2


class DeliveryRole:
    """Claims, sends and settles the deliveries of one process."""

    def __init__(  # noqa: PLR0913 - the parts of a process that delivery uses
        self,
        db: Database,
        clock: Clock,
        routing: RoutingCache,
        options: DeliveryOptions,
        *,
        node: int | None = None,
        sandbox: Sandbox | None = None,
        tuning: DeliveryTuning = DeliveryTuning(),
    ) -> None:
        """`node` is the number of this process, which is part of its lease tokens. `sandbox` runs transformations."""
        self._db = db
        self._clock = clock
        self._options = options
        self._leases = Leases(new_node() if node is None else node)
        limits = PoolLimits(
            grace_seconds=options.body_grace,
            connections_per_origin=options.concurrency,
            idle_per_origin=options.concurrency,
        )
        tls = tls_context(verify=options.verify_tls)
        self._client = Client(
            options.policy, timeout_seconds=options.timeout, limits=limits, proxy=options.proxy, tls=tls
        )
        reporter = StateReporter(mails=options.mails)
        self.health = HealthRecorder(
            options.disable_after_ms, changed=routing.drop, disabled=self._evict, reporter=reporter
        )
        self.schedule = ClaimSchedule(clock, tuning)
        self.settler = SettleBatcher(db, clock, self.health, self.schedule, tuning)
        send_options = SendOptions(options.schedule, options.whitelabel, options.gone_disables, options.attempt_headers)
        sender = Sender(self._client, clock, send_options, self, self.health.failing)
        memory_limits = MemoryLimits(
            options.concurrency, options.memory, options.max_wait, options.memory_bytes, options.in_flight
        )
        self.queues = EndpointQueues(memory_limits, clock, sender, self.settler, self.schedule, tuning)
        self.settler.count_in(self.queues.budget)
        parts_of_scripts = TransformingParts(db, clock, sandbox or Sandbox(), options.max_wait, routing.encryption)
        self._transforming = Transforming(parts_of_scripts, sender, self, self.queues.budget)
        sender.transforming = self._transforming
        self.pacer = Pacer(clock, self.queues)
        parts = ClaimParts(self.schedule, self.queues, self.pacer, self.settler)
        lease_terms = LeaseTerms(self._leases, options.lease_ms)
        self._claimer = Claimer(db, clock, routing, parts, lease_terms, tuning)
        self.sink: DeliverySink = QueueSink(self.queues, self.schedule, self._leases, options.lease_ms)
        self._claiming: asyncio.Task[None] | None = None

    def oldest_attempt(self) -> int | None:
        """Return the start of the oldest attempt that is in flight or not written yet, rounded down; None if none.

        The result is early by up to two steps of the timestamps in ids, and never late.
        """
        started, unwritten = self.queues.oldest_start(), self.settler.oldest_attempt()
        found = [] if unwritten is None else [timestamp_of(unwritten)]
        if started is not None:
            found.append(self._clock.now() - int((self._clock.monotonic() - started) * SECOND) - 2 * STEP_MS)
        return min(found, default=None)

    def wake_replays(self, endpoint_ids: Iterable[str]) -> None:
        """Claim due replays of endpoints once their queues have capacity; live deliveries take precedence."""
        if unfilled := [each for each in endpoint_ids if not self.queues.record_replay_backlog(each)]:
            self.schedule.wake_for(unfilled)

    def refresh(self, endpoint_ids: Iterable[str]) -> None:
        """Return the waiting deliveries of endpoints that were changed, disabled or deleted, and claim again."""
        for endpoint_id in endpoint_ids:
            self._return_unsent(endpoint_id)
        self.schedule.wake()

    def ended(self, result: SendResult) -> None:
        """Settle the result of a send, and start the endpoint's next one."""
        self.settler.add(result)
        receiver = result.delivery.receiver
        if result.health_events and any(event.kind in DISABLING for event in result.health_events):
            self._return_unsent(receiver.id)
        if self.queues.finish(result.delivery, unanswered=result.unanswered):
            result.health_events = (*result.health_events, HealthEvent(HealthEventKind.UNREACHABLE, receiver))

    async def start(self) -> None:
        """Start claiming. If this process is the only writer, first free all leases: an earlier process held them."""
        if self._db.has_one_writer:
            await self._free_leases()
        self._claiming = asyncio.create_task(self._claimer.run())

    def quiesce(self) -> None:
        """Stop claiming and starting sends, and return the waiting deliveries unsent."""
        self.schedule.close()
        self.settler.return_unsent(self.queues.close())
        self.queues.return_paced(self.pacer.close())
        self._transforming.return_waiting()

    async def stop(self, *, grace: float) -> None:
        """Quiesce, wait up to `grace` seconds for sends in flight, settle them, and return the rest unsent."""
        self.quiesce()
        await self.queues.wait_empty(grace)
        self.settler.return_unsent(self.queues.cancel_all())
        await asyncio.gather(self._client.close(), self._settled())

    async def _settled(self) -> None:
        if self._claiming is not None:
            await asyncio.wait([self._claiming])  # even if it failed, the sends that ended must be settled
        await self.settler.close()

    async def _free_leases(self) -> None:
        freed = _CHUNK
        while freed:
            async with self._db.write(background=True, synced=False) as tx:
                freed = await deliveries.return_expired(tx, before=_ALL, now=self._clock.now(), limit=_CHUNK)

    def _evict(self, endpoint_id: str) -> None:
        """Return the waiting deliveries of a disabled endpoint; the next claim discards them."""
        self._return_unsent(endpoint_id)
        self.schedule.wake()

    def _return_unsent(self, endpoint_id: str) -> None:
        """Return the deliveries of an endpoint that wait, or whose request a script still has to make."""
        self.queues.evict(endpoint_id)
        self.pacer.evict(endpoint_id)
        self._transforming.evict(endpoint_id)
