# SPDX-License-Identifier: MIT
"""Settings, read once: environment (`TIDINGS_*`, then the peer's `SVIX_*`), a TOML file, built-in values.

Each setting is a field of `Settings` with its sentence of documentation beside it. List values take the peer's
syntax too: `[1,2]`, `[127.0.0.1/32, 10.0.0.0/8]` without quotes, and plain `1,2`.
"""

import dataclasses
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_type_hints
from urllib.parse import urlsplit

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

_OWN: Final = "TIDINGS_"
_PEER: Final = "SVIX_"
_REQUEST_TIMEOUT_MAX: Final = 30
_PROXY_SCHEMES: Final = ("http", "https", "socks5")
_PROXY_CREDENTIAL_MAX: Final = 255
_LEAST: Final = {
    "delivery_concurrency": 1,
    "delivery_memory": 1,
    "tasks_per_process": 1,
    "tasks_per_tenant": 1,
    "endpoint_failure_disable_after": 0,
    "request_rate_limit": 0,
}
_SECRET_WORDS: Final = ("secret", "dsn")


class ConfigError(Exception):
    """A setting that cannot be used; the message names it."""


def _doc(text: str, default: Any, *, own: bool = False) -> Any:  # noqa: ANN401 - becomes the field's type
    """Make a field; `own` settings have no counterpart at the peer and are read under our name only."""
    metadata = {"doc": text, "own": own}
    if isinstance(default, list):
        return field(default_factory=lambda: tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process."""

    listen_address: str = _doc("Address and port that the API listens on.", "0.0.0.0:8071")
    db_dsn: str = _doc("Where the data lives: `sqlite:///path/to/file.db` or `postgresql://…`.", "sqlite:///tidings.db")
    db_pool_max_size: int = _doc("Most connections to PostgreSQL from one process.", 20)
    db_pgbouncer: bool = _doc("PgBouncer stands in between: no prepared statements.", default=False, own=True)
    environment: str = _doc("`dev`, `staging` or `prod`. In `prod` a missing secret is an error.", "dev")
    jwt_secret: str | None = _doc(
        "Secret that signs and checks tokens. Outside `prod` one is made at the first start and kept in the database.",
        None,
    )
    log_level: str = _doc("`error`, `warning`, `info` or `debug`.", "info")
    log_format: str = _doc("`default` for people, `json` for machines.", "default")
    retry_schedule: tuple[int, ...] = _doc(
        "Seconds to wait after the first failed attempt, the second, and so on. `[]` is one attempt only.",
        [5, 300, 1800, 7200, 18000, 36000, 36000],
    )
    worker_request_timeout: int = _doc("Seconds that a receiver has to answer, 1 to 30.", _REQUEST_TIMEOUT_MAX)
    endpoint_failure_disable_after: int = _doc(
        "Hours. A message that runs out of attempts later than this after another one did, with no success in between,"
        " disables its endpoint.",
        120,
    )
    whitelist_subnets: tuple[Subnet, ...] = _doc("Private address ranges that may receive all the same.", [])
    whitelabel_headers: bool = _doc("Send `webhook-*` headers in place of `svix-*`.", default=False)
    endpoint_https_only: bool = _doc("Refuse endpoint addresses that are not https.", default=False)
    proxy_addr: str | None = _doc(
        "Proxy through which messages go out: `http://`, `https://` or `socks5://`, `user:password@` if it asks.", None
    )
    noproxy: tuple[str, ...] = _doc(
        "Addresses, subnets and names (with all below them) that are called without the proxy.", []
    )
    dangerous_disable_tls_verification: bool = _doc("Do not check receivers' certificates.", default=False)
    request_rate_limit: int = _doc(
        "Requests per second that one process takes from one caller of the API; 0 is no limit.", 0, own=True
    )
    max_body_bytes: int = _doc("Largest request body that the API takes.", 2 * 1024 * 1024, own=True)
    delivery_concurrency: int = _doc("Most sends under way to one endpoint from one process.", 100, own=True)
    delivery_memory: int = _doc("Most deliveries that one process holds in memory.", 10_000, own=True)
    lease_grace: float = _doc("Seconds that a lease on a delivery outlasts the request timeout.", 25.0, own=True)
    replay_backlog: int = _doc(
        "A background task pauses while an endpoint has this many re-sent deliveries outstanding; 0 is no limit.",
        50_000,
        own=True,
    )
    task_lease: float = _doc("Seconds without a checkpoint after which a task is taken over.", 30.0, own=True)
    task_slice: float = _doc("Seconds that a task may work before it lets others in.", 5.0, own=True)
    task_chunk: int = _doc("Most rows of one chunk of a task; 0 lets the pace decide.", 0, own=True)
    tasks_per_process: int = _doc("Background tasks that one process works on at once.", 4, own=True)
    tasks_per_tenant: int = _doc("Background tasks of one tenant that run at once.", 2, own=True)
    shutdown_grace: float = _doc("Seconds that sends under way may take to end after SIGTERM.", 8.0, own=True)
    failpoints: str = _doc("For tests: `name=action` pairs; see `failpoint.py`.", "", own=True)

    def __post_init__(self) -> None:
        """Refuse values that cannot work, naming the setting."""
        if not 1 <= self.worker_request_timeout <= _REQUEST_TIMEOUT_MAX:
            raise ConfigError(f"worker_request_timeout must be between 1 and {_REQUEST_TIMEOUT_MAX} seconds")
        if self.environment not in ("dev", "staging", "prod"):
            raise ConfigError("environment must be dev, staging or prod")
        if any(wait < 0 for wait in self.retry_schedule):
            raise ConfigError("retry_schedule must hold seconds, none negative")
        if self.environment == "prod" and not self.jwt_secret:
            raise ConfigError("jwt_secret is missing: set TIDINGS_JWT_SECRET (required when environment is prod)")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}")
        _check_proxy(self.proxy_addr)
        _check_noproxy(self.noproxy)
        _ = self.listen, self.sqlite_path

    @property
    def listen(self) -> tuple[str, int]:
        """Return the address and the port to listen on."""
        host, _, port = self.listen_address.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"listen_address must be address:port, not {self.listen_address!r}")
        return host.strip("[]"), int(port)

    @property
    def sqlite_path(self) -> Path | None:
        """Return the file of a SQLite database, or None for PostgreSQL."""
        if self.db_dsn.startswith("sqlite://"):
            return Path(self.db_dsn.removeprefix("sqlite://").removeprefix("/") or "tidings.db")
        if self.db_dsn.startswith(("postgres://", "postgresql://")):
            return None
        raise ConfigError("db_dsn must start with sqlite:/// or postgresql://")

    def shown(self) -> dict[str, str]:
        """Return each setting as text, secrets masked."""
        return {each.name: _masked(each.name, getattr(self, each.name)) for each in dataclasses.fields(self)}


def _check_proxy(url: str | None) -> None:
    """Refuse what names no proxy; the error does not repeat it, as it may hold a password."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        port_is_fit = parts.port != 0  # reading it raises what a port of letters deserves
    except ValueError:
        raise ConfigError("proxy_addr is not a URL") from None
    if parts.scheme not in _PROXY_SCHEMES or not parts.hostname or not port_is_fit:
        raise ConfigError(f"proxy_addr must be scheme://host:port, the scheme one of {', '.join(_PROXY_SCHEMES)}")
    if any(len(part or "") > _PROXY_CREDENTIAL_MAX for part in (parts.username, parts.password)):
        raise ConfigError(f"proxy_addr: user and password have at most {_PROXY_CREDENTIAL_MAX} characters")


def _check_noproxy(rules: tuple[str, ...]) -> None:
    try:
        for rule in rules:
            if "/" in rule:
                ipaddress.ip_network(rule, strict=False)
    except ValueError as error:
        raise ConfigError(f"noproxy: {error}") from error


def _masked(name: str, value: object) -> str:
    if name == "proxy_addr":
        return re.sub("//.*@", "//********@", str(value))
    if value and any(word in name for word in _SECRET_WORDS) and not str(value).startswith("sqlite://"):
        return "********"
    return str(value)


def load(environment: Mapping[str, str] | None = None, *, file: Path | None = None, **flags: object) -> Settings:
    """Read the settings of this process.

    `flags` come from the command line and win; None means "not given". Raises `ConfigError`, naming the setting.
    """
    environment = os.environ if environment is None else environment
    stored = _from_file(file if file is not None else Path("tidings.toml"), required=file is not None)
    types = get_type_hints(Settings)
    values: dict[str, Any] = {}
    for each in dataclasses.fields(Settings):
        given = flags.get(each.name)
        if given is None:
            given = _given(each.name, environment, stored, own=each.metadata["own"])
        if given is not None:
            values[each.name] = _parsed(each.name, given, types[each.name])
    return Settings(**values)


def foreign(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without our settings: for a child process that is set up by a file alone."""
    environment = os.environ if environment is None else environment
    return {name: value for name, value in environment.items() if not name.startswith((_OWN, _PEER))}


def bypass_proxies(host: str) -> None:
    """Have HTTP clients in this process reach a host directly, whatever proxy the environment names."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), host)))


def _from_file(path: Path, *, required: bool) -> dict[str, Any]:
    if not required and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _given(name: str, environment: Mapping[str, str], stored: dict[str, Any], *, own: bool) -> object:
    upper = name.upper()
    for prefix in (_OWN,) if own else (_OWN, _PEER):
        if prefix + upper in environment:
            return environment[prefix + upper]
    return stored.get(name)


def _parsed(name: str, given: object, wanted: Any) -> object:  # noqa: ANN401 - a type or a union of types
    try:
        if wanted is bool:
            return _truth(given)
        if wanted in (int, float):
            return wanted(given)
        if wanted == tuple[str, ...]:
            return tuple(_items(given))
        if wanted == tuple[int, ...]:
            return tuple(int(item) for item in _items(given))
        if wanted == tuple[Subnet, ...]:
            return tuple(ipaddress.ip_network(item, strict=False) for item in _items(given))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: {given!r} cannot be read ({error})") from error
    return str(given)


def _truth(given: object) -> bool:
    if isinstance(given, bool):
        return given
    text = str(given).strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ValueError("not true or false")


def _items(given: object) -> list[str]:
    if isinstance(given, list | tuple):
        return [str(item) for item in given]
    inner = str(given).strip().removeprefix("[").removesuffix("]")
    return [item.strip().strip("\"'") for item in inner.split(",") if item.strip()]
