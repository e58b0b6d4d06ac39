# SPDX-License-Identifier: MIT
"""The notifier: use cases notify the components of this process about new work.

Notifications are sent after a commit, and are only hints: a component that misses one finds the work in the database.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tidings import observe
from tidings.storage.drivers.database import Write


def _no_delivery_role(_endpoint_ids: Iterable[str]) -> None:
    """Do nothing: this process does not send."""


def _no_task_role() -> None:
    """Do nothing: this process does not work on tasks."""


def _no_routing_cache(_app_id: str) -> None:
    """Do nothing: this process caches no routing."""


def _no_keyring(_key_id: str) -> None:
    """Do nothing: this process does not serve the API."""


@dataclass(slots=True)
class Notifier:
    """The callbacks that notify components; the server sets them when it starts."""

    deliveries: Callable[[Iterable[str]], None] = _no_delivery_role
    """Deliveries of these endpoints became due."""
    endpoints: Callable[[Iterable[str]], None] = _no_delivery_role
    """The delivery settings of these endpoints changed, or the endpoints were disabled or deleted."""
    tasks: Callable[[], None] = _no_task_role
    """A background task became ready."""
    routing: Callable[[str], None] = _no_routing_cache
    """An application (by id) or one of its endpoints changed."""
    keys: Callable[[str], None] = _no_keyring
    """An API key (by id) changed."""


def notify_after_commit(tx: Write, callback: Callable[[], None]) -> None:
    """Call a notifier callback after the commit; an error in it is logged and does not reach the transaction."""

    def notify() -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - the transaction has committed, so its caller must not fail
            observe.failure("notifying a component", error)

    tx.after_commit(notify)
