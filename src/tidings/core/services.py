# SPDX-License-Identifier: MIT
"""The services that use cases receive, and the mapping of database errors to responses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidings import observe
from tidings.clock import Clock
from tidings.core.heartbeat import Heartbeat
from tidings.core.idempotency import Idempotency
from tidings.core.notifier import Notifier
from tidings.core.prepared_deliveries import PreparedDeliveries
from tidings.core.tuning import CoreTuning
from tidings.errors import AppError, conflict, unavailable
from tidings.ids import STEP_MS, OrgId
from tidings.model.encryption import NO_ENCRYPTION, Encryption
from tidings.model.message import AcceptedMessage, Draft
from tidings.model.task_kind import NO_KINDS, TaskKinds
from tidings.sandbox.pool import Sandbox
from tidings.storage.drivers.database import Busy, Database, Duplicate, Unavailable, Write

AcceptResult = AcceptedMessage | AppError
"""The result of accepting a message: stored or refused."""
AcceptCallback = Callable[[AcceptResult], None]
"""Receives the result of accepting a message, once."""


@dataclass(slots=True, eq=False)
class HotRequest:
    """A request to create one message, without its body. Treat it as immutable."""

    org_id: OrgId
    app_ref: str
    """The id or the uid of the application."""
    idempotency_key: str | None
    """The key of the request, unique over all callers and routes."""
    with_content: bool = True
    """Whether the response includes the payload; accept does not read it."""
    id: bytes = b""
    """The request id, for log lines."""


class Acceptor(Protocol):
    """Stores messages and passes their deliveries to a sink."""

    async def accept(self, request: HotRequest, draft: Draft) -> AcceptedMessage:
        """Store a message with its deliveries, once for each idempotency key."""
        ...

    def offer(self, request: HotRequest, draft: Draft, callback: AcceptCallback) -> bool:
        """Take a message without waiting and report its result; return False if the caller has to use `accept`."""
        ...

    async def fitting(self, org_id: OrgId, app_ref: str, drafts: Sequence[Draft]) -> int:
        """Return how many of these messages fit in one transaction; raise `AppError` for too many deliveries."""
        ...

    def preparing(self) -> PreparedDeliveries:
        """Return the context manager for the deliveries that `accept_many` prepares in one transaction."""
        ...

    async def accept_many(
        self, tx: Write, org_id: OrgId, app_ref: str, drafts: Sequence[Draft], prepared: PreparedDeliveries
    ) -> list[AcceptResult]:
        """Store many messages of one application in an open transaction, each with its own result."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The dependencies of use cases: database, clock, notifier, idempotency records and encryption."""

    db: Database
    clock: Clock
    notifier: Notifier
    idempotency: Idempotency
    kinds: TaskKinds = NO_KINDS
    """The kinds of background tasks of this release."""
    encryption: Encryption = NO_ENCRYPTION
    endpoints_max: int = 5_000
    """The most endpoints that an application may have."""
    oldest_attempt: Callable[[], int | None] = lambda: None
    """Returns the start of this process's oldest attempt that is not stored yet, or None."""
    oldest_message: Callable[[], int | None] = lambda: None
    """Returns the time of the oldest message whose id is older than its transaction, while it is stored, or None."""
    heartbeat: Heartbeat | None = None
    sandbox: Sandbox = field(default_factory=Sandbox)
    """Runs the scripts of transformations; without one it has no process."""
    tuning: CoreTuning = CoreTuning()

    async def is_healthy(self) -> bool:
        """Return whether the database accepts writes, by the latest heartbeat."""
        return await (self.heartbeat or Heartbeat(self.db, self.clock)).is_good()

    def now(self) -> int:
        """Return the wall time at the resolution of ids, so that a new row has the same timestamp as its id."""
        return self.clock.now() // STEP_MS * STEP_MS


def as_app_error(error: Exception) -> AppError | None:
    """Return the response error for an exception, or None for an internal error."""
    match error:
        case AppError():
            return error
        case Unavailable():
            observe.outage.failed("answering a request", error)
            return unavailable("The database is not available; repeat the request later.")
        case Busy():
            return unavailable("The database is too busy; repeat the request later.")
        case Duplicate():
            return conflict()
        case _:
            return None
