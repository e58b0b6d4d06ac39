# SPDX-License-Identifier: MIT
"""Values of settings: conversion from a text or a TOML value, and checks of bounds.

A fault is a phrase that follows the name of a setting. It may quote numbers and list entries, but never a text value,
which may be secret.
"""

import ipaddress
import math
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

_PROXY_SCHEMES: Final = ("http", "https", "socks5")
_PROXY_CREDENTIAL_MAX: Final = 255
_SHOWN: Final = 60
_DIGITS_MAX: Final = 19
_FAR: Final = 10**_DIGITS_MAX
"""Beyond every bound. It replaces longer numbers, which the interpreter refuses to print."""
_TEXT_MAX: Final = 65_536
_ALLOWED: Final = "\n\r\t"


def parsed(given: object, type_: Any) -> Any:  # noqa: ANN401 - a type or a union of types
    """Return a value converted to a type. Raises `ValueError` with the fault."""
    if type_ in _PLAIN:
        return _PLAIN[type_](given)
    if type_ in _ENTRIES:
        return tuple(_ENTRIES[type_](item) for item in _items(given))
    return _text(given)


def fault(value: object, bounds: tuple[float, float] | None, most: int) -> str | None:
    """Return the fault of a converted value, or None if it is valid."""
    if isinstance(value, str):
        return _text_fault(value)
    if not isinstance(value, tuple):
        return None if bounds is None or isinstance(value, bool) else _number_fault(value, bounds, "must be")
    if len(value) > most:
        return f"has at most {most} entries"
    found = (_entry_fault(item, bounds) for item in value)
    return next((each for each in found if each is not None), None)


def is_number(text: str, most: int) -> bool:
    """Return whether a text is a whole number in ASCII digits, from 0 to `most`."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and int(text) <= most


def proxy_fault(url: str | None) -> str | None:
    """Return the fault of a proxy URL, or None. The fault does not quote the URL, which may contain a password."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port != 0  # raises for a port that is not a number
    except ValueError:
        return "is not a URL"
    if "@" in parts.path + parts.query or parts.fragment:
        return "cannot be read; percent-encode special characters in user and password (`/` is %2F, `#` is %23)"
    if parts.scheme not in _PROXY_SCHEMES or not parts.hostname or not port_is_valid:
        return f"must be scheme://host:port, the scheme one of {', '.join(_PROXY_SCHEMES)}"
    if any(len(part or "") > _PROXY_CREDENTIAL_MAX for part in (parts.username, parts.password)):
        return f"has a user or password of more than {_PROXY_CREDENTIAL_MAX} characters"
    return None


def noproxy_fault(rules: tuple[str, ...]) -> str | None:
    """Return the fault of the proxy exceptions, or None."""
    for rule in rules:
        if "/" in rule:
            try:
                ipaddress.ip_network(rule, strict=False)
            except ValueError:
                return f"must list names, addresses and subnets like 10.0.0.0/8, not {_shown(rule)}"
    return None


def _entry_fault(item: object, bounds: tuple[float, float] | None) -> str | None:
    if isinstance(item, str):
        return _text_fault(item)
    return None if bounds is None else _number_fault(item, bounds, "must list numbers")


def _number_fault(value: Any, bounds: tuple[float, float], words: str) -> str | None:  # noqa: ANN401 - a number
    least, most = bounds
    return None if least <= value <= most else f"{words} from {least:,} to {most:,}"


def _text_fault(text: str) -> str | None:
    if len(text) > _TEXT_MAX:
        return f"has at most {_TEXT_MAX} characters"
    if any((character < " " and character not in _ALLOWED) or "\ud800" <= character <= "\udfff" for character in text):
        return "contains control characters, or bytes that are not UTF-8"
    return None


def _kind(given: object) -> str:
    return {list: "a list", dict: "a table", bool: "true or false"}.get(type(given), "a value of another type")


def _shown(given: object) -> str:
    if not isinstance(given, str):
        return _kind(given)
    if "@" in given or "//" in given:  # a URL in the wrong setting may contain a password
        return "a URL"
    return repr(given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…")


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    raise ValueError(f"must be a string, not {_kind(given)}")


def _whole(given: object) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    text = given.strip() if isinstance(given, str) else ""
    plain = text.removeprefix("-").removeprefix("+").replace("_", "")
    if not (plain.isascii() and plain.isdigit()):
        raise ValueError(f"must be a whole number, not {_shown(given)}")
    return int(text) if len(plain) <= _DIGITS_MAX else -_FAR if text.startswith("-") else _FAR


def _number(given: object) -> float:
    if isinstance(given, str) or (isinstance(given, int | float) and not isinstance(given, bool)):
        try:
            number = float(given)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise ValueError(f"must be a number, not {_shown(given)}")


def _truth(given: object) -> bool:
    if isinstance(given, bool):
        return given
    text = "1" if given == 1 else "0" if given == 0 else given.strip().lower() if isinstance(given, str) else ""
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"must be true or false, not {_shown(given)}")


def _items(given: object) -> Sequence[str]:
    if isinstance(given, str):
        inner = given.strip().removeprefix("[").removesuffix("]")
        return [item.strip().strip("\"'") for item in inner.split(",") if item.strip()]
    if not isinstance(given, list | tuple):
        raise ValueError(f"must be a list, not {_kind(given)}")  # noqa: TRY004 - like every other fault
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in given):
        raise ValueError("must be a list of strings or whole numbers")
    return [str(max(-_FAR, min(item, _FAR))) if isinstance(item, int) else item for item in given]


def _whole_item(item: str) -> int:
    try:
        return _whole(item)
    except ValueError:
        raise ValueError(f"must list whole numbers, like [5,300], not {_shown(item)}") from None


def _subnet(item: str) -> Subnet:
    try:
        return ipaddress.ip_network(item, strict=False)
    except ValueError:
        raise ValueError(f"must list subnets like 10.0.0.0/8, not {_shown(item)}") from None


_PLAIN: Final[dict[Any, Callable[[object], Any]]] = {bool: _truth, int: _whole, float: _number}
_ENTRIES: Final[dict[Any, Callable[[str], Any]]] = {
    tuple[str, ...]: str,
    tuple[int, ...]: _whole_item,
    tuple[Subnet, ...]: _subnet,
}
