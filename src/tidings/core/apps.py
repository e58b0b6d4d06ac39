# SPDX-License-Identifier: MIT
"""Use cases of applications: create, update, delete, get and list."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tidings.core import integrations
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.tailing import committed_window
from tidings.errors import AppError, conflict
from tidings.ids import APP, AppId, OrgId, new
from tidings.model.app import App, AppDraft, AppExclusion
from tidings.model.page import Cursor, Page
from tidings.storage.drivers.database import Busy, Write, retried
from tidings.storage.tables import apps, endpoints


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
        app = _from_draft(org_id, draft, services.now())
        if await apps.add(tx, app):
            tx.after_commit(lambda: services.notifier.routing(app.id))
            return UpsertedApp(app, is_new=True)
        if not get_if_exists or not draft.uid:
            raise conflict(
                "An application with this uid already exists. Choose another uid, or set get_if_exists=true."
            )
        return UpsertedApp(await _with_uid(tx, org_id, draft.uid), is_new=False)

    return await services.idempotency.once(idempotency_key, work, render)


async def put(
    services: Services, org_id: OrgId, ref: str, draft: AppDraft, *, render: Callable[[UpsertedApp], Response]
) -> Response:
    """Replace an application, or create it if it does not exist; `ref` does not become its uid."""

    async def work(tx: Write) -> UpsertedApp:
        now = services.now()
        before = await apps.find(tx, org_id, ref)
        if before is None:
            app = _from_draft(org_id, draft, now)
            if await apps.add(tx, app):
                return UpsertedApp(app, is_new=True)
            if draft.uid != ref:  # another application has the uid; otherwise a concurrent request created this one
                raise conflict()
            before = await _with_uid(tx, org_id, ref)
        await _lock(tx, before, now)
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
            app = _from_draft(org_id, draft, services.now())
            if await apps.add(tx, app):
                tx.after_commit(lambda: services.notifier.routing(app.id))
                return app
            return await _with_uid(tx, org_id, draft.uid or "")

    return await retried(work)


async def _with_uid(tx: Write, org_id: OrgId, uid: str) -> App:
    """Return the application that holds a uid; raise `Busy` if it was deleted since its uid caused a conflict."""
    app = await apps.find(tx, org_id, uid)
    if app is None:
        raise Busy("the application has just been deleted")
    return app


async def _lock(tx: Write, app: App, now: int) -> None:
    """Lock an existing application; raise `Busy` if it was deleted since, so that the retry creates a new one."""
    try:
        await apps.advance_routing_version(tx, app.id, now)
    except AppError as error:
        raise Busy("the application has just been deleted") from error


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
