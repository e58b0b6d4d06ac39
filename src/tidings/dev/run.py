# SPDX-License-Identifier: MIT
"""The work of `tidings dev`: one node on SQLite with the sample, the inbox and the sign-in link."""

import asyncio
import webbrowser
from collections.abc import Callable
from typing import Final, Protocol

from tidings.clock import SystemClock
from tidings.core.services import Acceptor, Services
from tidings.core.signer import Signer
from tidings.dev.folder import DevFolder
from tidings.dev.inbox import Inbox
from tidings.dev.pages import PATH, SIGN_IN, InboxPages, SignInLink, is_loopback
from tidings.dev.receiver import InboxReceiver
from tidings.dev.sample import SAMPLE_TYPES, Sample
from tidings.dev.sign_in import OneTimeCodes
from tidings.ids import DEFAULT_ORG
from tidings.process.stopping import Stop
from tidings.server.extension import AddedPages
from tidings.server.serving import serve
from tidings.settings import LOOPBACK, ConfigError, Settings
from tidings.storage.drivers.database import SchemaError

RECEIVER: Final = "/dev-inbox"
"""The path of the inbox's receiver."""
REQUEST_TIMEOUT: Final = 10
"""Seconds that a receiver may take: an inbox that hangs is noticed while the developer looks."""


class Announcer(Protocol):
    """Shows where the service is."""

    def announce(self, url: str, token: str, new_link: Callable[[], str]) -> None:
        """Show the addresses and the token; `new_link` returns a sign-in link, another one with each call."""
        ...

    def close(self) -> None:
        """Show nothing any more."""
        ...


def settings_of(folder: DevFolder, listen: str) -> Settings:
    """Return the settings. Raises `ConfigError` unless the address is one of this machine, with a port."""
    given = Settings(
        listen_address=listen.replace("localhost:", "127.0.0.1:"),
        db_dsn=folder.database_url,
        whitelist_subnets=LOOPBACK,
        worker_request_timeout=REQUEST_TIMEOUT,
        log_level="warning",
    )
    host, port = given.listen
    if not is_loopback(host) or not port:
        raise ConfigError(
            f"tidings dev listens on this machine only, not on {listen}: use an address like 127.0.0.1:8071, or"
            " `tidings serve` for a server that others can reach"
        )
    return given


async def run(settings: Settings, folder: DevFolder, announcer: Announcer, *, open_browser: bool) -> None:
    """Run the service until SIGTERM or Ctrl-C. Raises `ConfigError` if it cannot start."""
    try:
        await serve(settings, extension=DevExtension(settings, folder, announcer, open_browser=open_browser))
    except SchemaError as error:
        raise ConfigError(f"{error}. To start over, delete the folder {folder.path.absolute()}") from error
    except ConfigError as error:
        raise ConfigError(str(error).replace(" or set TIDINGS_LISTEN_ADDRESS", " with another port")) from error


class DevExtension:
    """The parts that `tidings dev` adds to a node."""

    def __init__(self, settings: Settings, folder: DevFolder, announcer: Announcer, *, open_browser: bool) -> None:
        host, port = settings.listen
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._folder = folder
        self._announcer = announcer
        self._opens_browser = open_browser
        self._inbox = Inbox(SystemClock())
        self._codes = OneTimeCodes(SystemClock())
        self._is_new = False
        self._token = ""
        self._sample: Sample | None = None
        self._pages: InboxPages | None = None
        self._work: asyncio.Task[None] | None = None

    def bind(self, services: Services, acceptor: Acceptor, signer: Signer) -> AddedPages:
        """Build the pages and the receiver of the inbox, and the sign-in link."""
        self._token = self._folder.token(signer, DEFAULT_ORG, services.clock.now())
        self._sample = sample = Sample(services, acceptor, DEFAULT_ORG)
        self._pages = pages = InboxPages(self._inbox, sample)
        return AddedPages(
            views=pages.views,
            open_routes=SignInLink(self._codes, DEFAULT_ORG, self._token).routes,
            tabs=((PATH, "Inbox"),),
            apps={RECEIVER: InboxReceiver(self._inbox, sample.keys)},
        )

    async def prepare(self) -> None:
        """Create the sample, or lead it to the present address."""
        if self._sample is not None:
            self._is_new = await self._sample.prepare(f"{self._url}{RECEIVER}")

    def started(self, stop: Stop) -> None:
        """Send the first messages, and show where the service is."""
        self._work = asyncio.create_task(self._run(stop), name="dev")

    async def _run(self, stop: Stop) -> None:
        try:
            self._announcer.announce(self._url, self._token, self._new_link)
            if self._is_new and self._sample is not None:
                for each in SAMPLE_TYPES:
                    await self._sample.send(each)
            if self._opens_browser:
                await asyncio.to_thread(webbrowser.open, self._new_link())
            await stop.requested.wait()
        finally:
            self._announcer.close()
            self._inbox.stop()
            if self._pages is not None:
                self._pages.live.close()

    def _new_link(self) -> str:
        return f"{self._url}{SIGN_IN}?code={self._codes.issue()}"
