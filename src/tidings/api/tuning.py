# SPDX-License-Identifier: MIT
"""Internal limits of the API. They are no settings: only tests choose other values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiTuning:
    """Internal limits of the API."""

    request_seconds: float = 60.0
    """How long a whole request may take to arrive, so that a slow sender cannot hold a connection for longer."""
    unread_seconds: float = 60.0
    """How long a connection stays open while its client does not read the responses."""
    stall_seconds: float = 10.0
    """How long the reader of a stream or of a large response may leave a part unread."""
    keepalive_seconds: float = 15.0
    """How long a stream may be silent: shorter than the idle timeout of common proxies."""
    progress_seconds: float = 1.0
    """The shortest interval between two progress events of a stream."""
    health_seconds: float = 5.0
    """How long a health check waits for the database."""
    tokens_cached: int = 10_000
    """The verified tokens that a process remembers."""
    access_lines: int = 200
    """The lines of the access log per second of one process, and their burst."""
    access_seconds: float = 1.0
    """How long requests without a line are counted before their number is logged."""
