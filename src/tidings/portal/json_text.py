# SPDX-License-Identifier: MIT
"""JSON for people: indented if that stays small. Nesting multiplies the size of indented text, so it is bounded."""

from itertools import accumulate
from typing import Final

import msgspec

SHOWN_BYTES: Final = 64 * 1_024
"""The most bytes of one text on a page."""
_DEPTH_MAX: Final = 40
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_CUT: Final = "\n… cut here; download it to see all"


def indented(given: bytes) -> str:
    """Return JSON with indentation; deep, large or other text unchanged; all of it cut at 64 KiB."""
    text = given
    if len(given) <= SHOWN_BYTES and _depth(given) <= _DEPTH_MAX:
        try:
            text = msgspec.json.format(given, indent=2)
        except msgspec.MsgspecError:
            text = given
    if len(text) <= 2 * SHOWN_BYTES:
        return text.decode("utf-8", "replace")
    return text[:SHOWN_BYTES].decode("utf-8", "replace") + _CUT


def _depth(given: bytes) -> int:
    """Return how deep brackets are nested, at most: those inside of texts count, too."""
    brackets = given.translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
