# SPDX-License-Identifier: MIT
"""Identifiers: a prefix and a 27-character KSUID whose order is the order of creation.

A KSUID here has 20 bytes: seconds since 2014-05-13 (4), the part of the second in steps of 4 ms (1), and
randomness (15), written in base 62 with an alphabet that sorts as bytes do. So ids of one kind sort by the
timestamp they were made, and a range of time is a range of ids. Those that one process makes in one step rise, too: a
counter comes before the rest of the randomness.
"""

import os
from typing import Final, NewType

AppId = NewType("AppId", str)
EndpointId = NewType("EndpointId", str)
MessageId = NewType("MessageId", str)
AttemptId = NewType("AttemptId", str)
TaskId = NewType("TaskId", str)
OrgId = NewType("OrgId", str)

ORG: Final = "org_"
APP: Final = "app_"
ENDPOINT: Final = "ep_"
MESSAGE: Final = "msg_"
ATTEMPT: Final = "atmpt_"
TASK: Final = "qtask_"

DEFAULT_ORG: Final = OrgId("org_23rb8YdGqMT0qIzpgGwdXfHirMu")

STEP_MS: Final = 4
"""Granularity of the timestamp inside an id, in milliseconds."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE: Final = {character: value for value, character in enumerate(_ALPHABET)}
_EPOCH_MS: Final = 1_400_000_000_000
_LENGTH: Final = 27
PATTERN: Final = "([0-9A-Z][0-9A-Za-z]{26}|a[0-9A-V][0-9A-Za-z]{25})"
"""A regular expression for 27 characters that hold 160 bits: ids up to June 2150."""
_RANDOM_BITS: Final = 120
# One step of time spans 2**120 numbers, more than a hundred blocks of 62**19: so the first eight characters
# can be chosen once a step, inside it for certain, and the other nineteen are free: three count, the rest is random.
_FREE: Final = 19
_RANDOM: Final = 16
_BLOCK: Final = 62**_FREE
_TO_ALPHABET: Final = bytes(ord(_ALPHABET[value % 62]) for value in range(256))
_POOL_BYTES: Final = _RANDOM * 512
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_HEADS_KEPT: Final = 1_024


class _Head:
    """What the ids of a step begin with, up to the last two places of their count."""

    __slots__ = ("_prefix", "_turns", "count", "text")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._turns = 0
        self.text = prefix + _ALPHABET[0]
        self.count = 0

    def turn(self) -> None:
        """Go on with the first place of the count; a step ends long before that has run out."""
        self._turns = min(self._turns + 1, len(_ALPHABET) - 1)
        self.text = self._prefix + _ALPHABET[self._turns]


class _Pool:
    """Random characters, bought from the kernel in bulk: a system call per id would cost more than the rest.

    The heads of the last steps are remembered, each with its count: attempts are dated back to when they began, so that
    ids of several steps are made at one time.
    """

    __slots__ = ("_at", "_heads", "_text")

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._heads: dict[tuple[str, int], _Head] = {}

    def take(self, prefix: str, timestamp_ms: int) -> str:
        step = prefix, timestamp_ms // STEP_MS
        head = self._heads.get(step)
        if head is None:
            if len(self._heads) >= _HEADS_KEPT:
                del self._heads[next(iter(self._heads))]
            head = self._heads[step] = _Head(prefix + _head_of(timestamp_ms))
        count = head.count
        if count == len(_PAIRS):
            head.turn()
            count = 0
        head.count = count + 1
        at = self._at
        end = at + _RANDOM
        if end > len(self._text):
            self._text = os.urandom(_POOL_BYTES).translate(_TO_ALPHABET).decode("ascii")
            at, end = 0, _RANDOM
        self._at = end
        return head.text + _PAIRS[count] + self._text[at:end]


def _encode(number: int, length: int = _LENGTH) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _floor_of(timestamp_ms: int) -> int:
    """Return the least 160-bit number of the step that holds a timestamp; timestamps before the epoch clamp to it."""
    seconds, rest = divmod(max(0, timestamp_ms - _EPOCH_MS), 1000)
    return ((min(seconds, 0xFFFFFFFF) << 8) | (rest // STEP_MS)) << _RANDOM_BITS


def _head_of(timestamp_ms: int) -> str:
    floor = _floor_of(timestamp_ms)
    blocks = (1 << _RANDOM_BITS) // _BLOCK - 1
    first = -(-floor // _BLOCK)
    chosen = first + int.from_bytes(os.urandom(4), "big") % blocks
    return _encode(chosen, _LENGTH - _FREE)


_pool = _Pool()


def new(prefix: str, timestamp_ms: int) -> str:
    """Make a fresh id for a timestamp in milliseconds since the Unix epoch."""
    return _pool.take(prefix, timestamp_ms)


def first_at(prefix: str, timestamp_ms: int) -> str:
    """Return the least id of the 4 ms step that holds a timestamp, for ranges: no later id is less."""
    return prefix + _encode(_floor_of(timestamp_ms))


def last_at(prefix: str, timestamp_ms: int) -> str:
    """Return the greatest id of the 4 ms step that holds a timestamp."""
    return prefix + _encode(_floor_of(timestamp_ms) + (1 << _RANDOM_BITS) - 1)


def timestamp_of(identifier: str) -> int:
    """Return the timestamp inside an id, in milliseconds since the Unix epoch, a multiple of 4.

    Raises ValueError if the text does not end in 27 characters of base 62 that hold 160 bits.
    """
    number = 0
    text = identifier[-_LENGTH:]
    for character in text:
        if character not in _VALUE:
            raise ValueError(identifier)
        number = number * 62 + _VALUE[character]
    if len(text) != _LENGTH or number >> 160:
        raise ValueError(identifier)
    seconds, step = divmod(number >> _RANDOM_BITS, 256)
    return _EPOCH_MS + seconds * 1000 + step * STEP_MS


def number_of(text: str) -> int:
    """Return the number that some characters of an id stand for: the next one is greater by one."""
    number = 0
    for character in text:
        number = number * 62 + _VALUE[character]
    return number


def is_id(text: str, prefix: str) -> bool:
    """Tell whether a text is a whole id of the kind that the prefix names."""
    if not text.startswith(prefix) or len(text) != len(prefix) + _LENGTH:
        return False
    try:
        timestamp_of(text)
    except ValueError:
        return False
    return True
