# SPDX-License-Identifier: MIT
"""Who a token speaks for: an organisation, or one application of it."""

from dataclasses import dataclass
from typing import Final

from tidings.clock import MINUTE
from tidings.errors import AppError, bad_request, unauthorized
from tidings.ids import APP, ORG, AppId, OrgId

LEEWAY_MS: Final = 15 * MINUTE
"""How far the clock of whoever issued a token may be off."""
ISSUER: Final = "svix-server"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, its signature already checked. Moments are milliseconds; None is "not said"."""

    sub: str | None
    org: str | None = None
    feature_flags: tuple[str, ...] = ()
    issued_at: int | None = None
    not_before: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. Without an application it is the organisation itself."""

    org_id: OrgId
    app_id: AppId | None = None
    feature_flags: frozenset[str] = frozenset()

    @property
    def subject(self) -> str:
        """The narrowest thing that the caller speaks for."""
        return self.app_id or self.org_id

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
        """Tell whether the token counts at a moment."""
        return self.since <= now <= self.until


FOREVER: Final = 1 << 62


def grant_of(claims: Claims) -> Grant:
    """Say whom claims stand for and when; raises the refusal that the caller is told."""
    starts = [moment for moment in (claims.issued_at, claims.not_before) if moment is not None]
    return Grant(
        principal=_principal_of(claims),
        since=max(starts) - LEEWAY_MS if starts else 0,
        until=FOREVER if claims.expires_at is None else claims.expires_at + LEEWAY_MS,
    )


def _principal_of(claims: Claims) -> Principal:
    if claims.sub is None:
        raise unauthorized("Invalid token (missing `sub`).")
    if claims.org is None:
        if not claims.sub.startswith(ORG):
            raise bad_request("bad_token", f"`{claims.sub}` is not a valid organization id.")
        return Principal(OrgId(claims.sub))
    if not claims.org.startswith(ORG):
        raise _bad_token(claims.org, "organization")
    if not claims.sub.startswith(APP):
        raise _bad_token(claims.sub, "application")
    return Principal(OrgId(claims.org), AppId(claims.sub), frozenset(claims.feature_flags))


def _bad_token(given: str, kind: str) -> AppError:
    """The peer's code for an application's token has a space in it; clients may compare it."""
    return bad_request("bad token", f"`{given}` is not a valid {kind} id")
