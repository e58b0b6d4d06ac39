# SPDX-License-Identifier: MIT
"""The kinds that this release implements: the modules of `tasks/kinds`, each of which declares one as `KIND`.

Tasks of other kinds stay queued, for a node that implements them.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

from tidings.clock import Clock
from tidings.core.notifier import Notifier
from tidings.model.task_kind import TaskKinds
from tidings.tasks import kinds
from tidings.tasks.declaration import Declaration
from tidings.tasks.handler import Handler, HandlerServices
from tidings.tasks.tuning import TaskTuning


def _declared() -> Iterator[Declaration]:
    for module in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."):
        yield import_module(module.name).KIND


DECLARED: Final = tuple(sorted(_declared(), key=lambda kind: (kind.place, kind.name)))
"""Every kind, in the order of the contract."""
PUBLIC: Final = tuple(kind for kind in DECLARED if not kind.is_internal)
"""The kinds that callers can start."""
KINDS: Final = TaskKinds(DECLARED)
FIRST_RATES: Final = {kind.name: kind.first_rate for kind in DECLARED if kind.first_rate is not None}


def handlers(clock: Clock, notifier: Notifier, tuning: TaskTuning = TaskTuning()) -> Mapping[str, Handler]:
    """Return the handler of every kind, by its name."""
    services = HandlerServices(clock, notifier, tuning)
    return {kind.name: kind.handler(kind, services) for kind in DECLARED}
