# SPDX-License-Identifier: MIT
"""Access control: the secrets that sign tokens, issuing tokens, and finding the applications that a caller may use."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidings.clock import DAY, MINUTE, SECOND
from tidings.core.services import Services
from tidings.core.signer import Signer, as_signer
from tidings.errors import not_found
from tidings.ids import AppId, OrgId
from tidings.model.app import App
from tidings.model.token import ISSUER, OPERATOR, Capability, Principal
from tidings.storage.drivers.database import Database, retried
from tidings.storage.drivers.sqlite_file import stored_setting
from tidings.storage.tables import apps, nodes

ORG_TOKEN_MS: Final = 10 * 365 * DAY
APP_TOKEN_MS: Final = 28 * DAY

_SECRET_NAME: Final = "jwt_secret"  # noqa: S105 - a name, not the secret
_SECRET_BYTES: Final = 64
"""HS512 needs 64 bytes, the most of all algorithms."""
_ISSUED_HERE: Final = "iat_ms"
"""The claim with the issue time in milliseconds. The clock of this service sets it and also decides expiry."""


_OPERATOR_SECRET_NAME: Final = "operator_secret"  # noqa: S105 - as above
_PAGES_SECRET_NAME: Final = "page_secret"  # noqa: S105 - as above
_OPERATOR_TOKEN_MS: Final = MINUTE


@dataclass(frozen=True, slots=True)
class TokenSecrets:
    """The secrets of tokens: `current` signs and verifies, the others verify."""

    current: str
    previous: str | None = None
    operator: str | None = None
    """Signs the tokens with which the command line manages a running server that owns its database file."""
    pages: str = ""
    """Signs the sessions of pages, together with `current`: that may be a public key, which is no secret."""


async def token_secrets(db: Database, given: str | None, previous: str | None) -> TokenSecrets:
    """Return the secrets of a process, from its settings and from the database."""
    operator = await _generated(db, _OPERATOR_SECRET_NAME) if db.has_one_writer else None
    pages = await _generated(db, _PAGES_SECRET_NAME)
    return TokenSecrets(await jwt_secret(db, given), previous, operator, pages)


def stored_operator_secret(path: Path) -> str | None:
    """Return the secret of operators' tokens in a SQLite file; who may read that file operates the installation."""
    return stored_setting(path, _OPERATOR_SECRET_NAME)


def issue_operator_token(secret: str, now: int) -> str:
    """Issue a token with which the command line acts as an operator for a minute."""
    return Signer(secret).signed({"sub": OPERATOR, "exp": (now + _OPERATOR_TOKEN_MS) // SECOND})


async def jwt_secret(db: Database, given: str | None) -> str:
    """Return the secret that signs tokens: the given one, or one that is generated once and stored in the database."""
    return given or await _generated(db, _SECRET_NAME)


async def _generated(db: Database, name: str) -> str:
    """Return a secret from the database; generate it if there is none."""
    fresh = secrets.token_urlsafe(_SECRET_BYTES)

    async def work() -> str:
        async with db.write() as tx:
            return await nodes.get_or_set_setting(tx, name, fresh)

    return await retried(work)


def stored_secret(path: Path) -> str | None:
    """Return the secret stored in a SQLite file, even while a server has the file open; None if there is none."""
    return stored_setting(path, _SECRET_NAME)


def issue_org_token(key: Signer | str, org_id: OrgId, now: int, lifetime_ms: int = ORG_TOKEN_MS) -> str:
    """Issue a token with access to an organization; `now` is in milliseconds."""
    return _issued(key, now, lifetime_ms, {"sub": org_id})


def issue_app_token(
    key: Signer | str, org_id: OrgId, app_id: AppId, now: int, feature_flags: tuple[str, ...] = ()
) -> str:
    """Issue a token with access to one application of an organization."""
    claims: dict[str, object] = {"sub": app_id, "org": org_id, _ISSUED_HERE: now}
    if feature_flags:
        claims["feature_flags"] = list(feature_flags)
    return _issued(key, now, APP_TOKEN_MS, claims)


@dataclass(frozen=True, slots=True)
class PortalTerms:
    """The permissions and the lifetime of a token for the users of an application; None restricts nothing."""

    lifetime_ms: int
    feature_flags: tuple[str, ...] = ()
    capabilities: frozenset[Capability] | None = None
    session: str | None = None


def issue_portal_token(key: Signer, app: App, terms: PortalTerms, now: int) -> str:
    """Issue a token for the users of an application, with the claims that `terms` sets."""
    claims: dict[str, object] = {"sub": app.id, "org": app.org_id, _ISSUED_HERE: now}
    if terms.feature_flags:
        claims["feature_flags"] = list(terms.feature_flags)
    if terms.capabilities is not None:
        claims["capabilities"] = sorted(each.value for each in terms.capabilities)
    if terms.session is not None:
        claims["session"] = terms.session
    # With milliseconds, so that the older of two tokens from one second can be revoked alone.
    return _issued(key, now, terms.lifetime_ms, {**claims, "iat": now / SECOND})


def _issued(key: Signer | str, now: int, lifetime_ms: int, claims: dict[str, object]) -> str:
    issued_at = now // SECOND
    times = {"iat": issued_at, "nbf": issued_at, "exp": (now + lifetime_ms) // SECOND, "iss": ISSUER}
    return as_signer(key).signed({**times, **claims})


async def application(services: Services, principal: Principal, ref: str) -> App:
    """Return an application that the caller may access, by id or uid; raise `not_found` for every other."""
    async with services.db.read() as read:
        app = await apps.get(read, principal.org_id, ref)
    if principal.app_id not in (None, app.id):
        raise not_found()
    return app
