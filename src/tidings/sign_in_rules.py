# SPDX-License-Identifier: MIT
"""The rules of `oidc_allowed`: which people may sign in to the console, and what each may do there.

An entry is `WHO=RIGHTS`. WHO is an e-mail address (`ada@example.com`), a domain (`@example.com`, without its
subdomains) or a group (`group:support`). RIGHTS is `operator` or the id of an organization, with `:read-only` after it
for a person who changes nothing. The first entry that matches a person counts.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

GROUP: Final = "group:"
_OPERATOR: Final = "operator"
_READ_ONLY: Final = ":read-only"
_EMAIL: Final = re.compile(r"[!#$%&'*+/=?^_`{|}~0-9a-z.-]{1,64}@[0-9a-z-]+(\.[0-9a-z-]+)*")
_DOMAIN: Final = re.compile(r"@[0-9a-z-]+(\.[0-9a-z-]+)*")
_ORGANIZATION: Final = re.compile(r"org_[0-9A-Za-z]{1,60}")
_EMAIL_MAX: Final = 254
"""The longest address that mail can be sent to (RFC 5321)."""
_GROUP_MAX: Final = 256
_FORM: Final = (
    "must list entries like ada@example.com=operator, @example.com=org_…:read-only or group:support=operator:read-only"
)


@dataclass(frozen=True, slots=True)
class SignInRule:
    """What one entry gives to whom."""

    who: str
    org_id: str | None
    """The organization; None for an operator."""
    is_read_only: bool

    def matches(self, email: str, groups: Collection[str]) -> bool:
        """Return whether a person is meant; `email` is in lower case."""
        if self.who.startswith(GROUP):
            return self.who.removeprefix(GROUP) in groups
        return email == self.who or (self.who.startswith("@") and email.endswith(self.who))


@dataclass(frozen=True, slots=True)
class SignInRules:
    """All entries, in their order."""

    rules: tuple[SignInRule, ...] = ()

    @property
    def groups(self) -> frozenset[str]:
        """The groups that are named."""
        return frozenset(each.who.removeprefix(GROUP) for each in self.rules if each.who.startswith(GROUP))

    def rule_for(self, email: str, groups: Collection[str]) -> SignInRule | None:
        """Return the first entry that matches a person, or None."""
        return next((each for each in self.rules if each.matches(email, groups)), None)

    def fingerprint(self, *terms: str) -> str:
        """Return a text that differs for other entries and other terms of the sign-in."""
        return hashlib.sha256(repr((self.rules, terms)).encode()).hexdigest()[:32]


def rules_of(entries: Sequence[str]) -> SignInRules:
    """Read the entries; raise ValueError for one that is not valid, with a phrase that follows the setting's name."""
    return SignInRules(tuple(map(_rule, entries)))


def fault(entries: Sequence[str]) -> str | None:
    """Return the fault of the entries, or None."""
    try:
        rules_of(entries)
    except ValueError as error:
        return str(error)
    return None


def email_in(text: str) -> str | None:
    """Return an e-mail address in lower case; None if the text is none, or none in ASCII."""
    email = text.strip().lower()
    return email if len(email) <= _EMAIL_MAX and _EMAIL.fullmatch(email) else None


def _rule(entry: str) -> SignInRule:
    who, equals, rights = (part.strip() for part in entry.rpartition("="))
    is_read_only = rights.endswith(_READ_ONLY)
    rights = rights.removesuffix(_READ_ONLY)
    is_known = rights == _OPERATOR or _ORGANIZATION.fullmatch(rights) is not None
    if not equals or not is_known or not _is_somebody(who):
        # A URL in the wrong setting may contain a password.
        shown = "a URL" if "//" in entry else repr(entry[:_GROUP_MAX])
        raise ValueError(f"{_FORM}, not {shown}")
    name = who if who.startswith(GROUP) else who.lower()
    return SignInRule(name, None if rights == _OPERATOR else rights, is_read_only)


def _is_somebody(who: str) -> bool:
    if who.startswith(GROUP):
        return 0 < len(who) - len(GROUP) <= _GROUP_MAX
    return email_in(who) is not None or (len(who) <= _EMAIL_MAX and _DOMAIN.fullmatch(who.lower()) is not None)
