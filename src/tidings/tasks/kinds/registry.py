# SPDX-License-Identifier: MIT
"""Which kinds this release knows. A kind that is not here is left in the queue, for a node that knows it."""

from collections.abc import Mapping

from tidings.clock import Clock
from tidings.core.wake import Wake
from tidings.tasks.handler import Handler
from tidings.tasks.kinds.recover import Recover


def handlers(clock: Clock, wake: Wake) -> Mapping[str, Handler]:
    """Return every kind by its name."""
    known: tuple[Handler, ...] = (Recover(clock, wake),)
    return {handler.kind: handler for handler in known}
