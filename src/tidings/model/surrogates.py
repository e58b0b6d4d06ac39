# SPDX-License-Identifier: MIT
r"""JSON texts with lone surrogates: `"\ud83d"`, half of a character that its sender cut in two.

RFC 8259, section 8.2, allows the text, and no string can hold what it says. So it is kept where bytes are passed on
as they came (payloads), and refused where a string is decoded from it (names, uids).
"""

import re
from itertools import islice
from typing import Any, Final

import msgspec

COUNT_MAX: Final = 10_000
"""Lone surrogates in one text; each costs time."""

_LONE: Final = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
_LENGTH: Final = 6
_whole: Final = msgspec.json.Decoder(msgspec.Raw)
_STAND_INS: Final = (rb"\ufffd", rb"\ufffe")


class LoneSurrogate(ValueError):
    """A decoded string would hold a lone surrogate; `member` is where, as far as it is known."""

    def __init__(
        self,
        member: str = "",
        detail: str = "a lone surrogate is not a Unicode character: half of a surrogate pair is missing",
    ) -> None:
        super().__init__(detail)
        self.member = member


def decode(decoder: Any, body: bytes) -> Any:  # noqa: ANN401 - a decoder of any type, and what it decodes
    """Decode a text with lone surrogates; those in `msgspec.Raw` keep their bytes. None where the text has none.

    Raises `LoneSurrogate` where a string holds one, or where there are too many, and what the decoder raises.
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
    """Return whether bytes are a JSON object; its strings may have lone surrogates."""
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
    """Return where the escapes of lone surrogates begin. An escaped backslash begins none."""
    return [match.start() for match in islice(_LONE.finditer(body.replace(rb"\\", b"..")), COUNT_MAX + 1)]


def _decoded(decoder: Any, body: bytes, places: list[int], stand_in: bytes) -> Any:  # noqa: ANN401
    """Decode with a stand-in of the same length for each; what is left undecoded is a view of these very bytes.

    So once they are restored every `Raw` holds what was sent, and only strings hold the stand-in.
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
