# SPDX-License-Identifier: MIT
"""Sessions that this service signs itself: those of people, and portals that the console opens.

A session is a text with its rights, its end and an HMAC; nothing is stored until it is ended. It is no token: the API
accepts none of them. Each use checks what it depends on: the rules by which a person was admitted, the key that opened
a portal, and whether it was ended. A portal that a session opens has the id of that session, and ends with it.
"""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from tidings.core.access import TokenSecrets
from tidings.core.services import Services
from tidings.errors import AppError, unauthorized
from tidings.ids import AppId, OrgId
from tidings.model.token import ALL, VIEW_ONLY, KeyName, Principal, TokenName
from tidings.storage.drivers.database import retried
from tidings.storage.tables import apps as stored

PREFIX: Final = "session."
CONSOLE: Final = AppId("console")
"""Takes the place of the application in records of ended sessions."""
_LABEL: Final = b"tidings page session v1"
_FORM_LABEL: Final = b"tidings page form v1"


class PageSession(msgspec.Struct, frozen=True, kw_only=True, rename={"key_id": "kid", "key_version": "kv"}):
    """The rights of a browser; timestamps in milliseconds."""

    id: str
    org_id: str
    issued_at: int
    until: int
    author: str = ""
    """The e-mail address of a person, or the id of an operator's key."""
    app_id: str | None = None
    """The application, for a portal."""
    is_operator: bool = False
    is_read_only: bool = False
    terms: str | None = None
    """The fingerprint of the rules that admitted a person; None for a session that depends on none."""
    key_id: str | None = None
    key_version: int = 0

    @property
    def principal(self) -> Principal:
        """The caller that the session identifies."""
        return Principal(
            OrgId(self.org_id),
            None if self.app_id is None else AppId(self.app_id),
            capabilities=VIEW_ONLY if self.is_read_only else ALL,
            token=None if self.app_id is None else TokenName(self.id, None, self.issued_at),
            until=self.until,
            key=None if self.key_id is None else KeyName(self.key_id, self.key_version),
            is_operator=self.is_operator,
            is_read_only=self.is_read_only,
            author=self.author,
        )


_decoder: Final = msgspec.json.Decoder(PageSession)


class PageSessions:
    """Issues, checks and ends sessions."""

    def __init__(
        self, secrets: TokenSecrets, services: Services, require_key: Callable[[Principal], Awaitable[None]], terms: str
    ) -> None:
        """`require_key` raises `unauthorized` for a caller whose key has ended or changed; `terms` are the present."""
        both = f"{secrets.pages}\n{secrets.current}".encode()
        self._key = hmac.digest(both, _LABEL, "sha256")
        self.form_key: Final = hmac.digest(both, _FORM_LABEL, "sha256")
        """The key of form tokens and sign-ins for which there is no token or key that only the browser knows."""
        self._services = services
        self._require_key = require_key
        self._terms = terms

    @property
    def terms(self) -> str:
        """The fingerprint of the present rules for people."""
        return self._terms

    def issue(self, session: PageSession) -> str:
        """Return the text of a session."""
        body = _base64url(msgspec.json.encode(session))
        return f"{PREFIX}{body}.{self._mac(body)}"

    async def caller(self, text: str) -> Principal:
        """Return the caller of a session; raise `unauthorized` if it has ended."""
        session = self.read(text)
        if session.terms is not None and not hmac.compare_digest(session.terms, self._terms):
            raise unauthorized("The rules of the sign-in have changed.")
        async with self._services.db.read() as read:
            names = [_name(session)]
            now = self._services.clock.now()
            if await stored.is_token_ended(read, CONSOLE, names, issued_at=session.issued_at, now=now):
                raise unauthorized("You are signed out.")
        caller = session.principal
        await self._require_key(caller)
        return caller

    def read(self, text: str) -> PageSession:
        """Return a session with a valid HMAC that has not expired; raise `unauthorized` for another text."""
        body, _, mac = text.removeprefix(PREFIX).partition(".")
        if not text.startswith(PREFIX) or not hmac.compare_digest(mac.encode(), self._mac(body).encode()):
            raise unauthorized()
        try:
            session = _decoder.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (binascii.Error, msgspec.MsgspecError) as error:
            raise unauthorized() from error
        if self._services.clock.now() >= session.until:
            raise unauthorized("The session has expired.")
        return session

    async def end(self, text: str) -> None:
        """End a session on every node, with the portals that it opened; ignore a text that is no session."""
        try:
            session = self.read(text)
        except AppError:
            return
        await self._record(_name(session))

    async def use_once(self, name: str) -> bool:
        """Record the use of a text that may be used once; return whether this is the first use."""

        async def work() -> bool:
            async with self._services.db.write() as tx:
                now = self._services.clock.now()
                if await stored.is_token_ended(tx, CONSOLE, [name], issued_at=0, now=now):
                    return False
                await stored.end_tokens(tx, CONSOLE, [name], issued_before=1, ends_at=now)
                return True

        return await retried(work)

    async def _record(self, name: str) -> None:
        async def work() -> None:
            async with self._services.db.write() as tx:
                now = self._services.clock.now()
                await stored.end_tokens(tx, CONSOLE, [name], issued_before=now + 1, ends_at=now)

        await retried(work)

    def _mac(self, body: str) -> str:
        return _base64url(hmac.digest(self._key, body.encode("utf-8", "surrogatepass"), "sha256"))


def _name(session: PageSession) -> str:
    return f"session:{session.id}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
