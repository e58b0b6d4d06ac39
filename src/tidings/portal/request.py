# SPDX-License-Identifier: MIT
"""A request for a page, after session, capability and form token have been checked."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from tidings.asgi.stream import Stream
from tidings.clock import SECOND
from tidings.core.changes import Subject, SubjectKind
from tidings.core.idempotency import scoped_key
from tidings.core.services import Services
from tidings.errors import AppError, Fault
from tidings.ids import OrgId
from tidings.model.app import App
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order
from tidings.model.token import Capability, Principal
from tidings.portal import rendering
from tidings.portal.branding import Branding
from tidings.portal.context import PortalContext
from tidings.portal.response import Html, Redirect
from tidings.portal.sessions import SHARED_PART, CookieTerms, Session
from tidings.storage.drivers.database import StorageError

PORTAL: Final = "portal"
CONSOLE: Final = "console"
ONCE: Final = "once"
"""The form field that makes a form effective once, however often it is sent."""


class FaultsByField(dict[str, str]):
    """The faults in a form by the names of its fields; empty for a field without one."""

    def __missing__(self, field: str) -> str:
        """Return the empty text, so that templates may ask for any field."""
        return ""


class Form:
    """The fields of a form; each may have several values."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        """Return the last value of a field without surrounding space; empty if the form has none."""
        values = self._fields.get(name)
        return values[-1].strip() if values else ""

    def raw(self, name: str) -> str:
        """Return the last value of a field with its space."""
        values = self._fields.get(name)
        return values[-1] if values else ""

    def all(self, name: str) -> list[str]:
        """Return the values of a field that are not empty, without surrounding space."""
        return [text for each in self._fields.get(name, ()) if (text := each.strip())]

    def rows(self, name: str) -> Sequence[str]:
        """Return all values of a field with their space, also empty ones, in the order of the form."""
        return self._fields.get(name, ())

    def has(self, name: str) -> bool:
        """Return whether a field is present, as a ticked checkbox is."""
        return name in self._fields


@dataclass(slots=True, kw_only=True)
class PageRequest:
    """What a handler receives."""

    context: PortalContext
    session: Session
    principal: Principal
    """The caller, narrowed to the organization and the application of the page."""
    renew: Callable[[], Awaitable[Principal]]
    """Checks the session again, while a page is open."""
    shell: str
    """`portal` or `console`: which navigation surrounds the page."""
    base: str
    """The path of this server: the prefix of a proxy and the mount, or empty."""
    prefix: str
    """The path of the page's scope, such as `/portal/app_1`, with `base` before it."""
    path: Mapping[str, str]
    query: Form
    form: Form = field(default_factory=lambda: Form({}))
    found: App | None = None
    is_part: bool = False
    """Whether the browser asks for a part of the page only: htmx sent the request."""
    here: str = ""
    """The path of this page with `base` before it, without its query."""
    origin: str = ""
    """The URL of this server as the browser sees it, without a trailing slash."""
    cookie: CookieTerms
    """The terms of the session's cookie."""
    branding: Branding = field(default_factory=Branding)
    """The look of the page, by the settings and by the portal link."""
    seen: str = ""
    """The version of the application that the page shows; empty for a page that does not follow it."""

    @property
    def services(self) -> Services:
        return self.context.services

    @property
    def app(self) -> App:
        """The application of the page. Every view of the scope `APPLICATION` has one."""
        assert self.found is not None  # noqa: S101 - the site responded 404
        return self.found

    @property
    def org_id(self) -> OrgId:
        return self.principal.org_id

    @property
    def now(self) -> int:
        """The time of the request in milliseconds."""
        return self.services.clock.now()

    def may(self, capability: Capability | str) -> bool:
        """Return whether the session may do what needs a capability; templates give its name."""
        needed = Capability(capability) if isinstance(capability, str) else capability
        return not self.is_read_only_for(needed) and self.principal.may(needed)

    def is_read_only_for(self, needed: Capability) -> bool:
        """Return whether the session is read-only and the capability is one to write."""
        reading = (Capability.VIEW_BASE, Capability.VIEW_ENDPOINT_SECRET)
        return self.principal.is_read_only and needed not in reading

    def url(self, *segments: str, **query: Any) -> str:  # noqa: ANN401 - text and numbers
        """Return the path of a page of the same scope: `url("endpoint", id, state="failed")`."""
        return _joined(self.prefix, segments, query)

    def console_url(self, *segments: str, **query: Any) -> str:  # noqa: ANN401
        """Return the path of a page of the console: `console_url(org_id, "app", app_id)`."""
        return _joined(f"{self.base}/console", segments, query)

    def with_query(self, **changes: Any) -> str:  # noqa: ANN401
        """Return the URL of this page with some parameters of its query changed; None removes one."""
        kept = {name: self.query.all(name) for name in self.query_names}
        kept |= {name: [] if value is None else [str(value)] for name, value in changes.items()}
        text = urlencode([(name, value) for name, values in kept.items() for value in values])
        return f"{self.here}?{text}" if text else self.here

    @property
    def query_names(self) -> list[str]:
        """The names in the query."""
        return list(self.query._fields)

    def cursor(self, order: Order = Order.DESCENDING, limit: int = LIMIT_DEFAULT) -> Cursor:
        """Return the position of a list from the parameter `at` of the query, an iterator of `core`."""
        return Cursor(order, limit, self.query["at"] or None)

    def token(self, action: str) -> str:
        """Return the token of a form that is sent to an action, as `url` returns it."""
        return self.session.form_token(unquote(action.removeprefix(self.base).partition("?")[0]))

    def idempotency_key(self, about: str = "") -> str | None:
        """Return the key under which the form takes effect once for what it is about, even if it is sent twice."""
        once = self.form[ONCE]
        if not once:
            return None
        return scoped_key(self.principal, "POST", self.here, about.encode(), once.encode()[:256])

    def part(self, template: str, **values: Any) -> str:  # noqa: ANN401 - whatever the template needs
        """Render a part of a page, which gets the request as `page` beside the given values."""
        return rendering.render(template, page=self, **values)

    def follow(self, render: Callable[["PageRequest"], Awaitable[str]], subject: Subject | None = None) -> Stream:
        """Return a stream of a part that changes while its page is open: see `live.py`.

        `render` gets this request without its session, because all readers with the same rights share the part.
        """
        shared, caller, clock = replace(self, session=SHARED_PART), self.principal, self.services.clock
        rights = (caller.org_id, _rights(caller))
        return self.context.live.follow(
            (self.origin, self.with_query(), rights, self.branding),
            lambda: render(shared),
            self._may_still_read,
            subject=subject,
            session=self.session.token,
            owner=caller.org_id if self.found is None else self.found.id,
            seconds_left=lambda: (caller.until + 1 - clock.now()) / SECOND,
            reconnects=self.session.is_proxied,
        )

    async def watch(self) -> None:
        """Make the page read itself again when its application changes; call it before the page's data is read.

        The answer to a form does not: its address has no page.
        """
        if not self.form.has("csrf"):
            self.seen = await self.context.live.version(Subject(SubjectKind.APPLICATION, self.app.id))

    def changes(self) -> Stream:
        """Return a stream of signals: the application has changed since the version that a page shows."""
        caller, clock = self.principal, self.services.clock
        return self.context.live.signal(
            Subject(SubjectKind.APPLICATION, self.app.id),
            self.query["seen"],
            self._may_still_read,
            session=self.session.token,
            owner=caller.org_id if self.found is None else self.found.id,
            seconds_left=lambda: (caller.until + 1 - clock.now()) / SECOND,
            reconnects=self.session.is_proxied,
        )

    async def _may_still_read(self) -> bool:
        """Return whether the session is valid with the same rights; True if the database cannot be read."""
        try:
            caller = await self.renew()
            if caller.org_id != self.org_id and not caller.is_operator:
                return False
            if _rights(caller) != _rights(self.principal):
                return False
        except AppError:
            return False
        except StorageError:  # checked again soon
            return True
        return True

    def page(self, template: str, *, status: int = 200, **values: Any) -> Html:  # noqa: ANN401
        """Render a template, which gets the request as `page` beside the given values, and no faults by default."""
        return Html(rendering.render(template, **{"page": self, "faults": FaultsByField(), **values}), status)

    def invalid(self, template: str, faults: Sequence[Fault], **values: Any) -> Html:  # noqa: ANN401
        """Render a form again with its faults by field name; the status is 422."""
        by_field = FaultsByField()
        for fault in reversed(faults):
            # The location is (body, field) or (body, field, item).
            by_field[fault.loc[1] if len(fault.loc) > 1 else fault.loc[0]] = fault.msg
        return Html(rendering.render(template, page=self, faults=by_field, **values), 422)

    def redirect(self, *segments: str, done: str | None = None, **query: Any) -> Redirect:  # noqa: ANN401
        """Return a redirect to a page of the same scope; `done` names the sentence that the page shows."""
        return Redirect(self.url(*segments, **query, **({} if done is None else {"done": done})))


def _rights(caller: Principal) -> tuple[object, ...]:
    """Return what a session permits: a stream ends when its key gets other scopes."""
    return caller.app_id, caller.capabilities, caller.feature_flags, caller.is_read_only


def _joined(prefix: str, segments: Sequence[str], query: Mapping[str, Any]) -> str:
    path = "/".join((prefix, *(quote(str(each), safe="") for each in segments)))
    pairs = [(name, value) for name, value in query.items() if value is not None and value != ""]
    return f"{path}?{urlencode(pairs)}" if pairs else path
