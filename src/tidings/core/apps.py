# SPDX-License-Identifier: MIT
"""Making and finding applications."""

from collections.abc import Callable
from dataclasses import dataclass

from tidings.core.desk import Desk
from tidings.core.receipts import Answer
from tidings.errors import conflict
from tidings.ids import APP, AppId, OrgId, new
from tidings.model.app import App, AppDraft
from tidings.model.page import Cursor, Page
from tidings.storage import apps
from tidings.storage.database import Write, retried


@dataclass(frozen=True, slots=True)
class Settled:
    """The application that a caller asked to have, and whether it was made for that."""

    app: App
    is_new: bool


async def create(
    desk: Desk,
    org_id: OrgId,
    draft: AppDraft,
    *,
    get_if_exists: bool,
    receipt: str | None,
    render: Callable[[Settled], Answer],
) -> Answer:
    """Make an application; with `get_if_exists` one that has the uid already is returned as it is."""

    async def work(tx: Write) -> Settled:
        app = _drafted(org_id, draft, desk.now())
        if await apps.add(tx, app):
            tx.after_commit(lambda: desk.wake.routing(app.id))
            return Settled(app, is_new=True)
        existing = await apps.find(tx, org_id, draft.uid) if get_if_exists and draft.uid else None
        if existing is None:
            raise conflict("An application with that id or uid already exists")
        return Settled(existing, is_new=False)

    return await desk.receipts.once(receipt, work, render)


async def have(desk: Desk, org_id: OrgId, draft: AppDraft) -> App:
    """Make an application unless there is one with its uid, and return it."""

    async def work() -> App:
        async with desk.db.write() as tx:
            app = _drafted(org_id, draft, desk.now())
            if await apps.add(tx, app):
                tx.after_commit(lambda: desk.wake.routing(app.id))
                return app
            return await apps.get(tx, org_id, draft.uid or app.id)

    return await retried(work)


def _drafted(org_id: OrgId, draft: AppDraft, now: int) -> App:
    return App(
        id=AppId(new(APP, now)),
        org_id=org_id,
        uid=draft.uid,
        name=draft.name,
        throttle_rate=draft.throttle_rate,
        metadata=draft.metadata,
        created_at=now,
        updated_at=now,
    )


async def page(desk: Desk, org_id: OrgId, cursor: Cursor) -> Page[App]:
    """Return a page of an organisation's applications."""
    async with desk.db.read() as read:
        rows = await apps.page(read, org_id, cursor.span())
    return cursor.page(rows, lambda app: app.id)
