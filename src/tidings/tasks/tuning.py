# SPDX-License-Identifier: MIT
"""Internal limits of task work. They are no settings: only tests choose other values."""

from dataclasses import dataclass
from typing import Final

from tidings.clock import SECOND

_LOOK_PART: Final = 1 / 8
"""The longest interval between two checks of a claim, as a part of its lease. The lease is renewed by the first check
after a third of it, and external work stops after `renew_within`, so there are three checks or more in between."""


@dataclass(frozen=True, slots=True)
class TaskTuning:
    """Internal limits of the runner, of slices and of the kinds."""

    chunk_write_ms: float | None = None
    """How long a chunk may hold the database, in milliseconds. Without it, as long as is good for that database."""
    backoff_first_seconds: float = 0.05
    """The first backoff after a database error; it doubles with each further one."""
    backoff_max_seconds: float = 5.0
    """The longest backoff after a database error."""
    busy_max: int = 5
    """How often a chunk of one row may time out before the attempt has failed."""
    look_seconds: float = 0.25
    """The interval at which a slice that waits checks its claim, unless the lease is short (`look_within`)."""
    renew_within: float = 0.75
    """The part of a lease after which external work stops, unless the lease was renewed."""
    wait_ms: int = 2_000
    """How long a task is released that waits for another event."""
    unreadable_ms: int = 60_000
    """How long a task is released that this release cannot read."""
    stop_seconds: float = 6.0
    """How long the current chunks may take when the runner stops."""
    cancel_seconds: float = 1.0
    """How long a canceled slice may take to end."""
    count_limit: int = 200_000
    """The most rows that are counted when a task starts. A larger total is estimated."""
    dry_run_rows: int = 50_000
    """The most rows that a dry run scans."""
    dry_run_page: int = 1_000
    """The rows of one scan of a dry run."""
    dry_run_seconds: float = 0.5
    """The time after which a dry run scans no further rows."""
    chunk_applications: int = 100
    """The most applications in one chunk of statistics."""
    few_attempts: int = 10_000
    """An application with fewer attempts than this is counted together with others."""
    entries_per_row: int = 100
    """Index entries that can be counted in the time that other kinds need for one row."""
    entries_per_endpoint: int = 10
    """The cost of finding the next endpoint, in index entries."""
    broadcast_bytes: int = 1024 * 1024
    """The most bytes of payload in one chunk of a broadcast, unless the chunk has only one application."""
    broadcast_deliveries: int = 5_000
    """The most deliveries in one chunk of a broadcast, unless the chunk has only one application."""
    replay_bytes: int = 1024 * 1024
    """The most bytes of payload that one chunk of a replay loads for a payload filter, unless one has more."""
    export_event_types: int = 20
    """The most event types in one chunk of an export. Each takes some hundredths of a second."""
    export_read_bytes: int = 4 * 1024 * 1024
    """The most bytes of schemas that one chunk reads, unless it reads only one schema."""
    export_lost_max: int = 10
    """Event types that may end a child process before the export fails. Each one uses up a limit of the child."""
    janitor_rows: int = 500
    """The most rows that one chunk of the janitor deletes."""
    janitor_exports: int = 5
    """The most exports that one chunk of the janitor deletes. They are large."""
    rollup_hours: int = 24
    """The most hours that one walk of the rollup over all endpoints counts; it catches up in several walks."""
    rollup_attempts_per_row: int = 20
    """Attempts that can be counted in the time that other kinds need for one row."""
    rollup_reopened: int = 200
    """The most hours of endpoints that the rollup counts again before it reads further notes."""

    def look_within(self, lease_ms: int) -> float:
        """Return the interval, in seconds, at which a slice that waits checks a claim with this lease."""
        return min(self.look_seconds, lease_ms / SECOND * _LOOK_PART)
