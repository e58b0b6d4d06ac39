# SPDX-License-Identifier: MIT
"""Use cases of applications: create, update, delete, get and list."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from tidings.core import integrations
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.tailing import committed_window
from tidings.errors import conflict
from tidings.ids import APP, AppId, OrgId, new
from tidings.model.app import App, AppDraft, AppExclusion
from tidings.model.page import Cursor, Page
from tidings.storage.drivers.database import Busy, Write, retried
from tidings.storage.tables import apps, endpoints

_ROUNDS: Final = 3
"""How often a transaction looks for an application that others delete and create."""


@dataclass(frozen=True, slots=True)
class UpsertedApp:
    """The application that an upsert returns, and whether the upsert created it."""

    app: App
    is_new: bool


async def create(
    services: Services,
    org_id: OrgId,
    draft: AppDraft,
    *,
    get_if_exists: bool,
    idempotency_key: str | None,
    render: Callable[[UpsertedApp], Response],
) -> Response:
    """Create an application; with `get_if_exists`, return an existing one with the same uid unchanged."""

    async def work(tx: Write) -> UpsertedApp:
        if get_if_exists and draft.uid:
            return await _get_or_add(tx, services, org_id, draft)
        app = _from_draft(org_id, draft, services.now())
        if not await apps.add(tx, app):
            raise conflict(
                "An application with this uid already exists. Choose another uid, or set get_if_exists=true."
            )
        tx.after_commit(lambda: services.notifier.routing(app.id))
        return UpsertedApp(app, is_new=True)

    return await services.idempotency.once(idempotency_key, work, render)


async def put(
    services: Services, org_id: OrgId, ref: str, draft: AppDraft, *, render: Callable[[UpsertedApp], Response]
) -> Response:
    """Replace an application, or create it if it does not exist; `ref` does not become its uid."""

    async def work(tx: Write) -> UpsertedApp:
        now = services.now()
        before = await apps.find_locked(tx, org_id, ref)
        if before is None:
            app = _from_draft(org_id, draft, now)
            if await apps.add(tx, app):
                return UpsertedApp(app, is_new=True)
            if draft.uid != ref:  # another application has the uid
                raise conflict()
            # Another request has just created it. A retry would lose to the next deletion.
            before = await apps.find_locked(tx, org_id, ref)
        if before is None:
            raise Busy("another request has just deleted the application")  # the retry creates it
        await apps.advance_routing_version(tx, before.id, now)
        return UpsertedApp(await _rewrite(tx, services, before.overwritten(draft), now), is_new=False)

    return await services.idempotency.once(None, work, render)


async def change(
    services: Services, app: App, edit: Callable[[App], App], *, render: Callable[[App], Response]
) -> Response:
    """Apply an edit to an application."""

    async def work(tx: Write) -> App:
        now = services.now()
        await apps.advance_routing_version(tx, app.id, now)
        return await _rewrite(tx, services, edit(await apps.get(tx, app.org_id, app.id)), now)

    return await services.idempotency.once(None, work, render)


async def delete(services: Services, app: App) -> None:
    """Delete an application; its endpoints and messages become inaccessible, and sending to it stops."""

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.now()
            await apps.advance_routing_version(tx, app.id, now)
            await apps.delete(tx, app.id, now)
            await integrations.end_all(tx, services, app.id, now)
            endpoint_ids = await endpoints.ids_of(tx, app.id)

            def notify() -> None:
                services.notifier.routing(app.id)
                services.notifier.endpoints(endpoint_ids)

            tx.after_commit(notify)

    await retried(work)


async def _rewrite(tx: Write, services: Services, edited: App, now: int) -> App:
    app = replace(edited, updated_at=now)
    await apps.change(tx, app)
    tx.after_commit(lambda: services.notifier.routing(app.id))
    return app


async def get_or_create(services: Services, org_id: OrgId, draft: AppDraft) -> App:
    """Return the application with the uid of the draft; create it if it does not exist."""

    async def work() -> App:
        async with services.db.write() as tx:
            return (await _get_or_add(tx, services, org_id, draft)).app

    return await retried(work)


async def _get_or_add(tx: Write, services: Services, org_id: OrgId, draft: AppDraft) -> UpsertedApp:
    """Return the application with the uid of the draft; add it if there is none.

    Another request may delete the application between the two statements, and the next one create it again.
    """
    app = _from_draft(org_id, draft, services.now())
    for _ in range(_ROUNDS):
        if await apps.add(tx, app):
            tx.after_commit(lambda: services.notifier.routing(app.id))
            return UpsertedApp(app, is_new=True)
        found = await apps.find(tx, org_id, draft.uid or "")
        if found is not None:
            return UpsertedApp(found, is_new=False)
    raise Busy("other requests create and delete the application")


def _from_draft(org_id: OrgId, draft: AppDraft, now: int) -> App:
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


async def page(services: Services, org_id: OrgId, cursor: Cursor, without: Iterable[AppExclusion] = ()) -> Page[App]:
    """Return a page of an organization's applications, except those that `without` excludes."""
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, cursor.window(), APP)
        rows = await apps.page(read, org_id, window, without)
    return cursor.page(rows, lambda app: app.id)
