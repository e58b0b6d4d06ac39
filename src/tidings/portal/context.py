# SPDX-License-Identifier: MIT
"""The dependencies of the pages of one process."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tidings.core.dry_run import EstimateTask
from tidings.core.health import StartCatchUp
from tidings.core.oidc import OidcProvider
from tidings.core.page_sessions import PageSessions
from tidings.core.services import Acceptor, Services
from tidings.core.signer import Signer
from tidings.core.status import StatusReader
from tidings.core.task_watcher import TaskWatcher
from tidings.model.token import Principal
from tidings.portal.branding import Branding
from tidings.portal.downloads import Downloads
from tidings.portal.live import Live
from tidings.portal.people import People, TrustedProxy
from tidings.portal.starters import NO_STARTERS, TaskStarters

Authenticate = Callable[[bytes | None], Awaitable[Principal]]
"""Returns the caller that an authorization header identifies; raises `AppError` for an invalid one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalContext:
    """The dependencies and settings that every page receives."""

    services: Services
    acceptor: Acceptor
    authenticate: Authenticate
    signer: Signer
    """Signs the tokens with which the console opens an application's portal."""
    page_sessions: PageSessions
    """Issues and checks the sessions of people, and of portals that the console opens."""
    form_key: bytes
    """The key of form tokens: the same on every node, so that any node takes a form of another."""
    estimate: EstimateTask
    status: StatusReader
    task_watcher: TaskWatcher
    downloads: Downloads = field(default_factory=Downloads)
    live: Live
    """The parts of pages that change while they are open."""
    starters: TaskStarters = NO_STARTERS
    """Build the tasks that pages start."""
    admit: Callable[[Principal], None] = lambda _caller: None
    """Raises `too_many` for a caller over the request rate."""
    catching_up: tuple[StartCatchUp, ...] = ()
    """Start the tasks that resend what an endpoint missed, once it is enabled."""
    attempts_max: int = 8
    https_only: bool = False
    header_prefix: str = "svix"
    """The prefix of the signature headers: `svix` or `webhook`."""
    portal_url: str | None = None
    """The public URL of this server; None where it is the one that the browser used."""
    branding: Branding = field(default_factory=Branding)
    people: People = field(default_factory=People)
    """The rules for people who sign in to the console."""
    provider: OidcProvider | None = None
    """The provider at which people sign in; None without one."""
    proxy: TrustedProxy | None = None
    """The proxy that signs people in; None without one."""
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Each setting's value, secrets masked, and its origin; shown to operators."""
    more_tabs: tuple[tuple[str, str], ...] = ()
    """Further pages in the navigation of an organization: path and name."""
