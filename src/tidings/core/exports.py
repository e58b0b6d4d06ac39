# SPDX-License-Identifier: MIT
"""Use cases of exports: start an export of the event types, and fetch its archive."""

import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from tidings.clock import SECOND
from tidings.core import tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import forbidden, not_found
from tidings.model import export
from tidings.model.export import ExportArgs
from tidings.model.task import EXPORT, NewTask, Task
from tidings.model.token import Principal
from tidings.storage.drivers.database import Write
from tidings.storage.tables import exports, settings

LINK_SECRET: Final = "link_secret"  # noqa: S105 - a name, not the secret
_SECRET_BYTES: Final = 32


async def export_event_types(
    services: Services,
    principal: Principal,
    origin: str,
    *,
    idempotency_key: str | None,
    render: Callable[[Task], Response],
) -> Response:
    """Start a task that exports the event types: an archive of an API document, and of models in two languages."""

    async def work(tx: Write) -> Task:
        await settings.get_or_set(tx, LINK_SECRET, secrets.token_urlsafe(_SECRET_BYTES))
        return await tasks.start(services, tx, build_task(principal, origin))

    return await services.idempotency.once(idempotency_key, work, render)


def build_task(principal: Principal, origin: str) -> NewTask:
    """Build the export task."""
    return NewTask(
        kind=EXPORT,
        org_id=principal.org_id,
        app_id=None,
        args=msgspec.json.encode(ExportArgs(origin=origin)).decode(),
        created_by=principal.subject,
    )


async def fetch(services: Services, export_id: str, expires: int | None, signature: str | None) -> bytes:
    """Return an archive by its signed link; an invalid signature raises `forbidden`, an expired link `not_found`."""
    async with services.db.read() as read:
        secret = await settings.find(read, LINK_SECRET)
        if secret is None or expires is None or signature is None:
            raise forbidden()
        if not export.is_genuine(secret, export_id, expires, signature):
            raise forbidden()
        found = await exports.whole(read, export_id, services.clock.now())
    if found is None or services.clock.now() >= expires * SECOND:
        raise not_found("The link has expired. Start a new export.")
    return found
