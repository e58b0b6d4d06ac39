# SPDX-License-Identifier: MIT
"""The batch that one transaction claims: the findings of each step, and the backlogs that stay in the database."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

from tidings.delivery.throttle import SendWindow, TokenReservation
from tidings.model.delivery import Delivery, Lane
from tidings.model.routing import Receiver
from tidings.storage.drivers.database import Row


@dataclass(frozen=True, slots=True)
class Backlogs:
    """What a batch leaves in the database, by endpoint id."""

    drained: list[str]
    """No row is due."""
    only_replays: list[str]
    """Only rows in the replay lane are due."""
    spilled: list[str]
    """Live rows are due."""


@dataclass(slots=True)
class ClaimBatch:
    """A batch; its fields are filled step by step."""

    now: int
    leased_at: float
    """The start of the lease, on the monotonic clock: before reading endpoints, as a later change makes them stale."""
    # Look.
    returned: int = 0
    """Rows that are due again because their lease has expired."""
    with_live: list[str] = field(default_factory=list)
    """Endpoints with due rows in the live lane."""
    receivers: dict[str, Receiver] = field(default_factory=dict)
    """The endpoints with due rows, by id."""
    unavailable: list[str] = field(default_factory=list)
    """Endpoints that are disabled or deleted."""
    dropped: int = 0
    """Rows that were discarded because their endpoint is unavailable."""
    # Choose endpoints.
    allocations: list[tuple[str, int]] = field(default_factory=list)
    """The number of rows to lease, by endpoint id."""
    total: int = 0
    """The number of rows over all endpoints, reserved until they are in memory."""
    is_full: bool = False
    """Whether the batch is full, while memory has capacity for the rows that it leaves."""
    reservation: TokenReservation | None = None
    # Lease.
    lease: int = 0
    rows: list[Row] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    """The number of leased rows, by endpoint id."""
    windows: dict[str, list[SendWindow]] = field(default_factory=dict)
    # Load payloads.
    payload_bytes: int = 0
    """The bytes of large payloads, reserved until they are in memory."""
    deliveries: list[Delivery] = field(default_factory=list)
    discarded: list[Delivery] = field(default_factory=list)
    too_large: dict[str, int] = field(default_factory=dict)
    """Endpoints with rows that were returned because their payload does not fit into memory, and the bytes it needs."""

    @property
    def limited(self) -> Container[str]:
        """The endpoints with a limit that may be claimed for."""
        return () if self.reservation is None else self.reservation.allocations

    def backlogs(self) -> Backlogs:
        """Return what the batch leaves in the database."""
        drained = {each for each, rows in self.allocations if self.taken[each] < rows and each not in self.too_large}
        unfinished = [each for each in self.receivers if each not in drained]
        live = Counter(row["endpoint_id"] for row in self.rows if row["lane"] == Lane.LIVE)
        allocated = dict(self.allocations)
        has_live = {each for each in self.with_live if live[each] >= allocated.get(each, 0)} | self.too_large.keys()
        return Backlogs(
            list(drained),
            [each for each in unfinished if each not in has_live],
            [each for each in unfinished if each in has_live],
        )
