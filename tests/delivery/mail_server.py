# SPDX-License-Identifier: MIT
"""A real SMTP server on loopback, which keeps the mails that it takes, and refuses, hangs or breaks on request."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "relay", "p@ss/wörd"


@dataclass
class MailServer:
    """The handler of a server, and what it has received."""

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """The answers to `RCPT` by recipient, and to `DATA`; 250 by default."""
    hangs: str = ""
    """The command after which the server hangs."""
    is_hanging: asyncio.Event = field(default_factory=asyncio.Event)
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def mails(self) -> list[EmailMessage]:
        found = [message_from_bytes(_bytes(each), policy=default) for each in self.envelopes]
        return [each for each in found if isinstance(each, EmailMessage)]

    @property
    def texts(self) -> list[str]:
        return [str(mail.get_content()) for mail in self.mails]

    async def _hang_at(self, command: str) -> None:
        if self.hangs == command:
            self.is_hanging.set()
            await asyncio.Event().wait()

    async def handle_EHLO(  # noqa: N802 - the names and the arguments that the library calls
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        await self._hang_at("EHLO")
        session.host_name = hostname
        return responses

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        await self._hang_at("QUIT")
        return "221 Bye"

    async def handle_RCPT(  # noqa: N802 - the name and the arguments that the library calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        await self._hang_at("RCPT")
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._hang_at("DATA")
        answer = self.answers.get("DATA", "250 OK")
        if answer.startswith("250"):
            self.was_encrypted.append(server.session is not None and server.session.ssl is not None)
            self.envelopes.append(envelope)
            self.taken.set()
        return answer

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)


def _bytes(envelope: Envelope) -> bytes:
    assert isinstance(envelope.content, bytes)
    return envelope.content


@asynccontextmanager
async def serving_mail(
    *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, needs_login: bool = False
) -> AsyncIterator[MailServer]:
    """Run a server: with `tls` from the start, or with `starttls` after STARTTLS, which it then requires."""
    found = MailServer()

    def protocol() -> SMTP:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # a login without TLS is not secure
            return SMTP(
                found,
                hostname="mail.test",
                tls_context=starttls,
                require_starttls=starttls is not None,
                authenticator=found.authenticate,
                auth_required=needs_login,
                auth_require_tls=False,
                loop=asyncio.get_running_loop(),
            )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
