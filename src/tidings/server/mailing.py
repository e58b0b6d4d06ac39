# SPDX-License-Identifier: MIT
"""The loop that sends mails about changes of the state of endpoints, if the settings ask for them."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from tidings.clock import Clock
from tidings.core import operational
from tidings.core.notifications import MailClient, Mailer
from tidings.core.tuning import CoreTuning
from tidings.observe import RepeatedWork
from tidings.settings import ConfigError, Settings
from tidings.storage.drivers.database import Database

_CONSOLE: Final = "/console"


class MailLoop:
    """Looks for mails to send every few seconds, and soon after a change that this node stored."""

    def __init__(self, mailer: Mailer | None, tuning: CoreTuning = CoreTuning()) -> None:
        self._mailer = mailer
        self._tuning = tuning
        self._woken = asyncio.Event()
        self._work = RepeatedWork("sending mails about endpoints")

    async def run(self) -> None:
        """Send mails until canceled; return at once without recipients."""
        if self._mailer is None:
            return
        operational.listeners.add(self._woken.set)
        try:
            await self._try(self._mailer.start)
            while True:
                await self._try(partial(self._look, self._mailer))
                try:
                    await asyncio.wait_for(self._woken.wait(), self._tuning.mail_poll_seconds)
                except TimeoutError:
                    continue
                self._woken.clear()
                await asyncio.sleep(self._tuning.mail_linger_seconds)
        finally:
            operational.listeners.discard(self._woken.set)

    async def _look(self, mailer: Mailer) -> None:
        if await mailer.send_due():
            self._work.passed()

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the mail stays stored
            self._work.failed(error)


def mail_loop(settings: Settings, db: Database, clock: Clock) -> MailLoop:
    """Return the loop of a process. Raises `ConfigError` if there are recipients, but not the extra `mail`."""
    return MailLoop(Mailer(db, clock, smtp_client(settings).send) if settings.notify_email else None)


def smtp_client(settings: Settings) -> MailClient:
    """Return the client of the mail server. Raises `ConfigError` without the extra `mail`."""
    try:
        from tidings.delivery.smtp import MailOptions, SmtpClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError("smtp_url needs the extra mail: pip install 'tidings[mail]'") from error
    portal = (settings.app_portal_url or "").rstrip("/")
    return SmtpClient(
        MailOptions(
            server=settings.smtp_url or "",
            sender=settings.notify_from or settings.notify_email[0],
            recipients=settings.notify_email,
            console=f"{portal}{_CONSOLE}" if portal else None,
        )
    )
