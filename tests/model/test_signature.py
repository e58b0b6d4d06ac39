# SPDX-License-Identifier: MIT
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.model.signature import SymmetricKey, generate, is_fresh, parse_secret, sign, sign_all, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MSG_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def secret_of(length: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(length))).decode()


def test_the_known_vector_is_signed() -> None:
    key = parse_secret(SECRET)

    signature = sign(key.raw, MSG_ID, TIMESTAMP, BODY)

    assert signature == SIGNATURE


def test_each_key_adds_an_entry_in_the_order_given() -> None:
    old = generate()

    signature = sign_all([parse_secret(SECRET), old], MSG_ID, TIMESTAMP, BODY)

    assert signature == SIGNATURE + b" " + sign(old.raw, MSG_ID, TIMESTAMP, BODY)


def test_no_key_signs_nothing() -> None:
    assert sign_all([], MSG_ID, TIMESTAMP, BODY) == b""


@pytest.mark.parametrize("length", [24, 75])
def test_a_secret_of_allowed_length_is_formatted_as_given(length: int) -> None:
    text = secret_of(length)

    key = parse_secret(text)

    assert key.text == text


@pytest.mark.parametrize("length", [24, 32, 75])
def test_bare_base64_is_a_symmetric_secret(length: int) -> None:
    text = secret_of(length)

    key = parse_secret(text.removeprefix("whsec_"))

    assert isinstance(key, SymmetricKey)
    assert key.text == text


@pytest.mark.parametrize("prefix", ["whsec_", ""])
@pytest.mark.parametrize("length", [0, 23, 76])
def test_a_secret_of_another_length_is_refused(length: int, prefix: str) -> None:
    with pytest.raises(ValueError, match=r"^secret length invalid$"):
        parse_secret(prefix + secret_of(length).removeprefix("whsec_"))


@pytest.mark.parametrize(
    "text",
    [
        "w",
        "whsec_%",
        "whsec_ " + "A" * 32,
        "whsec_" + "A" * 33,
        "whsec_" + "A" * 33 + "B==",
        "whsec_" + "A" * 33 + "é==",
        "whsec_" + "_-" * 16,
        "_" * 32,
        "-" * 32,
        "A" * 31,
        "A" * 30 + "B=",
        "hwsec_" + "A" * 32,
        "whpk_" + "A" * 32,
        "WHSEC_" + "A" * 32,
    ],
)
def test_a_malformed_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^secret (prefix invalid|is not valid base64)$"):
        parse_secret(text)


def test_a_generated_secret_has_24_random_bytes() -> None:
    one, other = generate(), generate()

    assert (len(one.raw), one != other) == (24, True)


def test_the_repr_of_a_key_does_not_show_its_secret() -> None:
    key = parse_secret(SECRET)

    shown = f"{key} {key!r}"

    assert SECRET[6:] not in shown
    assert str(key.raw) not in shown


def test_a_signature_verifies_with_any_of_its_keys() -> None:
    current, old, other = generate(), generate(), generate()

    signature = sign_all([current, old], MSG_ID, TIMESTAMP, BODY)

    assert verify([old], MSG_ID, TIMESTAMP, BODY, signature)
    assert verify([other, current], MSG_ID, TIMESTAMP, BODY, signature)
    assert not verify([other], MSG_ID, TIMESTAMP, BODY, signature)


def test_entries_of_unknown_versions_are_skipped() -> None:
    signature = b"v1a,AAAA v2,BBBB " + SIGNATURE

    assert verify([parse_secret(SECRET)], MSG_ID, TIMESTAMP, BODY, signature)


@given(raw=st.binary(min_size=24, max_size=75), body=st.binary(max_size=100), extra=st.binary(min_size=1, max_size=3))
def test_a_changed_message_does_not_verify(raw: bytes, body: bytes, extra: bytes) -> None:
    key = SymmetricKey(raw)

    signature = sign_all([key], MSG_ID, TIMESTAMP, body)

    assert verify([key], MSG_ID, TIMESTAMP, body, signature)
    assert not verify([key], MSG_ID, TIMESTAMP, body + extra, signature)
    assert not verify([key], MSG_ID, TIMESTAMP + 1, body, signature)
    assert not verify([key], MSG_ID + "x", TIMESTAMP, body, signature)


@pytest.mark.parametrize(("timestamp", "fresh"), [(700, True), (699, False), (1300, True), (1301, False)])
def test_a_signature_verifies_within_five_minutes_of_its_timestamp(timestamp: int, fresh: bool) -> None:  # noqa: FBT001 (a row of the table)
    assert fresh == is_fresh(timestamp, now=1000)
