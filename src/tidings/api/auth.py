# SPDX-License-Identifier: MIT
"""Bearer tokens and API keys: identify the caller from the `Authorization` header.

A token is verified once and cached with its validity period, so a sender that uses one token costs a dictionary lookup.
Invalid tokens are not cached: they must not evict valid ones. The keyring caches API keys; one that is not on it needs
a query, so `principal`, which does not wait, raises `KeyLookup` for it.
"""

import contextlib
import hashlib
from typing import Final

import msgspec

from tidings.api.tuning import ApiTuning
from tidings.clock import SECOND, Clock
from tidings.core import sessions
from tidings.core.access import TokenSecrets
from tidings.core.keyring import Keyring
from tidings.core.services import Services
from tidings.core.signer import Signer
from tidings.errors import AppError, unauthorized
from tidings.model import api_key
from tidings.model.token import Claims, Grant, Principal, grant_of, operator_grant

_HEADER_MAX: Final = 8_192
_DIGEST_LENGTH: Final = 32
_KEY_PREFIX: Final = api_key.PREFIX.encode()
_HINT: Final = (
    "Authentication failed. JWT signing secrets can not be used as tokens, please refer to"
    " https://github.com/svix/svix-webhooks#authentication for more information."
)


class _Body(msgspec.Struct):
    sub: str | None = None
    org: str | None = None
    feature_flags: list[str] | None = None
    capabilities: list[str] | None = None
    session: str | None = None
    iat: float | None = None
    iat_ms: int | None = None
    nbf: float | None = None
    exp: float | None = None


_body: Final = msgspec.json.Decoder(_Body)


class KeyLookup(Exception):
    """The caller has a well-formed API key that is not on the keyring: only a query can verify it."""

    def __init__(self, keyring: Keyring, header: bytes, text: str) -> None:
        super().__init__("an API key has to be looked up")
        self.keyring = keyring
        self.header = header
        self.text = text


class Gatekeeper:
    """Verifies tokens and API keys, and caches the grants of valid ones."""

    __slots__ = ("_cached_max", "_clock", "_grants", "_keyring", "_operator", "_signers", "signer")

    def __init__(
        self,
        secrets: TokenSecrets | str,
        clock: Clock,
        algorithm: str = "HS256",
        *,
        keyring: Keyring | None = None,
        tuning: ApiTuning = ApiTuning(),
    ) -> None:
        """Verify tokens with these secrets; a text is the only secret. Without a keyring, API keys are refused."""
        given = TokenSecrets(secrets) if isinstance(secrets, str) else secrets
        self.signer = Signer(given.current, algorithm)
        others = () if given.previous is None else (Signer(given.previous, algorithm),)
        self._signers = (self.signer, *others)
        self._operator = None if given.operator is None else Signer(given.operator)
        self._keyring = keyring
        self._clock = clock
        self._cached_max = tuning.tokens_cached
        self._grants: dict[bytes, Grant] = {}

    async def authenticate(self, header: bytes | None) -> Principal:
        """Return the caller like `principal`, and look up an API key that is not on the keyring."""
        try:
            return self.principal(header)
        except KeyLookup as lookup:
            return (await lookup.keyring.look_up(lookup.header, lookup.text)).principal

    async def is_live(self, services: Services, caller: Principal) -> bool:
        """Return whether the caller's token or key is still valid; True if the database cannot be read."""
        if self._keyring is not None and not await self._keyring.is_live(caller):
            return False
        return await sessions.is_live(services, caller)

    async def require_live_key(self, caller: Principal) -> None:
        """Raise `unauthorized` if the caller has a key that has ended or changed."""
        if self._keyring is not None:
            await self._keyring.require_live(caller)
        elif caller.key is not None:
            raise unauthorized()

    def principal(self, header: bytes | None) -> Principal:
        """Return the caller that a header value identifies; raise `AppError` if the token is invalid.

        Raises `KeyLookup` for an API key that needs a query.
        """
        grant = None if header is None else self._grants.get(header)
        if grant is None:
            grant = self._verify(header)
        if not grant.holds(self._clock.now()):
            raise unauthorized()
        return grant.principal

    def _verify(self, header: bytes | None) -> Grant:
        keyring = self._keyring
        if header is not None and keyring is not None and (known := keyring.cached(header)) is not None:
            return known
        scheme, _, token = (header or b"").strip().partition(b" ")
        if header is None or scheme.lower() != b"bearer" or len(header) > _HEADER_MAX:
            raise unauthorized()
        if keyring is not None and token.lstrip().startswith(_KEY_PREFIX):
            raise KeyLookup(keyring, header, _key_text(token.strip()))
        grant = self._grant_of(token.strip())
        if grant.holds(self._clock.now()):
            self._cache(header, grant)
        return grant

    def _cache(self, header: bytes, grant: Grant) -> None:
        while len(self._grants) >= self._cached_max:
            del self._grants[next(iter(self._grants))]
        self._grants[header] = grant

    def _grant_of(self, token: bytes) -> Grant:
        """Verify the signature and return the grant. The settings choose the algorithm, never the token."""
        if any([signer.is_secret(token) for signer in self._signers]):  # noqa: C419 - all, so that the time reveals none
            raise unauthorized(_HINT)
        try:
            for signer in self._signers:
                with contextlib.suppress(ValueError):
                    return grant_of(_read_claims(token, signer.verified(token)))
            if self._operator is not None:
                return operator_grant(_read_claims(token, self._operator.verified(token)))
        except (ValueError, OverflowError, RecursionError) as error:
            raise _unauthorized(error) from error
        raise unauthorized()


def _read_claims(token: bytes, claims: bytes) -> Claims:
    return _claims_of(_body.decode(claims), hashlib.sha256(token).hexdigest()[:_DIGEST_LENGTH])


def _key_text(token: bytes) -> str:
    """Return the text of a key; raise `unauthorized` if its checksum shows that it does not exist."""
    text = token.decode("latin-1")
    if not api_key.is_well_formed(text):
        raise unauthorized("The API key is incomplete or mistyped: its checksum does not match.")
    return text


def _claims_of(body: _Body, digest: str) -> Claims:
    return Claims(
        sub=body.sub,
        org=body.org,
        feature_flags=tuple(body.feature_flags or ()),
        capabilities=None if body.capabilities is None else tuple(body.capabilities),
        session=body.session,
        digest=digest,
        issued_at=_timestamp(body.iat),
        issued_here_at=body.iat_ms,
        not_before=_timestamp(body.nbf),
        expires_at=_timestamp(body.exp),
    )


def _timestamp(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * SECOND)


def _unauthorized(error: Exception) -> AppError:
    del error  # the response must not reveal why a token is invalid
    return unauthorized()
