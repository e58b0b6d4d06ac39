# SPDX-License-Identifier: MIT
"""Secrets at rest."""

import base64

import pytest
from cryptography.exceptions import InvalidTag

from tidings.model.signature import AsymmetricKey, SignatureType, SymmetricKey, generate, generate_pair
from tidings.model.vault import PLAIN, Sealed, SealedError, Vault, decrypted, encrypted, hchacha20

SEALED = Vault("main secret")

# The vectors of draft-irtf-cfrg-xchacha.
KEY = bytes(range(0x80, 0xA0))
NONCE = bytes(range(0x40, 0x58))
DATA = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
TEXT = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you"
    b" only one tip for the future, sunscreen would be it."
)
SECRET_TEXT = bytes.fromhex(
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216"
    "cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13"
    "b52e"
)
TAG = bytes.fromhex("c0875924c1c7987947deafd8780acf49")


def test_the_key_of_a_nonce_is_the_published_one() -> None:
    found = hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927"))

    assert "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc" == found.hex()


def test_what_is_encrypted_is_the_published_text() -> None:
    assert NONCE + SECRET_TEXT + TAG == encrypted(KEY, TEXT, nonce=NONCE, data=DATA)
    assert TEXT == decrypted(KEY, NONCE + SECRET_TEXT + TAG, data=DATA)


@pytest.mark.parametrize("place", [0, 23, 24, 60, -1])
def test_a_changed_bit_is_seen(place: int) -> None:
    sealed = bytearray(encrypted(KEY, TEXT))
    sealed[place] ^= 1

    with pytest.raises(InvalidTag):
        decrypted(KEY, bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(24), bytes(39)])
def test_what_is_too_short_is_not_decrypted(sealed: bytes) -> None:
    with pytest.raises(InvalidTag):
        decrypted(KEY, sealed)


@pytest.mark.parametrize("vault", [PLAIN, SEALED])
@pytest.mark.parametrize("key", [generate(), generate_pair(), SymmetricKey(bytes(75))])
def test_a_key_comes_back_as_it_was(vault: Vault, key: SymmetricKey | AsymmetricKey) -> None:
    assert key == vault.opened(vault.packed(key))


def test_the_format_is_the_peers() -> None:
    pair, shared = generate_pair(), generate()

    assert b"\x01" + shared.raw == PLAIN.packed(shared)
    assert b"\x02" + pair.raw == PLAIN.packed(pair)
    assert (0x81, 0x82) == (SEALED.packed(shared)[0], SEALED.packed(pair)[0])
    assert 1 + 24 + 24 + 16 == len(SEALED.packed(shared))
    assert SymmetricKey(b"x" * 24) == PLAIN.opened(b"x" * 24)


def test_the_same_key_is_never_encrypted_alike() -> None:
    key = generate()

    assert SEALED.packed(key) != SEALED.packed(key)


def test_a_secret_from_before_encryption_is_still_read() -> None:
    key = generate()

    assert key == SEALED.opened(PLAIN.packed(key))


@pytest.mark.parametrize(
    ("vault", "words"), [(PLAIN, "set main_secret to decrypt"), (Vault("x"), "another main_secret")]
)
def test_a_secret_that_cannot_be_read_says_why_and_does_not_sign(vault: Vault, words: str) -> None:
    key = vault.opened(SEALED.packed(generate()))

    assert isinstance(key, Sealed)
    assert words in key.reason
    with pytest.raises(SealedError):
        key.sign(b"content")
    with pytest.raises(SealedError):
        _ = key.public_text
    assert not key.matches(b"content", b"v1,x")


def test_a_proof_is_of_one_main_secret() -> None:
    proof = SEALED.proof()
    assert proof is not None
    assert PLAIN.proof() is None

    SEALED.check(proof)
    SEALED.check(None)
    PLAIN.check(None)
    with pytest.raises(SealedError, match="main_secret is not set"):
        PLAIN.check(proof)
    with pytest.raises(SealedError, match="not the one"):
        Vault("another").check(proof)


@pytest.mark.parametrize("kind", SignatureType)
def test_a_fresh_key_is_of_the_usual_kind(kind: SignatureType) -> None:
    prefix = {SignatureType.HMAC256: "whsec_", SignatureType.ED25519: "whpk_"}[kind]

    assert Vault(default=kind).fresh().public_text.startswith(prefix)


def test_nothing_prints_a_secret() -> None:
    pair = generate_pair()

    assert base64.b64encode(pair.raw).decode() not in repr(pair)
    assert "main secret" not in repr(SEALED)
