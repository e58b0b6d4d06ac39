# SPDX-License-Identifier: MIT
"""The tasks that resend the messages of an outage, once its endpoint is enabled."""

from typing import Final

from tidings.clock import MINUTE
from tidings.core import tasks
from tidings.core.health import StartCatchUp
from tidings.core.services import Services
from tidings.model.app import App
from tidings.model.endpoint import Endpoint
from tidings.model.task import Task
from tidings.storage.drivers.database import Write
from tidings.tasks.kinds import recover, replay
from tidings.tasks.resending import ResendWindow


async def _recover(services: Services, tx: Write, app: App, before: Endpoint, created_by: str) -> Task | None:
    """Start a task that resends the messages that failed during the outage."""
    request = _request(services, before, created_by)
    if request is None:
        return None
    return await tasks.start(services, tx, await recover.build_task(services, tx, app, request))


async def _replay(services: Services, tx: Write, app: App, before: Endpoint, created_by: str) -> Task | None:
    """Start a task that sends the messages created while the endpoint was disabled."""
    request = _request(services, before, created_by)
    if request is None or not before.disabled:
        return None
    return await tasks.start(services, tx, await replay.build_task(services, tx, app, request))


def _request(services: Services, before: Endpoint, created_by: str) -> ResendWindow | None:
    """Return a request from the start of the outage: of the failure record, or else when the endpoint was disabled."""
    record = before.record
    began = record.failing_since or record.unreachable_since or record.disabled_at
    if began is None:
        return None
    # The attempt that opened the failure record started up to a minute before its outcome was written.
    since = max(began - MINUTE, services.clock.now() - recover.LONGEST_MS + MINUTE)
    return ResendWindow(endpoint_ref=before.id, since=since, until=None, created_by=created_by)


CATCHING_UP: Final[tuple[StartCatchUp, ...]] = (_recover, _replay)
