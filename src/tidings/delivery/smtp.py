# SPDX-License-Identifier: MIT
"""Sends mails over SMTP. This module needs the extra `mail`; it is imported only if `smtp_url` is set.

TLS is never optional: `starttls://` fails if the server does not offer it, so no program on the way can remove it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from tidings.clock import SECOND
from tidings.core import notification_text
from tidings.core.notifications import MailContent, MailError
from tidings.logs import log

_PERMANENT: Final = 500
_PORTS: Final = {"smtp": 25, "smtps": 465, "starttls": 587}
_REASON_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class MailOptions:
    """Where mails go, and through which server."""

    server: str
    """The setting `smtp_url`."""
    sender: str
    recipients: tuple[str, ...]
    console: str | None = None
    """The URL of the console, if it is known."""
    timeout_seconds: float = 30.0
    """How long each step of the conversation with the server may take."""
    quit_seconds: float = 2.0
    """How long the server may take to say goodbye, when it has taken the mail."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """Another set of trusted authorities than that of the machine; for tests."""


class SmtpClient:
    """Sends each mail over a connection of its own: there is at most one a minute."""

    def __init__(self, options: MailOptions) -> None:
        self._options = options

    @property
    def place(self) -> str:
        """The host and the port of the server."""
        parts = urlsplit(self._options.server)
        return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"

    async def send(self, content: MailContent) -> None:
        """Send a mail to all recipients. Raises `MailError` unless the server has taken it for at least one."""
        options = self._options
        message = message_of(content, options)
        try:
            async with self._connected() as client:
                refused, _ = await client.sendmail(options.sender, list(options.recipients), message.as_bytes())
        except aiosmtplib.SMTPRecipientsRefused as error:
            is_refusal = all(each.code >= _PERMANENT for each in error.recipients)
            raise MailError(
                f"the mail server refuses all recipients: {_reason(error)}", is_refusal=is_refusal
            ) from None
        except aiosmtplib.SMTPResponseException as error:
            is_refusal = error.code >= _PERMANENT and isinstance(error, _ABOUT_THE_MAIL)
            raise MailError(f"the mail server answers {error.code}: {_reason(error)}", is_refusal=is_refusal) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailError(f"no mail server: {_reason(error)}") from None
        for address, answer in refused.items():
            log.warning("mail.refused", f"the mail server refuses {address}", code=answer[0])

    async def check(self) -> None:
        """Connect and sign in, without a mail. Raises `MailError` with the reason."""
        try:
            async with self._connected() as client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailError(_reason(error)) from None

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """Yield a client that has signed in. After an error or a cancellation it waits for no further answer."""
        client = self._client()
        try:
            await client.connect()
            yield client
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # the server has taken the mail
                async with asyncio.timeout(self._options.quit_seconds):
                    await client.quit()
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        parts = urlsplit(self._options.server)
        return aiosmtplib.SMTP(
            hostname=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            use_tls=parts.scheme == "smtps",
            start_tls=parts.scheme == "starttls",
            tls_context=self._options.tls,
            timeout=self._options.timeout_seconds,
            local_hostname=self._options.sender.rpartition("@")[2],
        )


_ABOUT_THE_MAIL: Final = (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused)
"""The answers that refuse a mail. A refused login or greeting is a fault of the settings, which can be corrected."""


def message_of(content: MailContent, options: MailOptions) -> EmailMessage:
    """Return a mail in plain text. The same content makes the same Message-ID."""
    message = EmailMessage(policy=SMTP_POLICY)
    message["Subject"] = notification_text.subject(content.changes, content.counts)
    message["From"] = options.sender
    message["To"] = ", ".join(options.recipients)
    message["Date"] = formatdate(content.created_at / SECOND)
    message["Message-ID"] = f"<{content.id}@{options.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notification_text.body(content.changes, content.counts, options.console), charset="utf-8")
    return message


def _reason(error: Exception) -> str:
    return notification_text.one_line(str(error) or type(error).__name__, _REASON_MAX)
