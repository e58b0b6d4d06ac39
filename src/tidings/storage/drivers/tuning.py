# SPDX-License-Identifier: MIT
"""The thresholds of the storage layer. A database gets them when it is opened, and statements read them from it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ListTuning:
    """The thresholds of the filtered lists."""


@dataclass(frozen=True, slots=True)
class StorageTuning:
    """The thresholds of both drivers, and those of the lists."""

    wal_checkpoint_frames: int = 8_000
    """The number of WAL frames at which a checkpoint starts."""
    wal_restart_frames: int = 16_000
    """The number of WAL frames at which the WAL is restarted. Writers wait briefly for a restart."""
    wal_sync_seconds: float = 0.5
    """How long a commit with `synced=False` may stay unsynced."""
    busy_ms: int = 5_000
    """How long a statement on SQLite waits while another process locks the file."""
    lists: ListTuning = field(default_factory=ListTuning)
