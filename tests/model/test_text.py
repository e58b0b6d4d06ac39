# SPDX-License-Identifier: MIT
"""Rules for texts that callers choose, and for headers."""

import pytest

from tidings.model.endpoint import header_error, header_faults, metadata_bytes
from tidings.model.text import channel_error, name_error, tag_error, text_error, uid_errors

EMPTY = "String must be at least one character"
LONG = "String too long"


@pytest.mark.parametrize("name", ["a", "A-Z_0.9", "-a", "x" * 256])
def test_a_valid_event_type_name_is_accepted(name: str) -> None:
    assert name_error(name) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", EMPTY),
        ("x" * 257, LONG),
        ("é" * 129, LONG),
        ("a b", r"String must match the following pattern: [a-zA-Z0-9\-_.]."),
        ("a\n", r"String must match the following pattern: [a-zA-Z0-9\-_.]."),
        ("é", r"String must match the following pattern: [a-zA-Z0-9\-_.]."),
        ("a:b", r"String must match the following pattern: [a-zA-Z0-9\-_.]."),
    ],
)
def test_an_invalid_event_type_name_is_refused(name: str, words: str) -> None:
    assert words == name_error(name)


def test_channels_and_tags_allow_different_characters() -> None:
    assert channel_error("a:b+c") is None
    assert tag_error(r"a/b\c#d") is None
    assert channel_error("a#") == r"String must match the following pattern: [a-zA-Z0-9\-_.:+]."
    assert (LONG, LONG) == (channel_error("x" * 129), tag_error("x" * 129))


def test_a_uid_in_the_format_of_an_id_is_refused() -> None:
    prefixed = "Uids are not allowed to have the same prefix as the ID. Prefix with _?"

    assert [] == uid_errors("ep_x", "app_")
    assert [prefixed] == uid_errors("app_x", "app_")
    assert 2 == len(uid_errors("app_ x", "app_"))


def test_texts_with_control_characters_are_refused() -> None:
    assert text_error("Grüße\n\t") is None
    assert {text_error(chr(code)) for code in range(9)} == {"Control characters 0x00-0x08 not allowed."}


@pytest.mark.parametrize("name", ["x-mine", "Authorization", "host", "webhook-id", "!#$%&'*+-.^_`|~"])
def test_a_valid_header_name_is_accepted(name: str) -> None:
    assert header_error(name, "value\twith é".replace("é", "e")) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "Invalid Header Name."),
        ("some:thing", "Invalid Header Name."),
        ("a b", "Invalid Header Name."),
        ("a\0", "Invalid Header Name."),
        ("é", "Invalid Header Name."),
        ("content-length", "Header uses a forbidden key."),
        ("User-Agent", "Header uses a forbidden key."),
        ("svix-foo", "Header starts with a forbidden prefix."),
        ("X-Svix-Foo", "Header starts with a forbidden prefix."),
        ("x-amzn-foo", "Header starts with a forbidden prefix."),
    ],
)
def test_an_invalid_or_reserved_header_name_is_refused(name: str, words: str) -> None:
    assert words == header_error(name, "x")


@pytest.mark.parametrize("value", ["a\nb", "a\r", "\0", "é", "x" * 4097])
def test_a_header_value_that_is_not_one_ascii_line_is_refused(value: str) -> None:
    [fault] = header_faults({"x": value})

    assert ("body", "headers", "x") == fault.loc


def test_metadata_counts_as_compact_json() -> None:
    assert len('{"k":"é"}'.encode()) == metadata_bytes({"k": "é"})
