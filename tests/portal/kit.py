# SPDX-License-Identifier: MIT
"""A browser without JavaScript: follows redirects, keeps cookies, and sends the forms of the page it is on."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final

import httpx

from api.kit import SECRET, Api
from portal.streams import OpenStream
from tidings.api.app import build
from tidings.core.access import TokenSecrets
from tidings.portal.live import Live
from tidings.portal.sessions import CONSOLE_COOKIE, PORTAL_COOKIE, Session, form_key
from tidings.server.portal import live_parts, pages
from tidings.settings import Settings
from tidings.table import TABLE

HERE: Final = "http://tidings"
_SECRETS: Final = TokenSecrets(SECRET)


@dataclass(slots=True)
class Site:
    """An API, and browsers on the pages beside it."""

    api: Api
    app: Any
    """The ASGI application with both."""
    live: Live

    def browser(self) -> "Browser":
        """Return a browser that has not signed in."""
        return Browser(httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=HERE))

    async def portal(self, app: str, **access: Any) -> "Browser":
        """Return a browser signed in to an application's portal; `access` is the body of `app-portal-access`."""
        url = (await self.api.made(f"/auth/app-portal-access/{app}", access))["url"]
        browser = self.browser()
        await browser.post("/portal/sign-in", key=url)
        assert browser.status == 200, browser.text
        return browser

    async def stream(self, browser: "Browser", path: str, *, first: str = "") -> OpenStream:
        """Open the stream of a live part, and take its first part, which is `first` if that is given."""
        stream = OpenStream(self.app, browser.client.build_request("GET", path))
        assert await stream.status() == 200
        part = await stream.part()
        assert part == first if first else part
        return stream

    async def console(self, token: str | None = None) -> "Browser":
        """Return a browser signed in to the console, with the organization's token or another."""
        browser = self.browser()
        await browser.post("/console/sign-in", key=self.api.token if token is None else token, next="")
        assert browser.status == 200, browser.text
        return browser


def site_of(api: Api, **settings: Any) -> Site:
    """Return the pages beside an API."""
    live = live_parts(api.db)
    return Site(api, build(api.context, TABLE, pages(Settings(**settings), api.context, _SECRETS, live)), live)


@dataclass(slots=True)
class Browser:
    """A browser and the page that it shows."""

    client: httpx.AsyncClient
    response: httpx.Response = field(default_factory=lambda: httpx.Response(204))

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def text(self) -> str:
        return self.response.text

    @property
    def path(self) -> str:
        return self.response.url.path

    @property
    def page(self) -> "Page":
        return Page(self.text)

    async def open(self, path: str, **query: Any) -> "Page":
        """Open a page, follow its redirects, and return its content."""
        self.response = await self.client.get(path, params=query or None, follow_redirects=True)
        return self.page

    async def post(self, path: str, **fields: Any) -> "Page":
        """Send a form as this server's pages do, but with these fields alone."""
        self.response = await self.client.post(path, data=fields, headers={"origin": HERE}, follow_redirects=True)
        return self.page

    async def submit(self, action: str, **fields: Any) -> "Page":
        """Send the form on the page whose action ends so, with its present values and these; None leaves one out."""
        form = self.page.form(action)
        data = {**form.values, **fields}
        return await self.post(form.action, **{name: value for name, value in data.items() if value is not None})


def form_token(browser: Browser, target: str) -> str:
    """Return the valid token of a form that no page has."""
    [cookie] = [each for each in browser.client.cookies.jar if each.name in (CONSOLE_COOKIE, PORTAL_COOKIE)]
    return Session(cookie.value or "", form_key(SECRET)).form_token(target)


@dataclass(slots=True)
class FormOnPage:
    """A form on a page: its action and the values that it would send."""

    action: str
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, value: str) -> None:
        """Add a value; several of one name become a list."""
        if name not in self.values:
            self.values[name] = value
        elif isinstance(self.values[name], list):
            self.values[name].append(value)
        else:
            self.values[name] = [self.values[name], value]

    def append(self, name: str, text: str) -> None:
        """Append a text to the last value of a name."""
        if isinstance(self.values[name], list):
            self.values[name][-1] += text
        else:
            self.values[name] += text


class Page(HTMLParser):
    """The texts, links and forms of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.forms: list[FormOnPage] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.named: dict[str, str] = {}
        self._within: str | None = None
        self._area: str | None = None
        self._is_new = False
        self._select: str | None = None
        self.feed(text)

    @property
    def said(self) -> str:
        """The texts of the page with single spaces."""
        return " ".join(" ".join(self.words).split())

    def text_of(self, name: str) -> str:
        """Return the text in the `pre` with this id."""
        return self.named[name]

    def form(self, action: str) -> FormOnPage:
        """Return the form whose action ends so."""
        found = [each for each in self.forms if each.action.partition("?")[0].endswith(action)]
        assert found, f"no form {action} among {[each.action for each in self.forms]}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "pre" and "id" in given:
            self._within = given["id"]
            self.named[self._within] = ""
        if tag == "form":
            self.forms.append(FormOnPage(given.get("action", "")))
        if self.forms and "name" in given and "disabled" not in given:
            self._field(tag, given)
        if tag == "option" and self._select and ("selected" in given or self._select not in self.forms[-1].values):
            self.forms[-1].values[self._select] = given.get("value", "")

    def _field(self, tag: str, given: dict[str, str]) -> None:
        name, kind = given["name"], given.get("type", "text")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area, self._is_new = name, True
            self.forms[-1].add(name, "")
        elif tag == "input" and (kind not in ("checkbox", "radio") or "checked" in given):
            self.forms[-1].add(name, given.get("value", "on" if kind in ("checkbox", "radio") else ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None
        if tag == "select":
            self._select = None
        if tag == "pre":
            self._within = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.forms[-1].append(self._area, data.removeprefix("\n") if self._is_new else data)  # as browsers do
            self._is_new = False
        if self._within is not None:
            self.named[self._within] += data
        self.words.append(data)
