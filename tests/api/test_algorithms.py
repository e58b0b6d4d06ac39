# SPDX-License-Identifier: MIT
"""Tokens of every algorithm are signed and checked; only the configured algorithm is accepted."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tidings.api.auth import Gatekeeper
from tidings.clock import ManualClock
from tidings.core.access import issue_org_token
from tidings.core.signer import Signer, WrongKey
from tidings.errors import AppError, ErrorKind
from tidings.ids import OrgId

TEXT = "x" * 64
RSA = generate_private_key(65_537, 2_048)
ED = Ed25519PrivateKey.generate()


def _pem(key: RSAPrivateKey | Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public(key: RSAPrivateKey | Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


SECRETS = {
    "HS256": TEXT,
    "HS384": TEXT,
    "HS512": TEXT,
    "RS256": _pem(RSA),
    "RS384": _pem(RSA),
    "RS512": _pem(RSA),
    "EdDSA": _pem(ED),
}


def _accepts(gatekeeper: Gatekeeper, token: str) -> bool:
    try:
        return gatekeeper.principal(f"Bearer {token}".encode()).org_id == "org_x"
    except AppError as error:
        if error.kind is not ErrorKind.UNAUTHORIZED:
            raise
        return False


@pytest.mark.parametrize("algorithm", SECRETS)
def test_a_token_is_accepted_by_its_own_algorithm_alone(algorithm: str) -> None:
    clock = ManualClock()
    claims: dict[str, Any] = {"sub": "org_x"}
    foreign = {name: jwt.encode(claims, secret, algorithm=name) for name, secret in SECRETS.items()}
    gatekeeper = Gatekeeper(SECRETS[algorithm], clock, algorithm)

    own = issue_org_token(gatekeeper.signer, OrgId("org_x"), clock.now())

    assert _accepts(gatekeeper, own)
    assert {algorithm} == {name for name, token in foreign.items() if _accepts(gatekeeper, token)}
    assert not _accepts(gatekeeper, own[:-6] + "AAAAAA")
    assert not _accepts(gatekeeper, own + ".x")


@pytest.mark.parametrize("algorithm", SECRETS)
def test_other_libraries_verify_our_signatures(algorithm: str) -> None:
    secret = SECRETS[algorithm]
    key = {"RS": _public(RSA), "Ed": _public(ED), "HS": secret}[algorithm[:2]]

    token = Signer(secret, algorithm).signed({"sub": "org_x"})

    assert {"sub": "org_x"} == jwt.decode(token, key, algorithms=[algorithm])
    assert {"alg": algorithm, "typ": "JWT"} == jwt.get_unverified_header(token)


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA), ("EdDSA", ED)])
def test_a_public_key_verifies_but_cannot_sign(algorithm: str, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
    token = Signer(_pem(key), algorithm).signed({"sub": "org_x"})
    signer = Signer(_public(key), algorithm)

    assert {"sub": "org_x"} == json.loads(signer.verified(token.encode()))
    with pytest.raises(AppError, match="public key"):
        signer.signed({})


def test_a_public_key_is_not_accepted_as_a_secret() -> None:
    """An algorithm confusion attack: a token signed with the public key as if it were a shared secret."""
    gatekeeper = Gatekeeper(_public(RSA), ManualClock(), "RS256")

    forged = Signer(_public(RSA), "HS256").signed({"sub": "org_x"})

    assert not _accepts(gatekeeper, forged)


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [
        (TEXT, "RS256"),
        (TEXT, "EdDSA"),
        (_pem(ED), "RS256"),
        (_public(RSA), "EdDSA"),
        (_pem(RSA)[:200], "RS512"),
        ("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----", "RS256"),
    ],
)
def test_a_key_of_another_kind_is_refused_with_the_settings_name(secret: str, algorithm: str) -> None:
    with pytest.raises(WrongKey, match="jwt_secret"):
        Signer(secret, algorithm)


def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(WrongKey, match="1024 bits: RS256 needs at least 2048"):
        Signer(_pem(generate_private_key(65_537, 1_024)), "RS256")  # noqa: S505 - too short on purpose


_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _spellings(token: str) -> dict[str, str]:
    """Return texts that a lenient decoder reads as the same token."""
    found = {}
    parts = token.split(".")
    for place, part in enumerate(parts):
        others = {
            "padded": part + "=" * (-len(part) % 4 or 4),
            "one sign": part + "=",
            "line": f"{part[:4]}\n{part[4:]}",
        }
        others |= {"inner blank": f"{part[:4]} {part[4:]}", "alphabet": part.replace("-", "+").replace("_", "/")}
        if len(part) % 4:
            others["unused bit"] = part[:-1] + _ALPHABET[_ALPHABET.index(part[-1]) ^ 1]
        for name, other in others.items():
            if other != part:
                found[f"{name} {place}"] = ".".join([*parts[:place], other, *parts[place + 1 :]])
    return found


@pytest.mark.parametrize("algorithm", SECRETS)
def test_a_token_is_accepted_in_one_encoding_only(algorithm: str) -> None:
    signer = Signer(SECRETS[algorithm], algorithm)
    gatekeeper = Gatekeeper(SECRETS[algorithm], ManualClock(), algorithm)

    for number in range(40):
        token = signer.signed({"sub": "org_x", "filler": "~?" * number})
        assert _accepts(gatekeeper, token)
        assert not [name for name, other in _spellings(token).items() if _accepts(gatekeeper, other)]


def test_a_pem_key_with_escaped_newlines_is_accepted() -> None:
    signer = Signer(_pem(ED).replace("\n", "\\n"), "EdDSA")

    assert json.loads(signer.verified(signer.signed({"a": 1}).encode()))


@pytest.mark.parametrize("token", [b"", b"..", b"a.b", b"a.b.c.d", b"\xff.\xff.\xff", b"e30.e30."])
@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "EdDSA"])
def test_an_invalid_token_raises_a_value_error(algorithm: str, token: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Signer(SECRETS[algorithm], algorithm).verified(token)
