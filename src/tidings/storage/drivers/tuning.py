# SPDX-License-Identifier: MIT
"""The thresholds of the storage layer. A database gets them when it is opened, and statements read them from it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ListTuning:
    """The thresholds of the filtered lists: how much one statement reads.

    A value is rare if one statement can read all of it: then the query looks up its rows one by one. Otherwise it reads
    bucket after bucket, in the order of the list, until the page is full.
    """

    entries: int = 128
    """The bucket-index entries that the first statement reads per value: of frequent values they have the whole page.
    Further statements read 4 and 16 times as many. A value with fewer than 4 times as many is rare."""
    buckets: int = 16
    """The buckets of the first batch. Of frequent values a few have the whole page; each further batch is four times as
    large."""
    rare_messages: int = 300
    """The messages whose attempts are looked up one by one: about two milliseconds."""
    candidates: int = 2_000
    """The attempts or deliveries of an endpoint that are read to find messages: about two milliseconds. An endpoint
    with more of them gets most messages of the application, so the query reads those."""


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
