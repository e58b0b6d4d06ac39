# SPDX-License-Identifier: MIT
r"""JSON texts with lone surrogates: `"\ud83d"`, half of a surrogate pair whose other half is missing.

RFC 8259, section 8.2, permits such a text, but a Unicode string cannot represent it. Payloads keep it, because their
bytes are never decoded. Fields that are decoded into strings (names, uids) refuse it.
"""

import re
from itertools import islice
from typing import Any, Final

import msgspec

COUNT_MAX: Final = 10_000
"""The most lone surrogates in one text; each one costs time."""

_LONE: Final = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
_LENGTH: Final = 6
_whole: Final = msgspec.json.Decoder(msgspec.Raw)
_STAND_INS: Final = (rb"\ufffd", rb"\ufffe")


class LoneSurrogate(ValueError):
    """A decoded string would contain a lone surrogate; `member` names the member, if it is known."""

    def __init__(
        self,
        member: str = "",
        detail: str = "a lone surrogate is not a Unicode character: half of a surrogate pair is missing",
    ) -> None:
        super().__init__(detail)
        self.member = member


def decode(decoder: Any, body: bytes) -> Any:  # noqa: ANN401 - a decoder of any type, and what it decodes
    """Decode a text with lone surrogates, or return None if it has none. `msgspec.Raw` members keep their bytes.

    Raises `LoneSurrogate` if a string contains one or if there are too many, and the errors of the decoder.
    """
    places = _places(body)
    if not places:
        return None
    if len(places) > COUNT_MAX:
        raise LoneSurrogate(detail=f"more than {COUNT_MAX} lone surrogates")
    first, second = (_decoded(decoder, body, places, stand_in) for stand_in in _STAND_INS)
    if first != second:
        raise LoneSurrogate(_differing(first, second))
    return first


def is_object(body: bytes) -> bool:
    """Return whether the bytes are a JSON object; its strings may contain lone surrogates."""
    if not body.lstrip(b" \t\r\n").startswith(b"{"):
        return False
    try:
        _whole.decode(body)
    except msgspec.MsgspecError:
        try:
            return decode(_whole, body) is not None
        except (msgspec.MsgspecError, LoneSurrogate):
            return False
    return True


def has_lone_surrogate(text: bytes) -> bool:
    """Return whether a JSON text has a lone surrogate."""
    return bool(_places(text))


def _places(body: bytes) -> list[int]:
    """Return the positions of the escapes of lone surrogates. An escaped backslash starts no escape."""
    return [match.start() for match in islice(_LONE.finditer(body.replace(rb"\\", b"..")), COUNT_MAX + 1)]


def _decoded(decoder: Any, body: bytes, places: list[int], stand_in: bytes) -> Any:  # noqa: ANN401
    """Decode with each lone surrogate replaced by a stand-in of the same length.

    A `Raw` is a view of the decoded buffer. After decoding, the buffer is restored, so every `Raw` has the original
    bytes and only strings contain the stand-in.
    """
    text = bytearray(body)
    for place in places:
        text[place : place + _LENGTH] = stand_in
    value = decoder.decode(text)
    memoryview(text)[:] = body
    return value


def _differing(first: Any, second: Any) -> str:  # noqa: ANN401
    """Return the name of the member in which two structs differ."""
    if not isinstance(first, msgspec.Struct):
        return ""
    for each in msgspec.structs.fields(first):
        if getattr(first, each.name) != getattr(second, each.name):
            return each.encode_name
    return ""
