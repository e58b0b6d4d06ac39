# SPDX-License-Identifier: MIT
"""What use cases receive, and how the database's errors are reported to a caller."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tidings import observe
from tidings.clock import Clock
from tidings.core.delivery_sink import Prepared
from tidings.core.heartbeat import Heartbeat
from tidings.core.idempotency import Idempotency
from tidings.core.wake import Wake
from tidings.errors import AppError, conflict, unavailable
from tidings.ids import STEP_MS, OrgId
from tidings.model.message import Accepted, Draft
from tidings.model.vault import PLAIN, Vault
from tidings.storage.database import Busy, Database, Duplicate, Unavailable, Write

Outcome = Accepted | AppError
"""What became of a message: it is stored, or it is refused."""
Told = Callable[[Outcome], None]
"""Who is told what became of a message, once."""


class Acceptor(Protocol):
    """Whoever stores messages and hands them to delivery."""

    async def accept(self, org_id: OrgId, app_ref: str, draft: Draft, idempotency_key: str | None) -> Accepted:
        """Store a message of an application (by id or uid) with its deliveries, once for each idempotency key."""
        ...

    def offer(self, org_id: OrgId, app_ref: str, draft: Draft, idempotency_key: str | None, told: Told) -> bool:
        """Take a message without waiting, and tell what became of it; or return False where `accept` is the way."""
        ...

    async def fitting(self, org_id: OrgId, app_ref: str, drafts: Sequence[Draft]) -> int:
        """Return how many of these messages one transaction takes; raises `AppError` for far too many deliveries."""
        ...

    def preparing(self) -> AbstractContextManager[Prepared]:
        """Give what a transaction prepares for after its commit, for `accept_many`."""
        ...

    async def accept_many(
        self, tx: Write, org_id: OrgId, app_ref: str, drafts: Sequence[Draft], prepared: Prepared
    ) -> list[Outcome]:
        """Store many messages of one application in an open transaction, each with an outcome of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What use cases receive: the database, clock, notifier, idempotency records and encryption."""

    db: Database
    clock: Clock
    wake: Wake
    idempotency: Idempotency
    vault: Vault = PLAIN
    endpoints_max: int = 5_000
    """How many endpoints an application may have."""
    oldest_attempt: Callable[[], int | None] = lambda: None
    """When the oldest attempt began that this process makes and has not written yet."""

    heartbeat: Heartbeat | None = None

    async def is_well(self) -> bool:
        """Return whether the database takes writes, as the heartbeat found it lately."""
        return await (self.heartbeat or Heartbeat(self.db, self.clock)).is_good()

    def now(self) -> int:
        """Return the wall time at the granularity of ids, so that what is made has the moment that its id holds."""
        return self.clock.now() // STEP_MS * STEP_MS


def told(error: Exception) -> AppError | None:
    """Return what a caller is told of an error: None for one that is our own fault."""
    match error:
        case AppError():
            return error
        case Unavailable():
            observe.outage.failed("answering a request", error)
            return unavailable("The database is not available for the moment.")
        case Busy():
            return unavailable("The database is too busy for the moment.")
        case Duplicate():
            return conflict()
        case _:
            return None
