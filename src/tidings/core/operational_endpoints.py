# SPDX-License-Identifier: MIT
"""The application of an organization's operational endpoints.

It is the application of the management organization whose uid is the id of the organization, as in svix-server. So no
list, statistic, broadcast or token of the organization sees it. The first endpoint creates it.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from tidings.core import apps, operational
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import AppError, ErrorKind, not_found
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.model.app import App, AppDraft
from tidings.model.event_type import EventType
from tidings.storage.drivers.database import Database, retried
from tidings.storage.tables import apps as store
from tidings.storage.tables import event_types

_NAME: Final = "Operational webhooks of {}"
_ROUNDS: Final = 5


async def find(services: Services, org_id: OrgId) -> App | None:
    """Return the application of an organization's operational endpoints, or None if it has none."""
    async with services.db.read() as read:
        return await store.find(read, MANAGEMENT_ORG, org_id)


async def get(services: Services, org_id: OrgId) -> App:
    """Return the application of an organization's operational endpoints; raise `not_found` if it has none."""
    app = await find(services, org_id)
    if app is None:
        raise not_found()
    return app


async def get_or_create(services: Services, org_id: OrgId) -> App:
    """Return the application of an organization's operational endpoints; create it and the event types if needed."""
    app = await find(services, org_id)
    if app is not None:
        return app
    await register_types(services.db, services.now())
    draft = AppDraft(name=_NAME.format(org_id), uid=org_id, metadata={})
    return await apps.get_or_create(services, MANAGEMENT_ORG, draft)


async def with_application(services: Services, org_id: OrgId, work: Callable[[App], Awaitable[Response]]) -> Response:
    """Run work that needs the application; run it with a new one if the application was deleted meanwhile."""
    for _ in range(_ROUNDS - 1):
        try:
            return await work(await get_or_create(services, org_id))
        except AppError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
    return await work(await get_or_create(services, org_id))


async def register_types(db: Database, now: int) -> None:
    """Create the event types of the operational events in the management organization, unless they exist."""
    known = {**operational.TYPES, **operational.UNSENT}
    async with db.read() as read:
        existing = await event_types.existing(read, MANAGEMENT_ORG, list(known))
    missing = [_event_type(name, text, now) for name, text in known.items() if name not in existing]

    async def work() -> None:
        async with db.write(background=True) as tx:
            await event_types.add_missing(tx, missing)

    if missing:
        await retried(work)


def _event_type(name: str, description: str, now: int) -> EventType:
    return EventType(
        org_id=MANAGEMENT_ORG,
        name=name,
        description=description,
        archived=False,
        deprecated=False,
        schemas=None,
        feature_flags=None,
        group_name=None,
        created_at=now,
        updated_at=now,
    )
