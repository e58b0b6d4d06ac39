# SPDX-License-Identifier: MIT
"""The kinds that this release implements. Tasks of other kinds stay queued, for a node that implements them."""

from collections.abc import Mapping

from tidings.clock import Clock
from tidings.core.notifier import Notifier
from tidings.tasks.handler import Handler
from tidings.tasks.kinds.broadcast import Broadcast
from tidings.tasks.kinds.export import Export
from tidings.tasks.kinds.janitor import Janitor
from tidings.tasks.kinds.purge import Purge
from tidings.tasks.kinds.recover import Recover
from tidings.tasks.kinds.replay import BulkReplay, Replay
from tidings.tasks.kinds.usage import AppStats, EventTypeStats


def handlers(clock: Clock, notifier: Notifier) -> Mapping[str, Handler]:
    """Return the handler of every kind, by its name."""
    known: tuple[Handler, ...] = (
        Recover(clock, notifier),
        Replay(clock, notifier),
        BulkReplay(clock, notifier),
        Purge(),
        AppStats(),
        EventTypeStats(),
        Broadcast(clock, notifier),
        Export(clock),
        Janitor(clock),
    )
    return {handler.kind: handler for handler in known}
