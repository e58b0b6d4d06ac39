# SPDX-License-Identifier: MIT
"""ID tokens: each key type, the choice of the key, and headers and keys that must not count."""

import base64
import hmac
import json
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from portal.provider import SigningKey
from tidings.core.id_tokens import Expected, InvalidToken, UnknownKey, groups_in, keys_of, verified

NOW: Final = 1_700_000_000_000
EXPECTED: Final = Expected(issuer="https://id.example.com", client_id="tidings", nonce="n")
CLAIMS: Final[dict[str, Any]] = {
    "iss": EXPECTED.issuer,
    "aud": "tidings",
    "sub": "1",
    "nonce": "n",
    "iat": NOW // 1_000,
    "exp": NOW // 1_000 + 60,
}
RSA: Final = SigningKey("a")


@pytest.mark.parametrize(
    ("algorithm", "private"),
    [
        ("RS512", rsa.generate_private_key(65_537, 2_048)),
        ("PS256", rsa.generate_private_key(65_537, 2_048)),
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("ES512", ec.generate_private_key(ec.SECP521R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_each_asymmetric_algorithm_is_verified_with_its_key(algorithm: str, private: Any) -> None:
    key, other = SigningKey("b", private, algorithm), SigningKey("c", private, algorithm)

    assert "1" == verified(key.signed(CLAIMS), keys_of({"keys": [RSA.public, key.public]}), EXPECTED, NOW)["sub"]
    with pytest.raises(UnknownKey):
        verified(other.signed(CLAIMS), keys_of({"keys": [RSA.public, key.public]}), EXPECTED, NOW)


def test_without_a_key_id_every_fitting_key_is_tried() -> None:
    keys = keys_of({"keys": [SigningKey("x").public, RSA.public]})
    token = jwt.encode(CLAIMS, RSA.private, "RS256")

    assert "1" == verified(token, keys, EXPECTED, NOW)["sub"]


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        {"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "kid": "a"},
        {"kty": ["RSA"], "kid": "a"},
        {**RSA.public, "use": "enc"},
        {**RSA.public, "alg": "RS512"},
        {**RSA.public, "d": "AQAB"},
        "a",
    ],
)
def test_a_key_that_does_not_fit_verifies_nothing(key: Any) -> None:
    with pytest.raises(InvalidToken):
        verified(RSA.signed(CLAIMS), keys_of({"keys": [key]}), EXPECTED, NOW)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_short_rsa_key_of_the_provider_verifies_nothing() -> None:
    short = SigningKey("s", rsa.generate_private_key(65_537, 1_024))  # noqa: S505 - it must be refused

    with pytest.raises(InvalidToken, match="signature"):
        verified(short.signed(CLAIMS), keys_of({"keys": [short.public]}), EXPECTED, NOW)


def _forged(algorithm: str, secret: bytes | None) -> str:
    """Return a token that names the key of the provider, signed with a shared secret or not at all."""
    header = json.dumps({"alg": algorithm, "kid": "a", "typ": "JWT"}).encode()
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, json.dumps(CLAIMS).encode()))
    mac = b"" if secret is None else hmac.digest(secret, signed, "sha256")
    return b".".join((signed, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode()


@pytest.mark.parametrize("algorithm", ["HS256", "hs256", "RS256"])
@pytest.mark.parametrize("secret", ["pem", "der", "modulus", "jwk"])
def test_a_public_key_is_no_shared_secret(algorithm: str, secret: str) -> None:
    public = RSA.private.public_key()
    form = PublicFormat.SubjectPublicKeyInfo
    texts = {
        "pem": public.public_bytes(Encoding.PEM, form),
        "der": public.public_bytes(Encoding.DER, form),
        "modulus": base64.urlsafe_b64decode(RSA.public["n"] + "=="),
        "jwk": json.dumps(RSA.public).encode(),
    }

    with pytest.raises(InvalidToken):
        verified(_forged(algorithm, texts[secret]), keys_of({"keys": [RSA.public]}), EXPECTED, NOW)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "RS256"])
def test_a_token_without_a_signature_is_refused(algorithm: str) -> None:
    with pytest.raises(InvalidToken):
        verified(_forged(algorithm, None), keys_of({"keys": [RSA.public]}), EXPECTED, NOW)


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"b64": False, "crit": ["b64"]}, {"kid": "unknown"}])
def test_a_header_that_asks_for_more_is_refused(header: dict[str, Any]) -> None:
    try:
        token = RSA.signed(CLAIMS, **header)
    except (NotImplementedError, TypeError, jwt.PyJWTError):
        pytest.skip("the library does not make such a token")
    with pytest.raises(InvalidToken):
        verified(token, keys_of({"keys": [RSA.public]}), EXPECTED, NOW)


@pytest.mark.parametrize(
    ("shift", "is_valid"),
    [(0, True), (119_000, True), (120_000, False), (-60_000, True), (-61_000, False), (9 * 60_000, False)],
)
def test_clocks_may_differ_by_a_minute(shift: int, is_valid: bool) -> None:  # noqa: FBT001 - a parameter of the test
    keys = keys_of({"keys": [RSA.public]})
    if is_valid:
        assert verified(RSA.signed(CLAIMS), keys, EXPECTED, NOW + shift)
        return
    with pytest.raises(InvalidToken):
        verified(RSA.signed(CLAIMS), keys, EXPECTED, NOW + shift)


@pytest.mark.parametrize("value", [True, "1700000060", 1e300, None, [1]])
def test_a_time_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidToken):
        verified(RSA.signed({**CLAIMS, "exp": 1 << 35, "iat": value}), keys_of({"keys": [RSA.public]}), EXPECTED, NOW)


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": None}, "keys"])
def test_a_key_set_without_keys_is_an_error(document: object) -> None:
    with pytest.raises(InvalidToken):
        keys_of(document)


def test_groups_are_a_list_or_one_text() -> None:
    claims = {"a": ["x", 5, "y"], "b": "z", "c": {"x": 1}}

    assert [{"x", "y"}, {"z"}, set(), set()] == [groups_in(claims, name) for name in ("a", "b", "c", "d")]
