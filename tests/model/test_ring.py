# SPDX-License-Identifier: MIT
"""Asymmetric keys, and several signing keys at once."""

import base64

import pytest

from tidings.errors import AppError
from tidings.model.rotation import OLD_MAX, OldSecret, rotated
from tidings.model.signature import (
    AsymmetricKey,
    Key,
    KeyRing,
    OldKey,
    generate,
    generate_pair,
    parse_secret,
    sign,
    signed_content,
    verify,
)

SECRET = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
MSG_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = b"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
CONTENT = signed_content(MSG_ID, TIMESTAMP, BODY)


def test_the_known_vector_is_signed() -> None:
    key = parse_secret(SECRET)

    assert SIGNATURE == key.sign(CONTENT)
    assert (SECRET, PUBLIC) == (key.text, key.public_text)


def test_a_signature_matches_its_own_key_and_content_only() -> None:
    key = parse_secret(SECRET)

    assert key.matches(CONTENT, SIGNATURE)
    for entry in (b"v1," + SIGNATURE[4:], SIGNATURE[:-4], b"v1a,", b"v1a,\xff", generate_pair().sign(CONTENT)):
        assert not key.matches(CONTENT, entry)
    assert not key.matches(CONTENT + b" ", SIGNATURE)


def test_a_generated_key_pair_is_decoded_as_it_was_encoded() -> None:
    pair = generate_pair()

    assert pair == parse_secret(pair.text)
    assert pair != generate_pair()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("whsk_", "length"),
        (SECRET[:-8], "base64|length"),
        ("whsk_" + base64.b64encode(bytes(63)).decode(), "length"),
        ("whsk_" + base64.b64encode(bytes(65)).decode(), "length"),
        ("whsk_" + base64.b64encode(bytes(64)).decode(), "failed signing test"),
        (PUBLIC, "prefix"),
        ("whsk1_" + SECRET[5:], "prefix"),
        ("whsk_%", "base64"),
    ],
)
def test_an_invalid_key_pair_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse_secret(text)


def test_a_ring_with_one_symmetric_key_signs_like_the_key_alone() -> None:
    key = generate()

    ring = KeyRing(key)

    assert sign(key.raw, MSG_ID, TIMESTAMP, BODY) == ring.sign(MSG_ID, TIMESTAMP, BODY)


def test_the_current_key_signs_first_and_expired_keys_do_not_sign() -> None:
    keys: list[Key] = [generate(), generate_pair(), generate(), generate()]
    timestamps = [TIMESTAMP * 1_000 + 1, TIMESTAMP * 1_000 + 2, TIMESTAMP * 1_000]

    ring = KeyRing(keys[0], tuple(map(OldKey, timestamps, keys[1:])))

    signature = ring.sign(MSG_ID, TIMESTAMP, BODY)
    assert b" ".join(key.sign(CONTENT) for key in keys[:3]) == signature
    assert [True, True, True, False] == [verify([key], MSG_ID, TIMESTAMP, BODY, signature) for key in keys]


def test_a_single_asymmetric_key_signs() -> None:
    ring = KeyRing(parse_secret(SECRET))

    assert ring.sign(MSG_ID, TIMESTAMP, BODY) == SIGNATURE


def test_the_repr_of_a_ring_shows_no_key() -> None:
    assert "raw=" not in repr(KeyRing(AsymmetricKey(generate_pair().raw)))
    assert "HMAC" not in repr(KeyRing(generate()))


def test_a_rotated_key_is_kept_until_it_expires() -> None:
    old = rotated((), b"first", 1_000, 60)
    old = rotated(old, b"second", 2_000, 10)

    assert (OldSecret(12_000, b"second"), OldSecret(61_000, b"first")) == old
    assert (OldSecret(61_000, b"first"),) == rotated(old, b"third", 12_000, 0)


def test_at_most_ten_rotated_keys_are_kept() -> None:
    old: tuple[OldSecret, ...] = ()
    for n in range(OLD_MAX):
        old = rotated(old, b"%d" % n, n, 60)

    with pytest.raises(AppError) as refused:
        rotated(old, b"one more", 100, 60)

    assert "limit_reached" == refused.value.code
    assert "1970-01-01T00:01:00Z" in refused.value.detail
    assert OLD_MAX == len(rotated(old, b"one more", 100, 0))
    assert OLD_MAX == len(rotated(old, b"one more", 60_000, 60))
