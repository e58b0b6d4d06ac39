# SPDX-License-Identifier: MIT
"""Use case: fetch the archive of an export."""

from typing import Final

from tidings.clock import SECOND
from tidings.core.services import Services
from tidings.errors import forbidden, not_found
from tidings.model import export
from tidings.storage.tables import event_types, nodes

LINK_SECRET: Final = "link_secret"  # noqa: S105 - a name, not the secret


async def fetch(services: Services, export_id: str, expires: int | None, signature: str | None) -> bytes:
    """Return an archive by its signed link; an invalid signature raises `forbidden`, an expired link `not_found`."""
    async with services.db.read() as read:
        secret = await nodes.setting(read, LINK_SECRET)
        if secret is None or expires is None or signature is None:
            raise forbidden()
        if not export.is_genuine(secret, export_id, expires, signature):
            raise forbidden()
        found = await event_types.finished_export(read, export_id, services.clock.now())
    if found is None or services.clock.now() >= expires * SECOND:
        raise not_found("The link has expired. Start a new export.")
    return found
