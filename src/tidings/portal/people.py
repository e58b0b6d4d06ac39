# SPDX-License-Identifier: MIT
"""People in the console: the rights that the rules give to a person, and the header of a trusted proxy."""

import ipaddress
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from tidings.asgi.http import AsgiScope
from tidings.clock import HOUR, Clock
from tidings.core.page_sessions import PageSession
from tidings.errors import AppError, ErrorKind
from tidings.ids import MANAGEMENT_ORG
from tidings.sign_in_rules import SignInRules, email_in

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

_ID_BYTES: Final = 16
_PROXIED_MS: Final = HOUR
"""How long an open page may follow its state before the proxy is asked again."""
NOT_ALLOWED: Final = "not_allowed"


def new_id() -> str:
    """Return the id of a new session."""
    return secrets.token_urlsafe(_ID_BYTES)


def not_allowed(detail: str) -> AppError:
    """Return the error for a person without access."""
    return AppError(ErrorKind.FORBIDDEN, NOT_ALLOWED, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The rules for people; `terms` is the fingerprint of all settings on which their sessions depend."""

    rules: SignInRules = field(default_factory=SignInRules)
    terms: str = ""
    session_ms: int = 12 * HOUR

    def admitted(self, text: str, groups: Collection[str], now: int, lasts_ms: int) -> PageSession:
        """Return the session of a person with an e-mail address; raise `AppError` if no rule admits it."""
        email = email_in(text)
        if email is None:
            raise not_allowed("The provider gave no valid e-mail address.")
        rule = self.rules.rule_for(email, groups)
        if rule is None:
            raise not_allowed(f"{email} has no access to this console. Ask an operator to add it to oidc_allowed.")
        return PageSession(
            id=new_id(),
            org_id=rule.org_id or MANAGEMENT_ORG,
            issued_at=now,
            until=now + lasts_ms,
            author=email,
            is_operator=rule.org_id is None,
            is_read_only=rule.is_read_only,
            terms=self.terms,
        )


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """The proxy that signs people in, and its headers, in lower case."""

    subnets: tuple[Subnet, ...]
    user_header: bytes
    groups_header: bytes | None
    people: People

    def session(self, scope: AsgiScope, clock: Clock) -> PageSession | None:
        """Return the session of the person whom the proxy names; None if it is not the proxy, or names no person.

        Raises `AppError` for a person without access.
        """
        if not self._is_trusted(scope):
            return None
        names = _values(scope, self.user_header)
        if not names or names == [""]:
            return None
        if len(names) > 1:
            raise not_allowed("The proxy sent more than one name.")
        listed = [] if self.groups_header is None else _values(scope, self.groups_header)
        groups = {group.strip() for text in listed for group in text.split(",")}
        return self.people.admitted(names[0], groups, clock.now(), _PROXIED_MS)

    def _is_trusted(self, scope: AsgiScope) -> bool:
        """Return whether the connection itself comes from the proxy; no header can say so."""
        client = scope.get("client")
        try:
            address = ipaddress.ip_address(client[0]) if client else None
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return address is not None and any(address in subnet for subnet in self.subnets)


def _values(scope: AsgiScope, name: bytes) -> list[str]:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1").strip() for each, value in headers if each == name]
