# SPDX-License-Identifier: MIT
"""Hints from a use case to the machinery of this process: there is something to do.

Only ever called after a commit, and only ever a hint: whoever misses one finds the work in the database.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tidings import observe
from tidings.storage.database import Write


def _nobody_delivers(_endpoints: Iterable[str]) -> None:
    """Stand in where this process has no delivery role."""


def _nobody_sends(_endpoints: Iterable[str]) -> None:
    """Stand in where this process has nothing in memory to send."""


def _nobody_works() -> None:
    """Stand in where this process has no task role."""


def _nobody_drops(_app: str) -> None:
    """Stand in where nothing is cached."""


@dataclass(slots=True)
class Notifier:
    """Who is told what; the server sets the calls when it wires a process together."""

    deliveries: Callable[[Iterable[str]], None] = _nobody_delivers
    """Deliveries of these endpoints have become due."""
    endpoints: Callable[[Iterable[str]], None] = _nobody_sends
    """These endpoints are sent to otherwise than before, or no more."""
    tasks: Callable[[], None] = _nobody_works
    """A background task has become ready."""
    routing: Callable[[str], None] = _nobody_drops
    """An application (by id) or one of its endpoints has changed."""


def notify_after_commit(tx: Write, give: Callable[[], None]) -> None:
    """Give a hint once a transaction has committed; whoever stumbles over it changes nothing of what has happened."""

    def given() -> None:
        try:
            give()
        except Exception as error:  # noqa: BLE001 - a chunk that is committed is no failure of its task
            observe.failure("giving a hint", error)

    tx.after_commit(given)
