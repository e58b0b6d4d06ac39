# SPDX-License-Identifier: MIT
"""Values of settings: conversion from a text or a TOML value, and checks of bounds.

A fault is a phrase that follows the name of a setting. It may quote numbers and list entries, but never a text value,
which may be secret.
"""

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, get_args, get_origin
from urllib.parse import unquote, urlsplit

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

_DAY: Final = 86_400
_PROXY_SCHEMES: Final = ("http", "https", "socks5")
_PROXY_CREDENTIAL_MAX: Final = 255
_SHOWN: Final = 60
_DIGITS_MAX: Final = 19
_TEXT_MAX: Final = 65_536
_ALLOWED: Final = "\n\r\t"
_TRUTHS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_PLAIN: Final[dict[Any, str]] = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
_ENTRIES: Final[dict[Any, str]] = {
    int: "whole numbers, like [5,300]",
    str: "strings",
    Subnet: "subnets like 10.0.0.0/8",
}
_JWT_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_MAIN_SECRET_BYTES: Final = 32
AUTO: Final = "auto"
_PASSWORD: Final = re.compile(r"://[^/?#@:]*:([^/?#@]*)@|[?&](?:ssl)?password=([^&#]*)")
_AGE: Final = re.compile(r"(\d{1,9})\s*([smhdw]?)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": _DAY, "w": 7 * _DAY, "": _DAY}
PAYLOAD_DAYS: Final = 90
"""The longest retention of a payload, in days."""
_LATER_HOURS: Final = 24
"""How far ahead a message may be scheduled."""
_TITLE_MAX: Final = 64
_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_PAGE: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[\x21-\x7e]*)?")
_ORIGIN: Final = re.compile(r"https?://(\*\.)?[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)*(:\d{1,5})?")
_THIS_MACHINE: Final = ("127.0.0.1", "::1", "localhost")
_SESSION_LEAST: Final = 300
_SESSION_MOST: Final = 30 * _DAY
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_NOT_ABOUT_PEOPLE: Final = ("authorization", "cookie", "host", "origin", "x-forwarded-for", "x-forwarded-host")
_NAME_BYTES: Final = 63
_MAIL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_MAIL_MAX: Final = 254
_MAIL_SCHEMES: Final = ("smtp", "smtps", "starttls")
_RESERVED: Final = "pg_"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parsed(given: object, type_: Any) -> Any:  # noqa: ANN401 - a type or a union of types
    """Return a value converted to a type. Raises `ValueError` with the fault."""
    if get_origin(type_) is tuple:
        entry = get_args(type_)[0]
        return tuple(_converted(item, entry, f"must list {_ENTRIES[entry]}") for item in _items(given))
    kind = type_ if type_ in _PLAIN else str
    return _converted(given, kind, f"must be {_PLAIN[kind]}")


def fault(value: object, bounds: tuple[float, float] | None, most: int) -> str | None:
    """Return the fault of a converted value, or None if it is valid."""
    items, verb = (value, "list numbers") if isinstance(value, tuple) else ((value,), "be")
    if len(items) > most:
        return f"has at most {most} entries"
    for item in items:
        if isinstance(item, str) and (found := _text_fault(item)):
            return found
        if bounds is not None and not bounds[0] <= item <= bounds[1]:
            return f"must {verb} from {bounds[0]:,} to {bounds[1]:,}"
    return None


def is_number(text: str, most: int) -> bool:
    """Return whether a text is a whole number in ASCII digits, from 0 to `most`."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and int(text) <= most


def passwords(url: str) -> list[str]:
    """Return the passwords in a URL, as written and decoded."""
    found = _PASSWORD.findall(url)
    return [text for match in found for part in match if part for text in (part, unquote(part))]


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


def collector_fault(url: str | None) -> str | None:
    """Return the fault of the URL of a collector of traces, or None. The fault does not quote the URL."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # for a port that is not a number
        is_valid = False
    return None if is_valid else "must be a URL that starts with http:// or https://"


def service_fault(url: str | None) -> str | None:
    """Return the fault of the URL of another service of this API, or None. The fault does not quote the URL."""
    found = collector_fault(url)
    if found or not url:
        return found
    parts = urlsplit(url)
    return "must have no user, query or fragment" if "@" in parts.netloc or parts.query or parts.fragment else None


def mail_server_fault(url: str | None) -> str | None:
    """Return the fault of the URL of a mail server, or None. The fault does not quote the URL."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in _MAIL_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # for a port that is not a number
        is_valid = False
    if not is_valid or parts.path.strip("/") or parts.query or parts.fragment:
        form = f"must be scheme://host:port, the scheme one of {', '.join(_MAIL_SCHEMES)}"
        return f"{form}; percent-encode user and password"
    if parts.scheme == "smtp" and parts.password is not None and not _is_this_machine(parts.hostname or ""):
        return "would send the password in the clear: use smtps:// or starttls://"
    return None


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def addresses_fault(addresses: tuple[str, ...]) -> str | None:
    """Return the fault of a list of mail addresses, or None. They become a part of headers."""
    wrong = next((each for each in addresses if len(each) > _MAIL_MAX or not _MAIL.fullmatch(each)), None)
    return None if wrong is None else "must have addresses like ops@example.com, without a name"


def noproxy_fault(rules: tuple[str, ...]) -> str | None:
    """Return the fault of the proxy exceptions, or None."""
    for rule in rules:
        if "/" in rule:
            try:
                ipaddress.ip_network(rule, strict=False)
            except ValueError:
                return f"must list names, addresses and subnets like 10.0.0.0/8, not {_shown(rule)}"
    return None


def seconds(age: str) -> int | None:
    """Return the seconds of an age such as `120d`, or None. A number without a unit is in days."""
    found = _AGE.fullmatch(age.strip())
    return None if found is None else int(found[1]) * _UNITS[found[2]]


def schema_fault(name: str | None, *, on_sqlite: bool) -> str | None:
    """Return the fault of the name of a PostgreSQL schema, or None."""
    if name is None:
        return None
    if on_sqlite:
        return "is for PostgreSQL; a SQLite file has no schemas"
    if not 0 < len(name.encode("utf-8", "replace")) <= _NAME_BYTES:
        return f"must have 1 to {_NAME_BYTES} bytes"
    return f"must not start with {_RESERVED}, which PostgreSQL reserves" if name.startswith(_RESERVED) else None


def title_fault(name: str | None) -> str | None:
    """Return the fault of the name of the portal, or None."""
    if name is not None and not 0 < len(name.strip()) <= _TITLE_MAX:
        return f"must have 1 to {_TITLE_MAX} characters"
    return None


def color_fault(color: str | None) -> str | None:
    """Return the fault of a color, or None."""
    return None if color is None or _COLOR.fullmatch(color) else "must be a color like #0a7d4b"


def page_fault(url: str | None) -> str | None:
    """Return the fault of the URL of a web page, or None."""
    return None if url is None or _PAGE.fullmatch(url) else "must be a URL that starts with https:// or http://"


def issuer_fault(url: str | None) -> str | None:
    """Return the fault of the URL of a sign-in provider, or None: https, or http on this machine."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_url = bool(parts.hostname) and parts.port != 0
    except ValueError:  # for a port that is not a number
        return "is not a URL"
    is_private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)
    if parts.query or parts.fragment:
        return "must have no query or fragment"
    is_valid = is_url and is_private and _PAGE.fullmatch(url)
    return None if is_valid else "must be a URL that starts with https://"


def session_fault(age: str) -> str | None:
    """Return the fault of the duration of a session, or None."""
    given = seconds(age)
    is_valid = given is not None and _SESSION_LEAST <= given <= _SESSION_MOST
    return None if is_valid else "must be a time like 12h, from 5m to 30d"


def header_fault(name: str | None) -> str | None:
    """Return the fault of the name of a request header, or None."""
    if name is None or (_HEADER.fullmatch(name) and name.lower() not in _NOT_ABOUT_PEOPLE):
        return None
    return "must be the name of a header like X-Forwarded-Email"


def origins_fault(origins: tuple[str, ...]) -> str | None:
    """Return the fault of a list of origins, or None. They become a part of a header."""
    wrong = next((each for each in origins if not _ORIGIN.fullmatch(each)), None)
    return None if wrong is None else f"must list origins like https://app.example.com, not {_shown(wrong)}"


def retention_fault(age: str | None, schedule: int) -> str | None:
    """Return the fault of the retention of messages, or None. `schedule` is the retry schedule in seconds."""
    if age is None:
        return None
    given = seconds(age)
    if given is None:
        return "must be an age like 120d or 26w"
    if given < PAYLOAD_DAYS * _DAY:
        return f"must be at least {PAYLOAD_DAYS}d, the retention of payloads"
    least = schedule + _LATER_HOURS * 3_600
    if given < least:
        return (
            f"must be at least {math.ceil(least / 3_600)}h: the {math.ceil(schedule / 3_600)} hours of retry_schedule,"
            f" and {_LATER_HOURS} hours by which a message may be scheduled ahead"
        )
    return None


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


def _converted(given: object, kind: Any, rule: str) -> Any:  # noqa: ANN401 - a type or a union of types
    try:
        return _CONVERSIONS[kind](given)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise ValueError(f"{rule}, not {_shown(given)}") from None


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    raise TypeError


def _whole(given: object) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    return int(_text(given).encode("ascii"))  # the interpreter would read other digits, too


def _number(given: object) -> float:
    number = given if isinstance(given, float) else float(given if isinstance(given, str) else _whole(given))
    if math.isfinite(number):
        return number
    raise ValueError


def _truth(given: object) -> bool:
    return _TRUTHS[str(given).strip().lower()]


def _items(given: object) -> Sequence[str]:
    if isinstance(given, str):
        inner = given.strip().removeprefix("[").removesuffix("]")
        return [item.strip().strip("\"'") for item in inner.split(",") if item.strip()]
    if not isinstance(given, list | tuple):
        raise ValueError(f"must be a list, not {_kind(given)}")  # noqa: TRY004 - like every other fault
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in given):
        raise ValueError("must be a list of strings or whole numbers")
    return [str(item) for item in given]


def _subnet(given: object) -> Subnet:
    return ipaddress.ip_network(_text(given), strict=False)


_CONVERSIONS: Final[dict[Any, Callable[[object], Any]]] = {
    bool: _truth,
    int: _whole,
    float: _number,
    str: _text,
    Subnet: _subnet,
}


def weak_secrets(jwt_secrets: Mapping[str, str | None], jwt_algorithm: str, main_secret: str | None) -> list[str]:
    """Return a warning for each secret that is too short, those that sign tokens first, by the names of settings."""
    least, main = _JWT_SECRET_BYTES.get(jwt_algorithm, 0), size(main_secret)
    found = [
        f"{name} has {size(secret)} bytes, and {jwt_algorithm} needs at least {least}: anyone who guesses it can sign"
        f" tokens. Set TIDINGS_{name.upper()} to a longer random text, as from `openssl rand -base64 48`."
        for name, secret in jwt_secrets.items()
        if 0 < size(secret) < least
    ]
    if 0 < main < _MAIN_SECRET_BYTES:
        found.append(
            f"main_secret has {main} bytes and should have at least {_MAIN_SECRET_BYTES}: anyone who guesses it can"
            " read the endpoints' secrets in a copy of the database."
        )
    return found


def size(secret: str | None) -> int:
    """Return the bytes of a secret, 0 without one."""
    return len((secret or "").encode("utf-8", "surrogateescape"))
