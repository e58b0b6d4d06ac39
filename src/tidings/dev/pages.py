# SPDX-License-Identifier: MIT
"""The page of the inbox in the console, and the sign-in link that the terminal shows."""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from tidings.asgi.http import AsgiScope
from tidings.asgi.stream import Stream
from tidings.clock import SECOND
from tidings.core.changes import Subject
from tidings.dev.inbox import Inbox, InboxMode, ReceivedWebhook
from tidings.dev.sample import ENDPOINT_UID, SAMPLE_TYPES, Sample
from tidings.dev.sign_in import OneTimeCodes
from tidings.errors import bad_request, not_found
from tidings.ids import OrgId
from tidings.portal.live import Live, LiveTuning
from tidings.portal.request import CONSOLE, PageRequest
from tidings.portal.response import Answer
from tidings.portal.sessions import cookie_value
from tidings.portal.sign_in import OpenHandler, OpenRequest, cookie
from tidings.portal.view import Scope, View

PATH: Final = "inbox"
SIGN_IN: Final = "/console/sign-in/once"
_LIVE_SECONDS: Final = 0.25
_SHOWN: Final = 50
_LOCALHOST: Final = "localhost"
_MODES: Final = (
    (InboxMode.ACCEPTING, "Accept", "Responds with 200"),
    (InboxMode.FAILING, "Fail", "Responds with 500"),
    (InboxMode.SLOW, "Slow down", "Responds with 200 after 5 s"),
    (InboxMode.HANGING, "Hang", "Never responds; given up after 10 s"),
)


@dataclass(frozen=True, slots=True)
class InboxState:
    """What the page shows at one time."""

    mode: InboxMode
    webhooks: tuple[ReceivedWebhook, ...]
    """The newest ones."""
    total: int
    missing: int
    """Messages that arrived and were never accepted."""
    failed: ReceivedWebhook | None
    """The newest of them."""
    selected: ReceivedWebhook | None


def state_of(inbox: Inbox, number: int | None = None) -> InboxState:
    """Return the state of the inbox; `number` selects a webhook, by default the newest one."""
    received = inbox.received
    accepted = {each.msg_id for each in received if each.is_accepted}
    failed = [each for each in received if each.msg_id and not each.is_pending and each.msg_id not in accepted]
    selected = None if number is None else inbox.find(number)
    return InboxState(
        mode=inbox.mode,
        webhooks=tuple(received[:_SHOWN]),
        total=inbox.total,
        missing=len({each.msg_id for each in failed}),
        failed=failed[0] if failed else None,
        selected=selected or (received[0] if received else None),
    )


class InboxPages:
    """The page of the inbox, and the targets of its forms."""

    def __init__(self, inbox: Inbox, sample: Sample) -> None:
        self._inbox = inbox
        self._sample = sample
        self.live: Final = Live(_no_versions, LiveTuning(seconds=_LIVE_SECONDS))

    @property
    def views(self) -> tuple[View, ...]:
        """The views to serve."""
        organization = Scope.ORGANIZATION
        return (
            View(scope=organization, path=f"/{PATH}", handler=self.show),
            View(scope=organization, path=f"/{PATH}/live", handler=self.follow),
            View(scope=organization, path=f"/{PATH}/mode", handler=self.switch, method="POST"),
            View(scope=organization, path=f"/{PATH}/send", handler=self.send, method="POST"),
            View(scope=organization, path=f"/{PATH}/clear", handler=self.clear, method="POST"),
        )

    async def show(self, page: PageRequest) -> Answer:
        """Show the webhooks that arrived, and one of them in full."""
        self._require_ours(page)
        return page.page("dev_inbox.html", **self._values(page), modes=_MODES, types=SAMPLE_TYPES)

    async def follow(self, page: PageRequest) -> Stream:
        """Send the list again whenever it changes."""
        self._require_ours(page)

        rendered = (-1, 0), ""

        async def render(shared: PageRequest) -> str:
            nonlocal rendered
            at = self._inbox.version, shared.now // SECOND  # times on the page are relative
            if rendered[0] != at:
                rendered = at, shared.part("dev_inbox_live.html", **self._values(shared))
            return rendered[1]

        return replace(page, context=replace(page.context, live=self.live)).follow(render)

    async def switch(self, page: PageRequest) -> Answer:
        """Make the inbox behave differently."""
        self._require_ours(page)
        try:
            mode = InboxMode(page.form["mode"])
        except ValueError as error:
            raise bad_request("no_mode", "The inbox has no such mode.") from error
        self._inbox.switch(mode)
        return page.redirect(PATH)

    async def send(self, page: PageRequest) -> Answer:
        """Send a message to the sample application."""
        self._require_ours(page)
        wanted = page.form["event_type"]
        found = next((each for each in SAMPLE_TYPES if each.name == wanted), None)
        if found is None:
            raise bad_request("no_type", "The sample has no such event type.")
        await self._sample.send(found)
        return page.redirect(PATH)

    async def clear(self, page: PageRequest) -> Answer:
        """Remove the webhooks from the page."""
        self._require_ours(page)
        self._inbox.clear()
        return page.redirect(PATH)

    def _require_ours(self, page: PageRequest) -> None:
        """Raise `not_found` in every other organization: the inbox belongs to the sample."""
        if page.org_id != self._sample.app.org_id:
            raise not_found()

    def _values(self, page: PageRequest) -> dict[str, Any]:
        text = page.query["show"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004
        app = self._sample.app
        return {
            "state": state_of(self._inbox, number),
            "is_pinned": number is not None,
            "app": app,
            "app_url": page.url("app", app.id),
            "recover_url": page.url("app", app.id, "endpoint", ENDPOINT_UID, "recover"),
            "message_url": lambda msg_id: page.url("app", app.id, "message", msg_id),
        }


async def _no_versions(_subjects: Collection[Subject]) -> Mapping[Subject, str]:
    """Return no versions: the inbox is in memory, and is rendered at each look."""
    return {}


class SignInLink:
    """The link that signs in once: from this machine only, and with the address of this machine."""

    def __init__(self, codes: OneTimeCodes, org_id: OrgId, token: str) -> None:
        self._codes = codes
        self._org_id = org_id
        self._token = token

    @property
    def routes(self) -> dict[str, dict[str, OpenHandler]]:
        """The page to serve."""
        return {SIGN_IN: {"GET": self.open}}

    async def open(self, request: OpenRequest) -> Answer:
        """Exchange the code for a session of the console."""
        if not is_local(request.scope):
            raise not_found()
        target = f"{request.base}/console/{self._org_id}/{PATH}"
        terms = cookie(request.context, request.scope, CONSOLE, {})
        page = request.page("dev_signed_in.html", target=target)
        if not _is_prefetch(request.scope) and self._codes.redeem(request.query["code"]):
            return replace(page, headers=(terms.set_cookie(self._token),))
        if cookie_value(dict(request.scope["headers"]), terms.full_name) is not None:
            return page
        return request.page("dev_link_used.html", status=401)


def is_local(scope: AsgiScope) -> bool:
    """Return whether a request comes from this machine and names it: a foreign name may be bound to its address."""
    host = urlsplit(f"//{dict(scope['headers']).get(b'host', b'').decode('latin-1')}").hostname
    client = scope.get("client")
    return client is not None and is_loopback(client[0]) and (host == _LOCALHOST or is_loopback(host or ""))


def is_loopback(text: str) -> bool:
    """Return whether a text is an address of this machine itself."""
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def _is_prefetch(scope: AsgiScope) -> bool:
    """Return whether a browser only looks ahead, so that the page is not seen yet."""
    return scope["method"] != "GET" or b"prefetch" in dict(scope["headers"]).get(b"sec-purpose", b"")
