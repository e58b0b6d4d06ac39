# SPDX-License-Identifier: MIT
"""The pages of a node: their context, made from that of the API, and the tasks that they start."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tidings.api.app import Pages
from tidings.api.context import Context
from tidings.asgi.http import AsgiApp, AsgiReceive, AsgiScope, AsgiSend
from tidings.core import changes
from tidings.core.access import TokenSecrets
from tidings.core.page_sessions import PageSessions
from tidings.core.services import Services
from tidings.core.tasks import BuildTask
from tidings.model.app import App
from tidings.model.task import NewTask
from tidings.model.token import Principal
from tidings.portal import images, oidc_sign_in, sign_in, site
from tidings.portal.branding import Branding
from tidings.portal.context import PortalContext
from tidings.portal.images import BrandImage
from tidings.portal.live import Live
from tidings.portal.sessions import form_key
from tidings.portal.starters import ResendForm, StartOnEndpoint, TaskStarters
from tidings.portal.table import VIEWS
from tidings.server import signing_in
from tidings.server.extension import AddedPages, Extension
from tidings.settings import ConfigError, Settings
from tidings.storage.drivers.database import Database, Read
from tidings.tasks.kinds import bulk_replay, recover, replay
from tidings.tasks.resending import ResendWindow

BuildResend = Callable[[Services, Read, App, ResendWindow], Awaitable[NewTask]]


setting_origins: Final[dict[str, str]] = {}
"""The source of each setting of this process, for the console; set at its start."""


def pages(
    settings: Settings, context: Context, secrets: TokenSecrets, live: Live, extension: Extension | None = None
) -> Pages:
    """Return the pages of one process, with those of an extension."""
    added = AddedPages()
    if extension is not None:
        added = extension.bind(context.services, context.acceptor, context.gatekeeper.signer)
    people = signing_in.people(settings)
    portal = PortalContext(
        services=context.services,
        acceptor=context.acceptor,
        authenticate=context.gatekeeper.authenticate,
        signer=context.gatekeeper.signer,
        page_sessions=PageSessions(secrets, context.services, context.gatekeeper.require_live_key, people.terms),
        form_key=form_key(secrets.current),
        estimate=context.estimate,
        status=context.status,
        task_watcher=context.task_watcher,
        live=live,
        starters=_STARTERS,
        admit=context.limiter.admit if context.limiter is not None else _admit_all,
        catching_up=context.catching_up,
        attempts_max=context.attempts_max,
        https_only=context.https_only,
        header_prefix="webhook" if settings.whitelabel_headers else "svix",
        portal_url=context.portal_url,
        branding=branding_of(settings),
        people=people,
        provider=signing_in.provider(settings, context.services.clock),
        proxy=signing_in.trusted_proxy(settings, people),
        settings={name: (text, setting_origins.get(name, "")) for name, text in settings.masked().items()},
        more_tabs=added.tabs,
    )
    built = site.build(portal, (*VIEWS, *added.views), {**sign_in.ROUTES, **oidc_sign_in.ROUTES, **added.open_routes})
    return Pages(_beside(built, added.apps), (*site.PATHS, *added.apps))


def _beside(built: AsgiApp, apps: Mapping[str, AsgiApp]) -> AsgiApp:
    """Return an application that serves further ones beside the pages, by the first segment of the path."""

    async def chosen(scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        await apps.get("/" + scope["path"].split("/", 2)[1], built)(scope, receive, send)

    return chosen if apps else built


def live_parts(db: Database) -> Live:
    """Return the live parts of one process."""
    return Live(partial(changes.versions, db))


def branding_of(settings: Settings) -> Branding:
    """Return the look of the portal; raise `ConfigError` if an image cannot be used."""
    return Branding(
        name=settings.portal_name or Branding().name,
        color=settings.portal_color,
        color_dark=settings.portal_color_dark,
        logo=_image("portal_logo", settings.portal_logo),
        favicon=_image("portal_favicon", settings.portal_favicon),
        back_url=settings.portal_back_url,
        frame_ancestors=settings.portal_frame_ancestors,
    )


def _image(name: str, path: str | None) -> BrandImage | None:
    if path is None:
        return None
    try:
        return images.read(Path(path))
    except OSError as error:
        raise ConfigError(f"{name}: the file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{name} {error}") from error


def _admit_all(_caller: Principal) -> None:
    """Admit every caller: there is no limit."""


def _window(caller: Principal, request: ResendForm) -> ResendWindow:
    return ResendWindow(
        endpoint_ref=request.endpoint_ref,
        since=request.since,
        until=request.until,
        created_by=caller.creator,
        rate_limit=request.rate_limit,
    )


def _on_endpoint(build: BuildResend) -> StartOnEndpoint:
    def start(services: Services, caller: Principal, app: App, request: ResendForm) -> BuildTask:
        window = _window(caller, request)
        return lambda tx: build(services, tx, app, window)

    return start


def _bulk_replay(services: Services, caller: Principal, app: App, request: ResendForm) -> BuildTask:
    window = _window(caller, request)
    return lambda tx: bulk_replay.build_task(services, tx, app, window, request.filters)


_STARTERS: Final = TaskStarters(
    {kind.KIND.name: _on_endpoint(kind.build_task) for kind in (recover, replay)}
    | {bulk_replay.KIND.name: _bulk_replay}
)
