# SPDX-License-Identifier: MIT
"""What a process logs about itself: how it starts, with which settings, and why and how it stops."""

import dataclasses
from typing import Final

from tidings import __version__
from tidings.clock import Clock
from tidings.logs import identity, log, start_logging
from tidings.settings import Settings

SUPERVISOR: Final = 0
"""The number of the supervisor in place of that of a worker."""


def start_log(settings: Settings, worker: int | None, *, colored: bool) -> None:
    """Start the log of a process. `worker` is its number, from 1; `colored` permits colors on a terminal."""
    identity.worker = worker
    start_logging(settings.log_level, settings.log_style, colored=colored, secrets=settings.secret_texts())
    _log_settings(settings)


def _log_settings(settings: Settings) -> None:
    """Log the settings that differ from their defaults, with secrets masked, for developers."""
    masked = settings.masked()
    for each in dataclasses.fields(settings):
        default = each.default if each.default_factory is dataclasses.MISSING else each.default_factory()
        if getattr(settings, each.name) != default:
            log.debug("setting", "a setting differs from its default", name=each.name, value=masked[each.name])


def log_start(settings: Settings, roles: str, address: tuple[object, ...] | None) -> None:
    """Log that this process works, in which roles, and at which address it accepts requests."""
    log.info(
        "started",
        "started",
        version=__version__,
        database="postgresql" if settings.sqlite_path is None else "sqlite",
        roles=roles or None,
        address=None if address is None else f"{address[0]}:{address[1]}",
        workers=settings.worker_count,
    )


class StopReport:
    """The first and the last line of a shutdown."""

    def __init__(self, clock: Clock, reason: str) -> None:
        self._clock = clock
        self._since = clock.monotonic()
        log.info("stopping", "stopping", reason=reason)
        self._reason = reason

    def log_end(self) -> None:
        """Log that this process has stopped, and how long that took."""
        log.info("stopped", "stopped", reason=self._reason, seconds=round(self._clock.monotonic() - self._since, 2))
