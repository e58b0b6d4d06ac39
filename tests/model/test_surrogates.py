# SPDX-License-Identifier: MIT
"""JSON texts with unpaired surrogates."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.model import surrogates
from tidings.model.surrogates import LoneSurrogate


class Thing(msgspec.Struct, rename="camel"):
    """A structure with a decoded and an undecoded member."""

    first_name: str = ""
    names: list[str] = []
    raw: msgspec.Raw = msgspec.Raw(b"")
    more: dict[str, msgspec.Raw] = {}


THING = msgspec.json.Decoder(Thing)
LONE = [
    rb"\ud83d",
    rb"\uDE00",
    rb"\uDe00\uD83D",
    rb"\ud83d\ud83d\ude00",
    rb"\ud83d\ude00\ude00",
    rb"\\\ud83d",
    rb"\ud83d\\ude00",
    rb"\ud83d\n",
    rb"\ud83d\u0041",
    b"\\ud83d\xc3\xa4",
]
WHOLE = [rb"\ud83d\ude00", rb"\\ud83d", rb"\\\\ude00", rb"\u0041", rb"\ufffd", rb"\ufffe", b""]


@pytest.mark.parametrize("text", LONE)
def test_raw_members_keep_an_unpaired_surrogate(text: bytes) -> None:
    body = b'{"raw": {"%b": ["%b"]}, "more": {"a": "%b"}, "firstName": "\\\\ok", "else": "%b"}' % ((text,) * 4)

    thing = surrogates.decode(THING, body)

    assert bytes(thing.raw) == b'{"%b": ["%b"]}' % (text, text)
    assert bytes(thing.more["a"]) == b'"%b"' % text
    assert thing.first_name == "\\ok"
    assert surrogates.has_lone_surrogate(body)
    assert surrogates.is_object(body)


@pytest.mark.parametrize("text", LONE)
@pytest.mark.parametrize(("member", "place"), [("firstName", '"%s"'), ("names", '["a", "%s"]'), ("more", '{"%s": 1}')])
def test_a_string_with_an_unpaired_surrogate_is_refused_with_its_location(text: bytes, member: str, place: str) -> None:
    body = b'{"raw": {}, "%b": %b}' % (member.encode(), place.encode().replace(b"%s", text))

    with pytest.raises(LoneSurrogate, match="lone surrogate") as caught:
        surrogates.decode(THING, body)

    assert caught.value.member == member


@pytest.mark.parametrize("text", WHOLE)
def test_a_body_without_surrogates_is_left_to_the_decoder(text: bytes) -> None:
    body = b'{"raw": "%b"}' % text

    assert surrogates.decode(THING, body) is None
    assert not surrogates.has_lone_surrogate(body)
    assert surrogates.is_object(body)


@pytest.mark.parametrize(
    "body", [rb'{"raw": "\ud83d"', rb'{"raw": "\ud83d\x"}', rb'["\ud83d"]', rb'{"firstName": "\ud83d']
)
def test_invalid_json_with_an_unpaired_surrogate_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        surrogates.decode(THING, body)
    assert not surrogates.is_object(body)


def test_too_many_unpaired_surrogates_are_refused() -> None:
    body = b'{"raw": "%b"}' % (rb"\ud83d" * (surrogates.COUNT_MAX + 1))

    with pytest.raises(LoneSurrogate):
        surrogates.decode(THING, body)


@given(st.dictionaries(st.text(st.characters()), st.text(st.characters() | st.sampled_from('\ud83d\ude00\\"'))))
def test_every_json_object_is_kept_bytewise(value: dict[str, str]) -> None:
    text = json.dumps(value).encode()
    body = b'{"raw":%b}' % text

    thing = surrogates.decode(THING, body) or THING.decode(body)

    assert bytes(thing.raw) == text
    assert surrogates.is_object(text)
