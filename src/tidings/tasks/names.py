# SPDX-License-Identifier: MIT
"""Class and file names for event types: valid in both languages, distinct on every file system, and short."""

import hashlib
import keyword
import re
from collections.abc import Iterable
from typing import Final

LENGTH_MAX: Final = 100
"""The most characters of a file name; file systems allow 255 bytes."""
_KEPT: Final = 60
_DIGITS: Final = 8
_WORD: Final = re.compile(r"[A-Za-z0-9]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_INDEX_NAMES: Final = "EVENTS Events Record"
_IMPORTED_NAMES: Final = (
    "AliasChoices Annotated Any AnyUrl AwareDatetime Base64Bytes Base64Encoder Base64Str BaseModel ClassVar ConfigDict"
    " Date DateTime Decimal Dict Duration EmailStr EncodedBytes Enum Field FrozenSet FutureDate FutureDatetime"
    " IPv4Address IPv4Network IPv6Address IPv6Network IntEnum Iterator List Literal MISSING Mapping Meta MultipleOf"
    " NaiveDatetime NegativeFloat NegativeInt NonNegativeFloat NonNegativeInt NonPositiveFloat NonPositiveInt Optional"
    " PastDate PastDatetime Path PositiveFloat PositiveInt RootModel SecretStr Sequence SerializeAsAny Set StrEnum"
    " StrictBool StrictBytes StrictFloat StrictInt StrictStr StringConstraints Struct SupportsIndex Time Tuple"
    " TypeAdapter TypeAlias ULID UNSET UUID UUID1 UUID3 UUID4 UUID5 Union UnsetType ValidationInfo"
)
"""The names that generated modules import. A model of the same name would shadow the import, or be shadowed."""
_TAKEN_CLASSES: Final = frozenset((*keyword.kwlist, *_INDEX_NAMES.split(), *_IMPORTED_NAMES.split()))
_DEVICES: Final = (f"{port}{number}" for port in ("com", "lpt") for number in range(10))
_TAKEN_MODULES: Final = frozenset((*keyword.kwlist, "index", "con", "prn", "aux", "nul", *_DEVICES))
"""File names in use: the TypeScript index, Python's keywords, and the device names of Windows."""


def class_names(names: Iterable[str]) -> dict[str, str]:
    """Return a class name for each event type. Their file names differ, also on file systems that ignore case."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    for name in names:
        first = spelled = _class_name(name)
        number = 1
        while module(spelled) in taken:
            number += 1
            spelled = f"{first}V{number}"
        taken.add(module(spelled))
        found[name] = spelled
    return found


def _class_name(name: str) -> str:
    spelled = pascal(name)
    if spelled in _TAKEN_CLASSES:
        return f"{spelled}Event"
    if len(module(spelled)) <= LENGTH_MAX:
        return spelled
    return f"{spelled[:_KEPT]}H{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}"


def pascal(name: str) -> str:
    """Return a name in Pascal case, as a class name."""
    words = "".join(word[:1].upper() + word[1:] for word in _WORD.findall(name))
    return words if words and not words[0].isdigit() else f"Event{words}"


def module(class_name: str) -> str:
    """Return the name of the file that defines a class, without its suffix."""
    snake = _HUMP.sub("_", class_name).lower()
    return f"{snake}_" if snake in _TAKEN_MODULES else snake
