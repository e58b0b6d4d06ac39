# SPDX-License-Identifier: MIT
"""Who a token speaks for: an organisation, or one application of it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tidings.clock import MINUTE
from tidings.errors import AppError, bad_request, unauthorized
from tidings.ids import APP, ORG, AppId, OrgId

LEEWAY_MS: Final = 15 * MINUTE
"""How far the clock of whoever issued a token may be off."""
ISSUER: Final = "svix-server"
FOREVER: Final = 1 << 62


class AppPortalCapability(Enum):
    """What the token of an application permits. A token of the organization permits everything."""

    VIEW_BASE = "ViewBase"
    """Read everything except secrets. Every token permits it."""
    VIEW_ENDPOINT_SECRET = "ViewEndpointSecret"  # noqa: S105 - the name of an ability
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
_BY_NAME: Final = {each.value: each for each in Capability}
_INCLUDES: Final = {
    Capability.MANAGE_ENDPOINT_SECRET: frozenset((Capability.VIEW_ENDPOINT_SECRET,)),
    Capability.MANAGE_ENDPOINT: frozenset((Capability.VIEW_ENDPOINT_SECRET, Capability.MANAGE_ENDPOINT_SECRET)),
}
"""Who changes secrets sees them, and who changes endpoints does so to any part of them."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, its signature already checked. Timestamps are milliseconds; None is "not said"."""

    sub: str | None
    org: str | None = None
    feature_flags: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = None
    session: str | None = None
    digest: str = ""
    """Names the token itself; no part of what it says."""
    issued_at: int | None = None
    issued_here_at: int | None = None
    """When this service made the token, to the millisecond; None where another did."""
    not_before: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class TokenName:
    """A token of an application, as far as it matters to whoever ends it."""

    digest: str
    session: str | None
    issued_at: int
    """The earliest timestamp at which it may have been issued."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. Without an application it is the organisation itself."""

    org_id: OrgId
    app_id: AppId | None = None
    feature_flags: frozenset[str] = frozenset()
    capabilities: frozenset[Capability] = ALL
    token: "TokenName | None" = None
    """Which token of an application it is."""
    until: int = field(default=FOREVER, compare=False)
    """When the token counts no more, in milliseconds, the leeway included."""

    @property
    def subject(self) -> str:
        """The narrowest thing that the caller speaks for."""
        return self.app_id or self.org_id

    def may(self, needed: Capability | None) -> bool:
        """Tell whether the caller is able to something."""
        return self.app_id is None or needed is None or needed in self.capabilities

    def may_see(self, feature_flags: tuple[str, ...] | None) -> bool:
        """Tell whether something behind feature flags is visible: to the organisation, and to who has one of them."""
        return self.app_id is None or not feature_flags or not self.feature_flags.isdisjoint(feature_flags)


@dataclass(frozen=True, slots=True)
class Grant:
    """A principal and the time in which its token counts, in milliseconds, the leeway included."""

    principal: Principal
    since: int
    until: int

    def holds(self, now: int) -> bool:
        """Tell whether the token counts at a timestamp."""
        return self.since <= now <= self.until


def grant_of(claims: Claims) -> Grant:
    """Say whom claims stand for and when; raises the refusal that the caller is told."""
    starts = [timestamp for timestamp in (claims.issued_at, claims.not_before) if timestamp is not None]
    until = FOREVER if claims.expires_at is None else claims.expires_at + LEEWAY_MS
    return Grant(_principal_of(claims, until), since=max(starts) - LEEWAY_MS if starts else 0, until=until)


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
    """Return when a token may have been issued at the earliest: the clock of another issuer may be ahead of ours."""
    if claims.issued_here_at is not None:
        return min(max(0, claims.issued_here_at), FOREVER)
    return max(0, (claims.issued_at or 0) - LEEWAY_MS)


def _capabilities(names: tuple[str, ...] | None) -> frozenset[Capability]:
    """Return what a token is able to; one that does not say, as the peer's do not, is able to all."""
    if names is None:
        return ALL
    listed = frozenset(_BY_NAME[name] for name in names if name in _BY_NAME)
    return listed.union(*(_INCLUDES.get(each, ()) for each in listed))


def _bad_token(given: str, kind: str) -> AppError:
    """The peer's code for an application's token has a space in it; clients may compare it."""
    return bad_request("bad token", f"`{given}` is not a valid {kind} id")
