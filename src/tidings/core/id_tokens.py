# SPDX-License-Identifier: MIT
"""ID tokens of OpenID Connect: the signature, the claims, and the keys of the provider (OpenID Connect Core, 3.1.3.7).

Only asymmetric algorithms are accepted, whatever the provider offers. A key is used for the algorithms of its type, so
that no public key can serve as a shared secret. All times are compared with the clock of this service, which may differ
from the provider's by a minute.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tidings.clock import MINUTE, SECOND

_ALGORITHMS: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""The type of the key for each algorithm."""
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_LEEWAY_MS: Final = MINUTE
_AGE_MAX_MS: Final = 10 * MINUTE
"""A token of this sign-in was issued seconds ago."""
_TOKEN_MAX: Final = 65_536
_KEYS_MAX: Final = 100
_TRIED_MAX: Final = 5
_RSA_BITS: Final = 2_048
_SUBJECT_MAX: Final = 255
_GROUPS_MAX: Final = 10_000

Claims = Mapping[str, Any]


class InvalidToken(Exception):
    """An ID token that must not be trusted; the text is for the log."""


class UnknownKey(InvalidToken):
    """The provider has no key with the id in the token: it may have new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an ID token has to say."""

    issuer: str
    client_id: str
    nonce: str


def keys_of(document: object) -> tuple[Claims, ...]:
    """Return the keys in a JSON Web Key Set that may verify tokens; raise `InvalidToken` if it is none."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise InvalidToken("the key set has no keys")
    found = [each for each in keys[:_KEYS_MAX] if isinstance(each, dict)]
    return tuple(each for each in found if each.get("use", "sig") == "sig" and "d" not in each)


def verified(token: str, keys: Sequence[Claims], expected: Expected, now: int) -> Claims:
    """Return the claims of an ID token; raise `InvalidToken` unless every check passes. `now` is in milliseconds."""
    if len(token) > _TOKEN_MAX:
        raise InvalidToken("the token is too long")
    claims = _signed_claims(token, keys)
    _check_parties(claims, expected)
    _check_times(claims, now)
    subject, nonce = claims.get("sub"), claims.get("nonce")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_MAX:
        raise InvalidToken("the token has no subject")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise InvalidToken("the nonce is another one")
    return claims


def groups_in(claims: Claims, name: str) -> frozenset[str]:
    """Return the groups in a claim: a list, or one group as a text."""
    given = claims.get(name)
    items = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    return frozenset(each for each in items[:_GROUPS_MAX] if isinstance(each, str))


def _signed_claims(token: str, keys: Sequence[Claims]) -> Claims:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise InvalidToken("the token cannot be read") from error
    algorithm = header.get("alg")
    if algorithm not in _ALGORITHMS:
        raise InvalidToken("the algorithm of the signature is not accepted")
    if "crit" in header or header.get("b64", True) is not True:
        raise InvalidToken("the header requires an extension")
    fitting = [each for each in keys if _fits(each, header, algorithm)]
    if not fitting:
        raise UnknownKey("no key of the provider fits the token")
    for key in fitting[:_TRIED_MAX]:
        claims = _claims_signed_by(token, key, algorithm)
        if claims is not None:
            return claims
    raise InvalidToken("the signature does not match")


def _fits(key: Claims, header: Mapping[str, Any], algorithm: str) -> bool:
    """Return whether a key is the one that the header names, and of the type of the algorithm."""
    return (
        key.get("kty") == _ALGORITHMS[algorithm]
        and key.get("alg", algorithm) == algorithm
        and key.get("crv") == _CURVES.get(algorithm, key.get("crv"))
        and ("kid" not in header or key.get("kid") == header["kid"])
    )


def _claims_signed_by(token: str, key: Claims, algorithm: str) -> Claims | None:
    """Return the claims if a key signed them; None otherwise."""
    try:
        public = jwt.PyJWK.from_dict(dict(key), algorithm).key
        if isinstance(public, RSAPublicKey) and public.key_size < _RSA_BITS:
            return None
        text = jwt.PyJWS(algorithms=[algorithm]).decode(token, public, algorithms=[algorithm])
        claims = msgspec.json.decode(text)
    except (jwt.PyJWTError, ValueError, TypeError, msgspec.MsgspecError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def _check_parties(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise InvalidToken("the issuer is another one")
    given = claims.get("aud")
    audience = given if isinstance(given, list) else [given]
    if expected.client_id not in audience:
        raise InvalidToken("the token is for another client")
    if claims.get("azp", None if len(audience) > 1 else expected.client_id) != expected.client_id:
        raise InvalidToken("the token was issued to another client")


def _check_times(claims: Claims, now: int) -> None:
    expires, issued = _timestamp(claims, "exp"), _timestamp(claims, "iat")
    if expires is None or issued is None:
        raise InvalidToken("the token has no times")
    if now >= expires + _LEEWAY_MS:
        raise InvalidToken("the token has expired")
    if not issued - _LEEWAY_MS <= now <= issued + _AGE_MAX_MS:
        raise InvalidToken("the token was issued at another time")
    starts = _timestamp(claims, "nbf")
    if starts is not None and now < starts - _LEEWAY_MS:
        raise InvalidToken("the token is not valid yet")


def _timestamp(claims: Claims, name: str) -> int | None:
    """Return a time in milliseconds; None if it is absent or no number."""
    given = claims.get(name)
    if isinstance(given, bool) or not isinstance(given, int | float) or abs(given) > 1 << 40:
        return None
    return int(given * SECOND)
