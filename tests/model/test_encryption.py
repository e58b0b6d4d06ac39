# SPDX-License-Identifier: MIT
"""Encryption of secrets at rest."""

import base64

import pytest
from cryptography.exceptions import InvalidTag

from tidings.model.encryption import (
    NO_ENCRYPTION,
    DecryptionError,
    Encryption,
    UndecryptableKey,
    decrypt,
    encrypt,
    hchacha20,
)
from tidings.model.signature import AsymmetricKey, SignatureType, SymmetricKey, generate, generate_pair

ENCRYPTED = Encryption("main secret")

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


def test_hchacha20_matches_the_published_vector() -> None:
    found = hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927"))

    assert "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc" == found.hex()


def test_xchacha20_poly1305_matches_the_published_vector() -> None:
    assert NONCE + SECRET_TEXT + TAG == encrypt(KEY, TEXT, nonce=NONCE, data=DATA)
    assert TEXT == decrypt(KEY, NONCE + SECRET_TEXT + TAG, data=DATA)


@pytest.mark.parametrize("place", [0, 23, 24, 60, -1])
def test_a_modified_text_is_refused(place: int) -> None:
    ciphertext = bytearray(encrypt(KEY, TEXT))
    ciphertext[place] ^= 1

    with pytest.raises(InvalidTag):
        decrypt(KEY, bytes(ciphertext))


@pytest.mark.parametrize("ciphertext", [b"", b"short", bytes(24), bytes(39)])
def test_a_text_that_is_too_short_is_refused(ciphertext: bytes) -> None:
    with pytest.raises(InvalidTag):
        decrypt(KEY, ciphertext)


@pytest.mark.parametrize("encryption", [NO_ENCRYPTION, ENCRYPTED])
@pytest.mark.parametrize("key", [generate(), generate_pair(), SymmetricKey(bytes(75))])
def test_an_encrypted_key_is_decoded_as_it_was_encoded(
    encryption: Encryption, key: SymmetricKey | AsymmetricKey
) -> None:
    assert key == encryption.decode_key(encryption.encode_key(key))


def test_encrypted_values_have_the_format_of_svix_server() -> None:
    pair, shared = generate_pair(), generate()

    assert b"\x01" + shared.raw == NO_ENCRYPTION.encode_key(shared)
    assert b"\x02" + pair.raw == NO_ENCRYPTION.encode_key(pair)
    assert (0x81, 0x82) == (ENCRYPTED.encode_key(shared)[0], ENCRYPTED.encode_key(pair)[0])
    assert 1 + 24 + 24 + 16 == len(ENCRYPTED.encode_key(shared))
    assert SymmetricKey(b"x" * 24) == NO_ENCRYPTION.decode_key(b"x" * 24)


def test_each_encryption_has_its_own_nonce() -> None:
    key = generate()

    assert ENCRYPTED.encode_key(key) != ENCRYPTED.encode_key(key)


def test_an_unencrypted_secret_remains_readable() -> None:
    key = generate()

    assert key == ENCRYPTED.decode_key(NO_ENCRYPTION.encode_key(key))


@pytest.mark.parametrize(
    ("encryption", "words"), [(NO_ENCRYPTION, "set main_secret to decrypt"), (Encryption("x"), "another main_secret")]
)
def test_an_undecryptable_key_has_a_reason_and_refuses_to_sign(encryption: Encryption, words: str) -> None:
    key = encryption.decode_key(ENCRYPTED.encode_key(generate()))

    assert isinstance(key, UndecryptableKey)
    assert words in key.reason
    with pytest.raises(DecryptionError):
        key.sign(b"content")
    with pytest.raises(DecryptionError):
        _ = key.public_text
    assert not key.matches(b"content", b"v1,x")


def test_a_proof_belongs_to_one_main_secret() -> None:
    proof = ENCRYPTED.create_proof()
    assert proof is not None
    assert NO_ENCRYPTION.create_proof() is None

    ENCRYPTED.verify_proof(proof)
    ENCRYPTED.verify_proof(None)
    NO_ENCRYPTION.verify_proof(None)
    with pytest.raises(DecryptionError, match="main_secret is not set"):
        NO_ENCRYPTION.verify_proof(proof)
    with pytest.raises(DecryptionError, match="not the one"):
        Encryption("another").verify_proof(proof)


@pytest.mark.parametrize("kind", SignatureType)
def test_a_generated_key_has_the_default_type(kind: SignatureType) -> None:
    prefix = {SignatureType.HMAC256: "whsec_", SignatureType.ED25519: "whpk_"}[kind]

    assert Encryption(default=kind).generate_key().public_text.startswith(prefix)


def test_repr_does_not_show_a_secret() -> None:
    pair = generate_pair()

    assert base64.b64encode(pair.raw).decode() not in repr(pair)
    assert "main secret" not in repr(ENCRYPTED)
