# SPDX-License-Identifier: MIT
"""Database URLs, parsed by the rules of libpq. Errors never quote any part of a URL.

An unescaped special character in a password shifts the boundaries between user, password, host and database. Each part
may then contain a piece of the password, so an error states the rule and never the text.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

POSTGRES: Final = ("postgresql://", "postgres://")
SQLITE: Final = "sqlite:"
_ESCAPE: Final = (
    "percent-encode special characters in user and password (`@` is %40, `:` %3A, `/` %2F, `?` %3F, `#` %23)"
)
_PORTS: Final = range(1, 65_536)
_MOST: Final = {"connect_timeout": 3_600, "keepalives": 1, "keepalives_count": 127, "tcp_user_timeout": 3_600_000}
_MOST_ELSE: Final = 32_767
_PASSED_ON: Final = frozenset(
    (
        "passfile",
        "service",
        "sslmode",
        "sslnegotiation",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslrootcert",
        "sslcrl",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "target_session_attrs",
        "krbsrvname",
        "gsslib",
    )
)
"""Parameters that are passed to the driver, which treats them like libpq."""
_OWN: Final = frozenset(("user", "password", "host", "port", "dbname", "database"))
_FOR_SERVER: Final = frozenset(("application_name", "options", "search_path"))
_KEEPALIVES: Final = frozenset(
    ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")
)
_SAME: Final = {"ssl_mode": "sslmode", "ssl_root_cert": "sslrootcert", "ssl_ca": "sslrootcert", "ssl_cert": "sslcert"}
_CHOICES: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_HARMLESS: Final = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "client_encoding": ("auto", "utf8", "UTF8", "UTF-8"),
    "sslcompression": ("0",),
    "sslsni": ("1",),
    "load_balance_hosts": ("disable",),
}
"""Values that request the default behavior, so ignoring them is harmless."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_.\[\]-]{0,40}")


MASK: Final = "********"
_PASSWORD: Final = re.compile(r"passw", re.IGNORECASE)
_LOGIN: Final = re.compile(r"(?<![^&])(user|password)=[^&]*")
"""The parameters whose values may contain `@`."""
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class DsnError(ValueError):
    """An invalid URL. The message quotes no part of it that may be secret."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """The parts of a PostgreSQL URL."""

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    driver: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Parameters for the driver."""
    server: tuple[tuple[str, str], ...] = ()
    """Parameters for the server."""
    keepalives: tuple[tuple[str, int], ...] = ()
    connect_timeout: int | None = None
    ignored: tuple[str, ...] = ()
    """Names of parameters that have no effect."""

    @property
    def place(self) -> str:
        """The address of the server, for messages."""
        if not self.hosts:
            return "the default host"
        return ", ".join(
            host if host.startswith("/") else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            for host, port in zip(self.hosts, self.ports, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Sqlite:
    """The file that a SQLite URL names."""

    path: Path
    may_create: bool = True
    ignored: tuple[str, ...] = ()


def sqlite(url: str) -> Sqlite:
    """Parse `sqlite:///relative.db` or `sqlite:////absolute/path.db`, with parameters. Raises `DsnError`."""
    text, _, query = url.strip().removeprefix(SQLITE).partition("?")
    text = unquote(text.removeprefix("//").removeprefix("/") if text.startswith("//") else text) or "tidings.db"
    if ":memory:" in text:
        raise DsnError("an in-memory database is not supported; name a file: sqlite:///tidings.db")
    if "\0" in text:
        raise DsnError("the file name contains a zero byte")
    given = dict(parse_qsl(query, keep_blank_values=True))
    mode = given.pop("mode", "rwc")
    if mode not in ("rw", "rwc"):
        raise DsnError("mode must be rwc (create the file) or rw (use an existing file)")
    return Sqlite(Path(text), mode == "rwc", _nameable(given))


def postgres(url: str) -> Postgres:
    """Parse a URL like libpq. Raises `DsnError`."""
    url = url.strip()
    rest = next(url.removeprefix(scheme) for scheme in POSTGRES if url.startswith(scheme))
    if "\0" in unquote(rest) or any(ord(character) < ord(" ") for character in rest):
        raise DsnError(f"the URL contains control characters; {_ESCAPE}")
    netloc, path, query = _split(rest)
    login, _, places = netloc.rpartition("@")
    user, has_password, password = login.partition(":")
    given = _given(query)
    hosts, ports = _places(places, given)
    return Postgres(
        hosts=hosts,
        ports=ports,
        user=unquote(user) or given.get("user"),
        password=unquote(password) if has_password else given.get("password"),
        database=unquote(path) or given.get("dbname") or given.get("database"),
        driver=tuple((name, value) for name, value in given.items() if name in _PASSED_ON),
        server=tuple((name, value) for name, value in given.items() if name in _FOR_SERVER),
        keepalives=tuple((name, _whole(name, value)) for name, value in given.items() if name in _KEEPALIVES),
        connect_timeout=_whole("connect_timeout", given["connect_timeout"]) if "connect_timeout" in given else None,
        ignored=_ignored(given),
    )


def masked(text: str) -> str:
    """Return a setting with each password masked if it is a URL: of a database, a proxy, or another service.

    An unescaped `@` or `/` in a password shifts its boundaries, so everything up to the last `@` counts as one.
    """
    scheme = _URL.match(text.strip())
    if scheme is None or text.strip().startswith(SQLITE):
        return text
    text = text.strip()
    start = scheme.end()
    at = text.rfind("@", start, text.find("?", start) if _is_plain(text[start:]) else len(text))
    user, colon, _ = text[start : at if at >= 0 else start].partition(":")
    rest = text[at:] if at >= 0 else text[start:]
    place, mark, query = rest.partition("?")
    parameters = (_masked_parameter(each) for each in query.split("&"))
    login = f"{user}:{MASK}" if colon else user
    return f"{text[:start]}{login}{place}{mark}{'&'.join(parameters)}"


def _is_plain(rest: str) -> bool:
    """Return whether a `?` begins the parameters: no `@` follows it, except in a login."""
    before, mark, query = rest.partition("?")
    return bool(mark) and "@" not in _LOGIN.sub("", query) and before.count("@") <= 1


def _masked_parameter(text: str) -> str:
    name, sign, _ = text.partition("=")
    return f"{name}={MASK}" if sign and _PASSWORD.search(unquote(name)) else text


def _split(rest: str) -> tuple[str, str, str]:
    """Split the URL after its scheme. Raises `DsnError` if a password may extend over a boundary."""
    at = min((found for found in (rest.find(sign) for sign in "/?#") if found >= 0), default=len(rest))
    netloc, tail = rest[:at], rest[at:]
    path, _, query = tail.partition("?")
    values_at = _LOGIN.sub("", query)
    if netloc.count("@") > 1 or "@" in path or "@" in values_at or "#" in tail:
        raise DsnError(f"the URL is invalid; {_ESCAPE}")
    return netloc, path.removeprefix("/"), query


def _given(query: str) -> dict[str, str]:
    """Return the parameters by their libpq names. The last of two values wins."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=100)
    except ValueError:
        raise DsnError(f"the parameters after `?` must be name=value pairs; {_ESCAPE}") from None
    given = {}
    for name, value in pairs:
        known = name if name not in (plain := name.replace("-", "_")) else plain
        if value:
            given[_SAME.get(plain, known)] = value
    for name, choices in _CHOICES.items():
        if name in given and given[name] not in choices:
            raise DsnError(f"{name} must be one of {', '.join(choices)}")
    return given


def _places(text: str, given: dict[str, str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the hosts and their ports, from the authority of the URL or else from its parameters."""
    default = given.get("port", "5432").split(",")
    texts = [each for each in (text or given.get("host", "")).split(",") if each]
    if len(default) not in (1, max(1, len(texts))):
        raise DsnError("port must list one port, or one for each host")
    found = []
    for index, each in enumerate(texts):
        host, port = _place(unquote(each))
        found.append((host, _port(port or default[index if len(default) > 1 else 0])))
    return tuple(host for host, _ in found), tuple(port for _, port in found)


def _place(text: str) -> tuple[str, str]:
    if text.startswith("/"):
        return text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise DsnError(f"the host is invalid; {_ESCAPE}")
        return host, rest[1:]
    if text.count(":") > 1:
        raise DsnError("the host is invalid; put an IPv6 address in brackets: [::1]:5432")
    host, _, port = text.partition(":")
    if not host or not re.fullmatch(r"[\w.%-]+", host):
        raise DsnError(f"the host is invalid; {_ESCAPE}")
    return host, port


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) in _PORTS):  # noqa: PLR2004 - digits
        raise DsnError(f"the port must be a number from 1 to {_PORTS[-1]}; {_ESCAPE}")
    return int(text)


def _whole(name: str, text: str) -> int:
    most = _MOST.get(name, _MOST_ELSE)
    if not (text.isascii() and text.isdigit() and int(text[:10]) <= most):
        raise DsnError(f"{name} must be a whole number from 0 to {most}")
    return int(text[:10])


def _ignored(given: dict[str, str]) -> tuple[str, ...]:
    known = _PASSED_ON | _OWN | _FOR_SERVER | _KEEPALIVES | {"connect_timeout", "fallback_application_name"}
    return _nameable(
        {name: value for name, value in given.items() if name not in known and value not in _HARMLESS.get(name, ())}
    )


def _nameable(given: dict[str, str]) -> tuple[str, ...]:
    """Return parameter names for messages. A text that does not look like a name may be a piece of a secret."""
    return tuple(sorted({name if _NAME.fullmatch(name) else "another parameter" for name in given}))
