# SPDX-License-Identifier: MIT
"""The authorization of a caller: an operator, an organization, or one of its applications."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tidings.clock import MINUTE
from tidings.errors import AppError, bad_request, unauthorized
from tidings.ids import APP, MANAGEMENT_ORG, ORG, AppId, OrgId

LEEWAY_MS: Final = 15 * MINUTE
"""The largest difference of the token issuer's clock."""
ISSUER: Final = "svix-server"
FOREVER: Final = 1 << 62
OPERATOR: Final = "operator"
"""The subject of the tokens of the command line."""


class AppPortalCapability(Enum):
    """What the token of an application permits. A token of the organization permits everything."""

    VIEW_BASE = "ViewBase"
    """Read everything except secrets. Every token permits it."""
    VIEW_ENDPOINT_SECRET = "ViewEndpointSecret"  # noqa: S105 - the name of a capability
    """Read the secrets of endpoints."""
    MANAGE_ENDPOINT_SECRET = "ManageEndpointSecret"  # noqa: S105
    """Read and rotate the secrets of endpoints."""
    MANAGE_TRANSFORMATIONS = "ManageTransformations"
    """No operation needs it."""
    CREATE_ATTEMPTS = "CreateAttempts"
    """Resend messages, and start and control background tasks."""
    MANAGE_ENDPOINT = "ManageEndpoint"
    """Create, change and delete endpoints, with their headers and secrets."""


Capability = AppPortalCapability
ALL: Final = frozenset(Capability)
VIEW_ONLY: Final = frozenset((Capability.VIEW_BASE,))
_BY_NAME: Final = {each.value: each for each in Capability}
_INCLUDES: Final = {
    Capability.MANAGE_ENDPOINT_SECRET: frozenset((Capability.VIEW_ENDPOINT_SECRET,)),
    Capability.MANAGE_ENDPOINT: frozenset((Capability.VIEW_ENDPOINT_SECRET, Capability.MANAGE_ENDPOINT_SECRET)),
}
"""The capabilities that another one includes: managing secrets includes viewing them."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token with a valid signature; timestamps in milliseconds, None if absent."""

    sub: str | None
    org: str | None = None
    feature_flags: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = None
    session: str | None = None
    digest: str = ""
    """The hash that identifies the token; not a claim."""
    issued_at: int | None = None
    issued_here_at: int | None = None
    """When this service issued the token, to the millisecond; None if another issuer did."""
    not_before: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class TokenName:
    """The parts of an application's token by which it can be revoked."""

    digest: str
    session: str | None
    issued_at: int
    """The earliest time at which the token may have been issued."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """An API key, and the version of it that was read."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: an operator, an application, or the organization if `app_id` is None."""

    org_id: OrgId
    app_id: AppId | None = None
    feature_flags: frozenset[str] = frozenset()
    capabilities: frozenset[Capability] = ALL
    token: "TokenName | None" = None
    """The token of an application, None for the organization."""
    until: int = field(default=FOREVER, compare=False)
    """When the token expires, in milliseconds, including the leeway."""
    key: KeyName | None = None
    """The API key that the caller used, None for a token."""
    is_operator: bool = False
    """Whether the caller operates the installation; it then has no access to the data of an organization."""
    is_read_only: bool = False
    """Whether the caller may only read."""
    author: str = ""
    """Who acts as the organization: the e-mail address of a person, or the id of an operator's key."""
    creates_messages: bool = field(init=False)
    """Whether the caller may create messages; computed once, because the message path reads it."""

    def __post_init__(self) -> None:
        """Compute what the message path reads."""
        may_create = self.app_id is None and not self.is_operator and not self.is_read_only
        object.__setattr__(self, "creates_messages", may_create)

    @property
    def subject(self) -> str:
        """The id of the application, of an operator's key, or of the organization; a person who is an operator."""
        if self.is_operator and (self.author or self.key is not None):
            return self.author or (self.key.id if self.key is not None else "")
        return self.app_id or self.org_id

    @property
    def creator(self) -> str:
        """The creator that tasks and keys record: the author if there is one."""
        return self.author or self.subject

    def may(self, needed: Capability | None) -> bool:
        """Return whether the caller has a capability."""
        return needed is None or needed in self.capabilities

    def may_see(self, feature_flags: tuple[str, ...] | None) -> bool:
        """Return whether the caller may see a resource with feature flags: the organization may, and holders of one."""
        return self.app_id is None or not feature_flags or not self.feature_flags.isdisjoint(feature_flags)


@dataclass(frozen=True, slots=True)
class Grant:
    """A principal and the validity of its token, in milliseconds, including the leeway."""

    principal: Principal
    since: int
    until: int

    def holds(self, now: int) -> bool:
        """Return whether the token is valid at a timestamp."""
        return self.since <= now <= self.until


def grant_of(claims: Claims) -> Grant:
    """Return the principal and the validity of claims; raises the error for the response."""
    starts = [timestamp for timestamp in (claims.issued_at, claims.not_before) if timestamp is not None]
    until = FOREVER if claims.expires_at is None else claims.expires_at + LEEWAY_MS
    return Grant(_principal_of(claims, until), since=max(starts) - LEEWAY_MS if starts else 0, until=until)


def operator_grant(claims: Claims) -> Grant:
    """Return the grant of a token of the command line, which expires without leeway; raise ValueError for another."""
    if claims.sub != OPERATOR or claims.expires_at is None:
        raise ValueError("not a token of the command line")
    return Grant(Principal(MANAGEMENT_ORG, is_operator=True, until=claims.expires_at), 0, claims.expires_at)


def _principal_of(claims: Claims, until: int) -> Principal:
    if claims.sub is None:
        raise unauthorized("Invalid token (missing `sub`).")
    if claims.org is None:
        if not claims.sub.startswith(ORG):
            raise bad_request("bad_token", f"`{claims.sub}` is not a valid organization id.")
        return Principal(OrgId(claims.sub), until=until)
    if not claims.org.startswith(ORG):
        raise _bad_token(claims.org, "organization")
    if not claims.sub.startswith(APP):
        raise _bad_token(claims.sub, "application")
    return Principal(
        OrgId(claims.org),
        AppId(claims.sub),
        frozenset(claims.feature_flags),
        _capabilities(claims.capabilities),
        TokenName(claims.digest, claims.session, _earliest_issue(claims)),
        until,
    )


def _earliest_issue(claims: Claims) -> int:
    """Return the earliest time at which a token may have been issued; the clock of another issuer may be fast."""
    if claims.issued_here_at is not None:
        return min(max(0, claims.issued_here_at), FOREVER)
    return max(0, (claims.issued_at or 0) - LEEWAY_MS)


def _capabilities(names: tuple[str, ...] | None) -> frozenset[Capability]:
    """Return the capabilities of a token. A token without the claim, such as those of svix-server, has all of them."""
    if names is None:
        return ALL
    listed = frozenset(_BY_NAME[name] for name in names if name in _BY_NAME)
    return listed.union(*(_INCLUDES.get(each, ()) for each in listed))


def _bad_token(given: str, kind: str) -> AppError:
    """The error code of svix-server for an application's token contains a space; clients may compare it."""
    return bad_request("bad token", f"`{given}` is not a valid {kind} id")
