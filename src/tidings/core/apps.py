# SPDX-License-Identifier: MIT
"""Making, changing, deleting and finding applications."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.core.tailing import committed_window
from tidings.errors import AppError, conflict
from tidings.ids import APP, AppId, OrgId, new
from tidings.model.app import App, AppDraft, AppExclusion
from tidings.model.page import Cursor, Page
from tidings.storage import apps, endpoints
from tidings.storage.database import Busy, Write, retried


@dataclass(frozen=True, slots=True)
class UpsertedApp:
    """The application that an upsert returns, and whether it created it."""

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
    """Make an application; with `get_if_exists` one that has the uid already is returned as it is."""

    async def work(tx: Write) -> UpsertedApp:
        app = _drafted(org_id, draft, services.now())
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
    """Overwrite an application, or make one if there is none; the reference does not become its uid."""

    async def work(tx: Write) -> UpsertedApp:
        now = services.now()
        before = await apps.find(tx, org_id, ref)
        if before is None:
            app = _drafted(org_id, draft, now)
            if await apps.add(tx, app):
                return UpsertedApp(app, is_new=True)
            if draft.uid != ref:  # another application has the uid; else another request has just made this one
                raise conflict()
            before = await _with_uid(tx, org_id, ref)
        await _hold(tx, before, now)
        return UpsertedApp(await _rewrite(tx, services, before.overwritten(draft), now), is_new=False)

    return await services.idempotency.once(None, work, render)


async def change(
    services: Services, app: App, edit: Callable[[App], App], *, render: Callable[[App], Response]
) -> Response:
    """Edit an application."""

    async def work(tx: Write) -> App:
        now = services.now()
        await apps.touch(tx, app.id, now)
        return await _rewrite(tx, services, edit(await apps.get(tx, app.org_id, app.id)), now)

    return await services.idempotency.once(None, work, render)


async def delete(services: Services, app: App) -> None:
    """Delete an application: nothing leads to its endpoints and messages any more, and nothing is sent."""

    async def work() -> None:
        async with services.db.write() as tx:
            now = services.now()
            await apps.touch(tx, app.id, now)
            await apps.delete(tx, app.id, now)
            gone = await endpoints.ids_of(tx, app.id)

            def anew() -> None:
                services.notifier.routing(app.id)
                services.notifier.endpoints(gone)

            tx.after_commit(anew)

    await retried(work)


async def _rewrite(tx: Write, services: Services, edited: App, now: int) -> App:
    app = replace(edited, updated_at=now)
    await apps.change(tx, app)
    tx.after_commit(lambda: services.notifier.routing(app.id))
    return app


async def have(services: Services, org_id: OrgId, draft: AppDraft) -> App:
    """Make an application unless there is one with its uid, and return it."""

    async def work() -> App:
        async with services.db.write() as tx:
            app = _drafted(org_id, draft, services.now())
            if await apps.add(tx, app):
                tx.after_commit(lambda: services.notifier.routing(app.id))
                return app
            return await _with_uid(tx, org_id, draft.uid or "")

    return await retried(work)


async def _with_uid(tx: Write, org_id: OrgId, uid: str) -> App:
    """Return the application whose uid has just been in the way; raises `Busy` where it was deleted since."""
    app = await apps.find(tx, org_id, uid)
    if app is None:
        raise Busy("the application has just been deleted")
    return app


async def _hold(tx: Write, app: App, now: int) -> None:
    """Hold an application that was there; raises `Busy` where it was deleted since: the next try makes another."""
    try:
        await apps.touch(tx, app.id, now)
    except AppError as error:
        raise Busy("the application has just been deleted") from error


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


async def page(services: Services, org_id: OrgId, cursor: Cursor, without: Iterable[AppExclusion] = ()) -> Page[App]:
    """Return a page of an organisation's applications, but for those that lack something."""
    async with services.db.read() as read:
        window = await committed_window(services, read, cursor, cursor.window(), APP)
        rows = await apps.page(read, org_id, window, without)
    return cursor.page(rows, lambda app: app.id)
