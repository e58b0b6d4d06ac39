# SPDX-License-Identifier: MIT
"""Ids: a prefix and a 27-character KSUID that sorts by creation time.

A KSUID encodes 20 bytes: seconds since 2014-05-13 (4), the step of 4 ms within the second (1), and randomness (15). It
is written in base 62, with an alphabet that sorts like bytes. So ids of one kind sort by their timestamps, and a time
range is a range of ids. The ids that one process creates in the same step also ascend, because a counter precedes the
random part.
"""

import os
from typing import Final, NewType

AppId = NewType("AppId", str)
EndpointId = NewType("EndpointId", str)
MessageId = NewType("MessageId", str)
AttemptId = NewType("AttemptId", str)
TaskId = NewType("TaskId", str)
OrgId = NewType("OrgId", str)
ConnectorId = NewType("ConnectorId", str)

ORG: Final = "org_"
APP: Final = "app_"
ENDPOINT: Final = "ep_"
MESSAGE: Final = "msg_"
ATTEMPT: Final = "atmpt_"
TASK: Final = "qtask_"
API_KEY: Final = "key_"
INTEGRATION: Final = "integ_"
CONNECTOR: Final = "trtmpl_"
MAIL: Final = "mail_"

DEFAULT_ORG: Final = OrgId("org_23rb8YdGqMT0qIzpgGwdXfHirMu")
MANAGEMENT_ORG: Final = OrgId("org_00000000000SvixManagement00")
"""The organization of the installation itself, as in svix-server; the keys of operators belong to it."""

STEP_MS: Final = 4
"""The resolution of the timestamp in an id, in milliseconds."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE: Final = {character: value for value, character in enumerate(_ALPHABET)}
_EPOCH_MS: Final = 1_400_000_000_000
_LENGTH: Final = 27
PATTERN: Final = "([0-9A-Z][0-9A-Za-z]{26}|a[0-9A-V][0-9A-Za-z]{25})"
"""A regular expression for 27 characters that encode at most 160 bits: ids up to June 2150."""
_RANDOM_BITS: Final = 120
# One step spans 2**120 numbers, more than a hundred blocks of 62**19 numbers. So the first eight characters, a block
# within the step, are chosen once per step. The other nineteen are free: three hold a counter, sixteen are random.
_FREE: Final = 19
_RANDOM: Final = 16
_BLOCK: Final = 62**_FREE
_TO_ALPHABET: Final = bytes(ord(_ALPHABET[value % 62]) for value in range(256))
_POOL_BYTES: Final = _RANDOM * 512
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_HEADS_KEPT: Final = 1_024


class _Head:
    """The common start of the ids of a step, up to the last two characters of the counter."""

    __slots__ = ("_carried", "_prefix", "count", "text")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._carried = 0
        self.text = prefix + _ALPHABET[0]
        self.count = 0

    def carry(self) -> None:
        """Increment the first character of the counter. A step ends long before that overflows."""
        self._carried = min(self._carried + 1, len(_ALPHABET) - 1)
        self.text = self._prefix + _ALPHABET[self._carried]


class _Pool:
    """A source of ids that reads random bytes in bulk: a system call per id would cost more than all the rest.

    The pool caches the heads of recent steps with their counters. An attempt id carries the time at which the attempt
    began, so ids of several steps are created at a time.
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
            head.carry()
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
    """Return the least 160-bit number of the step that contains a timestamp. Earlier timestamps clamp to the epoch."""
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
    """Return a new id for a timestamp in milliseconds since the Unix epoch."""
    return _pool.take(prefix, timestamp_ms)


def first_at(prefix: str, timestamp_ms: int) -> str:
    """Return the least id of the 4 ms step that contains a timestamp: the inclusive start of a range."""
    return prefix + _encode(_floor_of(timestamp_ms))


def last_at(prefix: str, timestamp_ms: int) -> str:
    """Return the greatest id of the 4 ms step that contains a timestamp."""
    return prefix + _encode(_floor_of(timestamp_ms) + (1 << _RANDOM_BITS) - 1)


def timestamp_of(identifier: str) -> int:
    """Return the timestamp of an id, in milliseconds since the Unix epoch, a multiple of 4.

    Raises `ValueError` if the text does not end in 27 base-62 characters that encode at most 160 bits.
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
    """Return the number that a text encodes in base 62."""
    number = 0
    for character in text:
        number = number * 62 + _VALUE[character]
    return number


def is_id(text: str, prefix: str) -> bool:
    """Return whether a text is a valid id with the given prefix."""
    if not text.startswith(prefix) or len(text) != len(prefix) + _LENGTH:
        return False
    try:
        timestamp_of(text)
    except ValueError:
        return False
    return True
