# SPDX-License-Identifier: MIT
"""One process of the service: this module creates all parts and connects them.

The parts start in the order of their dependencies: database, delivery, tasks, API. On SIGTERM the API accepts no new
connections, delivery starts no new requests, and tasks finish their current chunk. Work in progress gets a few seconds.
Deliveries and tasks that remain are handed back to the database for the next process. `shutdown_grace` limits the whole
shutdown.
"""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from tidings import terms
from tidings.api.access_log import AccessLog
from tidings.api.auth import Gatekeeper
from tidings.api.context import Context
from tidings.api.ratelimit import Limiter
from tidings.api.request_log import RequestObserver, RequestObservers
from tidings.api.request_spans import RequestSpans
from tidings.clock import SECOND, Clock, SharedClock, SystemClock
from tidings.core.accept import AcceptBatcher
from tidings.core.access import TokenSecrets
from tidings.core.clock_watch import ClockWatch
from tidings.core.delivery_sink import NO_DELIVERY
from tidings.core.heartbeat import Heartbeat
from tidings.core.idempotency import Idempotency
from tidings.core.keyring import Keyring
from tidings.core.nodes import Nodes
from tidings.core.notifier import Notifier
from tidings.core.routing import RoutingCache
from tidings.core.services import Services
from tidings.core.signing import require_main_secret
from tidings.core.task_watcher import TaskWatcher
from tidings.delivery.role import DeliveryRole
from tidings.model.encryption import Encryption
from tidings.model.lease import new_node
from tidings.model.signature import SignatureType
from tidings.observe import RepeatedWork, failure
from tidings.process.http import HttpServer
from tidings.process.reports import StopReport, log_start
from tidings.process.stopping import ShutdownBudget, Stop, within
from tidings.sandbox.pool import Sandbox
from tidings.server.extension import Extension
from tidings.server.housekeeping import housekeeping_of
from tidings.server.http import http_server
from tidings.server.mailing import mail_loop
from tidings.server.portal import live_parts, pages
from tidings.server.relaying import relay_loop
from tidings.settings import Settings
from tidings.spans import spans
from tidings.storage.drivers.database import Database, StorageError
from tidings.storage.tables import nodes
from tidings.tasks.catch_up import CATCHING_UP
from tidings.tasks.estimator import Estimator
from tidings.tasks.handler import Handler
from tidings.tasks.registry import FIRST_RATES, KINDS, handlers
from tidings.tasks.runner import Runner

_SWITCH_SECONDS: Final = 0.0005
"""The interpreter's switch interval: the longest wait of a database thread for the GIL that the event loop holds."""
_LATELY_MS: Final = 30 * SECOND
_HANDING_BACK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a process. A large installation runs separate processes for them."""

    api: bool = True
    delivery: bool = True
    tasks: bool = True

    @property
    def text(self) -> str:
        """The roles, separated by commas."""
        return ",".join(name for name in ("api", "delivery", "tasks") if getattr(self, name))


def node_name(number: int) -> str:
    """Return the name of this process: host, process id and the node's number."""
    return f"{os.uname().nodename}:{os.getpid()}:{number:08x}"


class Reporter(Protocol):
    """Reports what a node does, from its start until everything else has stopped."""

    def start(self) -> list[asyncio.Task[None]]:
        """Start, and return the loops to cancel at the stop."""
        ...

    async def finish(self) -> None:
        """Report for the last time."""
        ...


class Node:
    """The parts of one process, and their start and stop."""

    reporter: Reporter | None = None

    def __init__(
        self,
        settings: Settings,
        roles: Roles,
        db: Database,
        secrets: TokenSecrets,
        number: int | None = None,
        extension: Extension | None = None,
    ) -> None:
        """`number` is part of the node's name and of its lease tokens."""
        self._settings = settings
        self._roles = roles
        self.db = self._db = db
        self._shared = SharedClock(SystemClock())
        self.clock: Clock = self._shared
        self._clock = self.clock
        self._notifier = Notifier()
        self._encryption = Encryption(settings.main_secret, SignatureType(settings.default_signature_type))
        self._routing = RoutingCache(db, self._encryption)
        self._keyring = Keyring(db, self._clock)
        self._housekeeping = housekeeping_of(settings, db, self._clock, self._notifier, self._encryption)
        self._node = new_node() if number is None else number
        self._heartbeat_work = RepeatedWork("the heartbeat query")
        self.heartbeat = self._heartbeat = Heartbeat(db, self._clock, self._node)
        self._sandbox = Sandbox(terms.sandbox(settings))
        options = terms.delivery(settings)
        delivery = partial(DeliveryRole, db, self._clock, self._routing, options, node=self._node)
        self._delivery = delivery(sandbox=self._sandbox) if roles.delivery else None
        sink = NO_DELIVERY if self._delivery is None else self._delivery.sink
        self._acceptor = AcceptBatcher(db, self._clock, self._routing, sink)
        kinds = handlers(self._clock, self._notifier)
        worker = node_name(self._node)
        limits = terms.tasks(settings)
        # A process without the role works on no task, and requeues tasks with expired leases.
        self._runner = Runner(db, self._clock, limits if roles.tasks else replace(limits, slots=0), kinds, worker)
        self._nodes = self._make_nodes(db, worker, self._runner)
        self._relay = relay_loop(settings, db, self._clock, self._notifier, secret=secrets.current, node=self._node)
        self._mails = mail_loop(settings, db, self._clock)
        self._task_watcher: TaskWatcher | None = None
        self._access_log = AccessLog(self._clock) if settings.access_log else None
        self._live = live_parts(db)
        self._http = self._make_http(secrets, kinds, extension) if roles.api else None
        self._chores: list[asyncio.Task[None]] = []
        self._wire()

    def _wire(self) -> None:
        """Connect the wake-ups of use cases to the parts that do the work."""
        self._notifier.routing = self._routing.drop
        self._notifier.keys = self._keyring.drop
        if self._task_watcher is not None:
            self._keyring.on_change = self._recheck_access
        if self._delivery is not None:
            self._notifier.deliveries = self._delivery.wake_replays
            self._notifier.endpoints = self._delivery.refresh
        self._notifier.tasks = self._runner.wake

    def _recheck_access(self) -> None:
        """Make the open streams check their access: an API key was changed."""
        self._live.recheck_access()
        if self._task_watcher is not None:
            self._task_watcher.recheck_access()

    def _make_nodes(self, db: Database, worker: str, runner: Runner) -> Nodes | None:
        """Return the liveness and takeover of nodes, or None if the database has no liveness locks.

        A node of any role requeues the tasks of a lost node, because it may be the first to notice.
        """
        liveness_lock = nodes.liveness_lock(db, self._node, worker)
        if liveness_lock is None:
            return None
        return Nodes(db, self._clock, liveness_lock, freed=self._freed, requeue=runner.take_over)

    def _freed(self) -> None:
        """Claim the deliveries of a lost node."""
        if self._delivery is not None:
            self._delivery.schedule.wake()

    def _make_http(
        self, secrets: TokenSecrets, kinds: Mapping[str, Handler], extension: Extension | None
    ) -> HttpServer:
        settings = self._settings
        services = Services(
            self._db,
            self._clock,
            self._notifier,
            Idempotency(self._db, self._clock),
            KINDS,
            self._encryption,
            settings.endpoints_per_application,
            lambda: None if self._delivery is None else self._delivery.oldest_attempt(),
            oldest_message=self._acceptor.oldest_message,
            heartbeat=self._heartbeat,
            sandbox=self._sandbox,
        )
        context = Context(
            services=services,
            acceptor=self._acceptor,
            gatekeeper=Gatekeeper(secrets, self._clock, settings.jwt_algorithm, keyring=self._keyring),
            portal_url=(settings.app_portal_url or "").rstrip("/") or None,
            max_body_bytes=settings.max_body_bytes,
            https_only=settings.endpoint_https_only,
            observers=self._observers(),
            limiter=Limiter(settings.request_rate_limit, self._clock) if settings.request_rate_limit else None,
            attempts_max=len(settings.retry_schedule) + 1,
            catching_up=CATCHING_UP,
            estimate=Estimator(self._db, self._clock, kinds, FIRST_RATES).estimate,
        )
        self._task_watcher = context.task_watcher
        return http_server(settings, context, pages(settings, context, secrets, self._live, extension))

    def _observers(self) -> RequestObservers | None:
        found: list[RequestObserver] = [] if self._access_log is None else [self._access_log]
        if spans.recorder is not None:
            found.append(RequestSpans(self._clock))
        return RequestObservers(self._clock, tuple(found)) if found else None

    async def prepare(self) -> None:
        """Raise `DecryptionError` if the main secret is not the one of this database."""
        await require_main_secret(self._db, self._encryption)

    async def run(
        self, stop: Stop, listener: socket.socket | None, *, on_ready: Callable[[], None] | None = None
    ) -> None:
        """Start all parts, call `on_ready`, work until the stop is requested, and stop them."""
        await self._housekeeping.run_once()
        await self._join()
        if self._delivery is not None:
            await self._delivery.start()
            self._chores.append(asyncio.create_task(self._relay.run()))
            self._chores.append(asyncio.create_task(self._mails.run()))
        await self._runner.start()
        self._chores.append(asyncio.create_task(self._heartbeat.run(self._run_heartbeat_query)))
        self._chores += [asyncio.create_task(each) for each in self._housekeeping.loops(self._keyring)]
        self._chores.append(
            asyncio.create_task(ClockWatch(self._db, self._clock, repaired=self._look_for_due_work).run())
        )
        if self.reporter is not None:
            self._chores += self.reporter.start()
        serving = None
        if self._http is not None and listener is not None:
            self._http.on_started = on_ready
            serving = asyncio.create_task(self._http.serve(sockets=[listener]))
        elif on_ready is not None:
            on_ready()
        log_start(self._settings, self._roles.text, None if listener is None else listener.getsockname())
        gc.collect()
        gc.freeze()  # everything allocated so far lives until the end, so the collector can skip it
        gc.set_threshold(50_000, 20, 100)
        sys.setswitchinterval(_SWITCH_SECONDS)
        await stop.requested.wait()
        report = StopReport(self._clock, stop.reason)
        await self._stop(serving)
        report.log_end()

    async def _stop(self, serving: asyncio.Task[None] | None) -> None:
        """Stop the parts in order. Each step gets the remaining time budget."""
        budget = ShutdownBudget(self._settings.shutdown_grace, _HANDING_BACK_SECONDS)
        for chore in self._chores:
            chore.cancel()
        if self._delivery is not None:
            self._delivery.quiesce()
        ending: dict[str, Awaitable[object]] = {"tasks": asyncio.create_task(self._runner.stop(grace=budget.free()))}
        closing: dict[str, Awaitable[object]] = {} if serving is None else {"requests": serving}
        if self._http is not None and self._task_watcher is not None:
            self._http.should_exit = True
            self._live.close()
            closing["task_watcher"] = self._task_watcher.close()
        await within(budget.free(), **closing)
        await within(budget.free(), accepting=self._acceptor.close())
        if self._delivery is not None:
            ending["delivery"] = self._delivery.stop(grace=budget.free())
        ending["key uses"] = self._keyring.record_uses()
        await within(budget.left(), **ending, chores=asyncio.gather(*self._chores, return_exceptions=True))
        await within(budget.left(), scripts=self._sandbox.close())
        if self._nodes is not None:
            await within(budget.left(), leaving=self._nodes.leave())
        await self._report_last(budget)

    async def _report_last(self, budget: ShutdownBudget) -> None:
        """Report all counts and records for the last time."""
        if self._access_log is not None:
            self._access_log.flush()
        if self.reporter is not None:
            await within(budget.left(), reporting=self.reporter.finish())
        if spans.recorder is not None:
            await spans.recorder.close(budget.left())

    def gauges(self) -> dict[str, float]:
        """Return the present numbers of the parts, by the names of their metrics."""
        found: dict[str, float] = {}
        if self._delivery is not None:
            queues = self._delivery.queues
            found |= {"deliveries_in_memory": queues.held, "sends_in_flight": queues.in_flight}
        found["transformation_processes"] = len(self._sandbox.processes)
        found["transformations_waiting"] = self._sandbox.waiting
        if self._http is not None:
            found["api_connections"] = len(self._http.server_state.connections)
        return found

    def _look_for_due_work(self) -> None:
        """Look for due work again, after a correction of due times."""
        if self._delivery is not None:
            self._delivery.schedule.wake()
        self._runner.wake()

    async def _join(self) -> None:
        """Take the liveness lock before the first lease: no node takes over the leases of a node that never held it."""
        if self._nodes is None:
            return
        try:
            await self._nodes.join()
        except StorageError as error:
            failure("taking the liveness lock", error)

    async def _run_heartbeat_query(self) -> None:
        """Read the changes that other nodes made. Runs once a second, on PostgreSQL only."""
        try:
            async with self._db.read() as read:
                requested_at = self._clock.monotonic()
                found = await nodes.heartbeat(
                    read,
                    since=self._clock.now() - _LATELY_MS,
                    keys_since=self._keyring.heard_since,
                    node=self._node,
                )
                self._shared.adjust(found.now, took=int((self._clock.monotonic() - requested_at) * SECOND))
            self._keyring.hear(found.keys, found.keys_deleted, asked_at=requested_at, now=found.now)
            self._apply(found)
            if self._nodes is not None:
                await self._nodes.check(found.lost, is_known=found.is_known)
        except Exception as error:  # noqa: BLE001 - the next heartbeat tries again
            self._heartbeat_work.failed(error)
        else:
            self._heartbeat_work.passed()

    def _apply(self, found: nodes.HeartbeatResult) -> None:
        for app_id, version in found.changed.items():
            self._routing.drop_older(app_id, version)
        if self._delivery is not None and found.deliveries_at is not None:
            self._delivery.schedule.due_at(found.deliveries_at)
        if found.tasks_at is not None and found.tasks_at <= found.now:
            self._runner.wake()
        if found.has_events:
            self._relay.wake()
