# SPDX-License-Identifier: MIT
"""Internal limits of delivery. They are no settings: only tests choose other values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeliveryTuning:
    """Internal limits of delivery."""

    claim_endpoints: int = 200
    """The maximum number of endpoints for which one transaction claims."""
    claim_rows: int = 2_000
    """The maximum number of rows that one transaction leases: it blocks the event loop for milliseconds only."""
    claim_defer_seconds: float = 0.25
    """How long an endpoint is deferred if it does not answer, or if it has a limit and no free slot."""
    claim_memory_seconds: float = 1.0
    """How long an endpoint is deferred at most if its payloads do not fit into memory; freed bytes end that earlier."""
    claim_error_pause_seconds: float = 1.0
    """How long claiming pauses after an error."""
    claim_max_sleep_seconds: float = 3_600.0
    """The longest time until the next claim, in case that the wall clock is set."""
    unanswered_limit: int = 10
    """Consecutive sends without an answer after which an endpoint's concurrency is reduced."""
    reduced_concurrency: int = 4
    """Sends in flight to an endpoint with reduced concurrency."""
    reduced_length: int = 24
    """The maximum number of deliveries in memory of an endpoint with reduced concurrency."""
    sends_per_iteration: int = 64
    """The maximum number of sends that start in one loop iteration; they take a few milliseconds."""
    settle_batch: int = 500
    """The most results that one transaction settles."""
    settle_small: int = 40
    """A batch with at most this many results, all successful, is settled in one statement."""
    settle_few: int = 64
    """A batch with fewer results first waits for more: a transaction costs as much as a dozen messages."""
    settle_linger_seconds: float = 0.01
    """How long it waits for them."""
    settle_give_way_seconds: float = 0.015
    """How long it then waits at most until accept does not write. Longer than an ordinary batch of accept."""
    summary_seconds: float = 60.0
    """The least time between two lines of the log about one failing endpoint."""
    summary_first_seconds: float = 1.0
    """How long the first such line after a quiet time waits for more failures."""
    summary_lines: int = 100
    """The most endpoints that have a line at a time."""
    summary_endpoints: int = 10_000
    """The most failing endpoints that are counted between two lines."""
    settle_longest_pause_seconds: float = 2.0
    """The longest time between two tries to settle a batch, and how long stopping waits for progress."""
