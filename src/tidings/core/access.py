# SPDX-License-Identifier: MIT
"""Who may reach what: the secret behind tokens, tokens for callers, and applications as callers see them."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidings.clock import DAY, SECOND
from tidings.core.services import Services
from tidings.core.signer import Signer, signer_of
from tidings.errors import not_found
from tidings.ids import AppId, OrgId
from tidings.model.app import App
from tidings.model.token import ISSUER, Capability, Principal
from tidings.storage import apps, aside, settings
from tidings.storage.database import Database, retried

ORG_TOKEN_MS: Final = 10 * 365 * DAY
APP_TOKEN_MS: Final = 28 * DAY

_SECRET_NAME: Final = "jwt_secret"  # noqa: S105 - where the secret is kept, not what it is
_SECRET_BYTES: Final = 64
"""Enough for every algorithm: HS512 needs 64."""
_ISSUED_HERE: Final = "iat_ms"
"""The claim of this service's own tokens that says when they were made, by the clock that ends them."""


async def jwt_secret(db: Database, given: str | None) -> str:
    """Return the secret that signs tokens: the given one, or one that is made once and kept in the database."""
    if given:
        return given
    fresh = secrets.token_urlsafe(_SECRET_BYTES)

    async def work() -> str:
        async with db.write() as tx:
            return await settings.settled(tx, _SECRET_NAME, fresh)

    return await retried(work)


def stored_secret(path: Path) -> str | None:
    """Return the secret that is kept in a SQLite file, also while a server owns it; None if there is none yet."""
    return aside.kept(path, _SECRET_NAME)


def issue_org_token(key: Signer | str, org_id: OrgId, now: int) -> str:
    """Make a token that speaks for an organisation; `now` is in milliseconds."""
    return _issued(key, now, ORG_TOKEN_MS, {"sub": org_id})


def issue_app_token(
    key: Signer | str, org_id: OrgId, app_id: AppId, now: int, feature_flags: tuple[str, ...] = ()
) -> str:
    """Make a token that speaks for one application of an organisation."""
    claims: dict[str, object] = {"sub": app_id, "org": org_id, _ISSUED_HERE: now}
    if feature_flags:
        claims["feature_flags"] = list(feature_flags)
    return _issued(key, now, APP_TOKEN_MS, claims)


@dataclass(frozen=True, slots=True)
class PortalTerms:
    """What a token for the users of an application is able to, and for how long."""

    lifetime_ms: int
    feature_flags: tuple[str, ...] = ()
    capabilities: frozenset[Capability] | None = None
    session: str | None = None


def issue_portal_token(key: Signer, app: App, terms: PortalTerms, now: int) -> str:
    """Make a token for the users of an application; what it leaves unsaid it does not hold them to."""
    claims: dict[str, object] = {"sub": app.id, "org": app.org_id, _ISSUED_HERE: now}
    if terms.feature_flags:
        claims["feature_flags"] = list(terms.feature_flags)
    if terms.capabilities is not None:
        claims["capabilities"] = sorted(each.value for each in terms.capabilities)
    if terms.session is not None:
        claims["session"] = terms.session
    # To the millisecond, so that of two tokens of one second the older one can be ended alone.
    return _issued(key, now, terms.lifetime_ms, {**claims, "iat": now / SECOND})


def _issued(key: Signer | str, now: int, lifetime_ms: int, claims: dict[str, object]) -> str:
    timestamp = now // SECOND
    times = {"iat": timestamp, "nbf": timestamp, "exp": (now + lifetime_ms) // SECOND, "iss": ISSUER}
    return signer_of(key).signed({**times, **claims})


async def application(services: Services, principal: Principal, ref: str) -> App:
    """Return an application that the caller may reach, by id or uid; another's is as absent as none."""
    async with services.db.read() as read:
        app = await apps.get(read, principal.org_id, ref)
    if principal.app_id not in (None, app.id):
        raise not_found()
    return app
