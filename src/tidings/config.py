# SPDX-License-Identifier: MIT
"""Settings, read once: environment (`TIDINGS_*`, then the peer's `SVIX_*`), a TOML file, built-in values.

Each setting is a field of `Settings` with its sentence of documentation beside it. List values take the peer's
syntax too: `[1,2]`, `[127.0.0.1/32, 10.0.0.0/8]` without quotes, and plain `1,2`.
"""

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, get_type_hints

from tidings import dsn, values

Subnet: TypeAlias = values.Subnet

_OWN: Final = "TIDINGS_"
_PEER: Final = "SVIX_"
_REQUEST_TIMEOUT_MAX: Final = 30
_RETRY_MAX: Final = 365 * 24 * 3_600
_RETRIES_MAX: Final = 100
_LIST_MAX: Final = 10_000
_PORT_MAX: Final = 65_535
_CHOICES: Final = {
    "environment": ("dev", "staging", "prod"),
    "jwt_algorithm": ("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "EdDSA"),
    "default_signature_type": ("hmac256", "ed25519"),
    "log_level": ("error", "warning", "info", "debug"),
    "log_format": ("default", "json"),
}
_JWT_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""As long as the hash, by RFC 7518 section 3.2."""
_MAIN_SECRET_BYTES: Final = 32
_MAIN_SECRET_LEAST: Final = 16
"""Below this `prod` refuses a main secret: it may encrypt a database already, so it cannot just be made longer."""
_OTHER_NAMES: Final = {"log_level": {"trace": "debug", "warn": "warning"}}
_DATABASE_URL: Final = "DATABASE_URL"
_NOT_SETTINGS: Final = ("url", "token", "server_url", "test_pg")
"""What programs that call the service are told, under names like those of settings."""
_NO_BROKER: Final = "There is no queue beside the database."
_NO_CACHE: Final = "There is no cache beside the process."
_NOT_TRACED: Final = "Nothing is exported."
FOREIGN: Final[Mapping[str, str]] = {
    "operational_webhook_address": "Operational events are kept in the database; nothing posts them elsewhere.",
    **dict.fromkeys(("queue_type", "queue_dsn", "queue_prefix", "queue_max_poll_secs"), _NO_BROKER),
    **dict.fromkeys(("rabbit_dsn", "rabbit_consumer_prefetch_size", "redis_pending_duration_secs"), _NO_BROKER),
    **dict.fromkeys(("cache_type", "cache_dsn", "sentinel_service_name"), _NO_CACHE),
    **dict.fromkeys(("redis_dsn", "redis_pool_max_size", "redis_tls_mode_secure"), _NO_BROKER),
    **dict.fromkeys(("redis_db", "redis_username", "redis_password", "redis_use_resp3"), _NO_BROKER),
    "worker_max_tasks": "Sends are bounded for each endpoint (`delivery_concurrency`) and by `delivery_memory`.",
    "background_migrations_enabled": "Every migration is done when the service has started.",
    "db_tracing": _NOT_TRACED,
    "sentry_dsn": _NOT_TRACED,
    "opentelemetry_address": _NOT_TRACED,
    "opentelemetry_sample_ratio": _NOT_TRACED,
    "opentelemetry_service_name": _NOT_TRACED,
    "region": "Has no effect in svix-server either.",
}
"""Settings of the peer that have no effect here, and why; they are recognised and harmless."""
_SECRET_WORDS: Final = ("secret", "dsn")


class ConfigError(Exception):
    """A setting that cannot be used; the message names it."""


def _doc(
    text: str,
    default: Any,  # noqa: ANN401 - becomes the field's type
    *,
    own: bool = False,
    bounds: tuple[float, float] | None = None,
    most: int = _LIST_MAX,
) -> Any:  # noqa: ANN401
    """Make a field; `own` settings have no counterpart at svix-server and are read under our name only.

    `bounds` are the least and the greatest number, of a list those of each entry; `most` is the longest list.
    """
    metadata = {"doc": text, "own": own, "bounds": bounds, "most": most}
    if isinstance(default, list):
        return field(default_factory=lambda: tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process."""

    listen_address: str = _doc("Address and port that the API listens on.", "0.0.0.0:8071")
    db_dsn: str = _doc("Where the data lives: `sqlite:///path/to/file.db` or `postgresql://…`.", "sqlite:///tidings.db")
    db_pool_max_size: int = _doc("Most connections to PostgreSQL from one process.", 20, bounds=(1, 1_000))
    db_pgbouncer: bool = _doc("Connect through PgBouncer, without prepared statements.", default=False, own=True)
    environment: str = _doc("`dev`, `staging` or `prod`. In `prod` a missing secret is an error.", "dev")
    jwt_secret: str | None = _doc(
        "Secret that signs and checks tokens. Outside `prod` one is made at the first start and kept in the database."
        " `prod` refuses one shorter than 32 bytes for `HS256`, 48 for `HS384`, 64 for `HS512`; elsewhere a warning"
        " names it.",
        None,
    )
    jwt_algorithm: str = _doc(
        "How tokens are signed: `HS256`, `HS384` or `HS512` by a text, `RS256`, `RS384`, `RS512` or `EdDSA` by a key in"
        " PEM as `jwt_secret`. With a public key tokens are checked and none are made.",
        "HS256",
    )
    main_secret: str | None = _doc(
        "Encrypts endpoints' secrets and headers in the database, 32 random bytes or more; those from before are"
        " encrypted in the background. It cannot be changed or taken away afterwards. `prod` refuses one shorter than"
        " 16 bytes.",
        None,
    )
    default_signature_type: str = _doc(
        "What signs for a new endpoint: `hmac256`, a secret shared with the receiver, or `ed25519`, a pair of keys.",
        "hmac256",
    )
    api_enabled: bool = _doc("Answer the API, as does `--api`.", default=True)
    worker_enabled: bool = _doc("Send messages and work on tasks, as do `--delivery` and `--tasks`.", default=True)
    app_portal_url: str | None = _doc(
        "Where users reach this server, for the address in the answer to `app-portal-access`. Unset, it is where the"
        " caller reached it.",
        None,
    )
    log_level: str = _doc("`error`, `warning`, `info` or `debug`; `trace` counts as `debug`.", "info")
    log_format: str = _doc("`default` for people, `json` for machines.", "default")
    retry_schedule: tuple[int, ...] = _doc(
        "Seconds to wait after the first failed attempt, the second, and so on. `[]` is one attempt only.",
        [5, 300, 1800, 7200, 18000, 36000, 36000],
        bounds=(0, _RETRY_MAX),
        most=_RETRIES_MAX,
    )
    worker_request_timeout: int = _doc(
        "Seconds that a receiver has to answer, 1 to 30.", _REQUEST_TIMEOUT_MAX, bounds=(1, _REQUEST_TIMEOUT_MAX)
    )
    endpoint_failure_disable_after: int = _doc(
        "Hours. A message that runs out of attempts later than this after another one did, with no success in between,"
        " disables its endpoint.",
        120,
        bounds=(0, 87_600),
    )
    endpoint_disable_on_gone: bool = _doc(
        "Disable an endpoint that answers 410 Gone, as the Standard Webhooks specification asks.",
        default=True,
        own=True,
    )
    whitelist_subnets: tuple[Subnet, ...] = _doc("Private subnets that endpoints may use.", [])
    whitelabel_headers: bool = _doc("Send `webhook-*` headers in place of `svix-*`.", default=False)
    endpoint_https_only: bool = _doc("Refuse endpoint addresses that are not https.", default=False)
    proxy_addr: str | None = _doc(
        "Proxy through which messages go out: `http://`, `https://` or `socks5://`, `user:password@` if it asks.", None
    )
    noproxy: tuple[str, ...] = _doc(
        "Addresses, subnets and names (with all below them) that are called without the proxy.", []
    )
    proxy_resolves_names: bool = _doc(
        "Let the proxy resolve the names of receivers, where it alone has DNS. The proxy then has to refuse addresses"
        " of private networks.",
        default=False,
        own=True,
    )
    dangerous_disable_tls_verification: bool = _doc("Do not check receivers' certificates.", default=False)
    request_rate_limit: int = _doc(
        "Requests per second that one process takes from one caller of the API; 0 is no limit.",
        0,
        own=True,
        bounds=(0, 1_000_000),
    )
    max_body_bytes: int = _doc(
        "Largest request body that the API takes.", 2 * 1024 * 1024, own=True, bounds=(1, 1 << 30)
    )
    max_connections: int = _doc(
        "Most connections to the API that one process keeps; a further one is answered with 503.",
        4_096,
        own=True,
        bounds=(1, 1_000_000),
    )
    request_memory: int = _doc(
        "Bytes that one process keeps of requests which arrive in several parts, twice `max_body_bytes` at least; the"
        " request that exceeds it is answered with 503.",
        256 * 1024 * 1024,
        own=True,
        bounds=(1, 1 << 40),
    )
    endpoints_per_application: int = _doc(
        "Most endpoints of one application, 1 to 100,000.", 5_000, own=True, bounds=(1, 100_000)
    )
    delivery_concurrency: int = _doc(
        "Maximum requests in flight to one endpoint from one process.", 100, own=True, bounds=(1, 10_000)
    )
    delivery_memory: int = _doc(
        "Most deliveries that one process holds in memory.", 10_000, own=True, bounds=(1, 10_000_000)
    )
    lease_grace: float = _doc(
        "Seconds that a lease on a delivery outlasts the request timeout.", 25.0, own=True, bounds=(0, 3_600)
    )
    delivery_in_flight: int = _doc(
        "Most sends in flight from one process. Once half of them are, each endpoint gets ten at most. Endpoints whose "
        "last send got no answer, or that had none yet, get three quarters at most, as of `delivery_memory`.",
        4_000,
        own=True,
        bounds=(1, 1_000_000),
    )
    delivery_memory_bytes: int = _doc(
        "Most bytes of payloads over 4 KiB that one process holds in memory to send: each message once, and once more "
        "for each endpoint that gets it over TLS.",
        128 * 1024 * 1024,
        own=True,
        bounds=(1 << 20, 1 << 40),
    )
    replay_backlog: int = _doc(
        "A background task pauses when an endpoint has nearly this many re-sent deliveries outstanding, until half "
        "of them are done; 0 is no limit.",
        50_000,
        own=True,
        bounds=(0, 1_000_000_000),
    )
    task_lease: float = _doc(
        "Seconds without a checkpoint after which a task is taken over.", 30.0, own=True, bounds=(0.1, 86_400)
    )
    task_slice: float = _doc(
        "Seconds that a task may work before it lets others in.", 5.0, own=True, bounds=(0.001, 3_600)
    )
    task_chunk: int = _doc(
        "Most rows of one chunk of a task; 0 lets the pace decide.", 0, own=True, bounds=(0, 100_000)
    )
    tasks_per_process: int = _doc("Background tasks that one process works on at once.", 4, own=True, bounds=(1, 1_000))
    tasks_per_tenant: int = _doc("Background tasks of one tenant that run at once.", 2, own=True, bounds=(1, 1_000))
    shutdown_grace: float = _doc(
        "Seconds that the whole stop may take after SIGTERM; most of them are for sends in flight.",
        8.0,
        own=True,
        bounds=(0, 3_600),
    )
    failpoints: str = _doc("For tests: `name=action` pairs; see `failpoint.py`.", "", own=True)

    def __post_init__(self) -> None:
        """Refuse values that cannot work, naming the setting."""
        for each in dataclasses.fields(self):
            _refuse(each.name, values.fault(getattr(self, each.name), each.metadata["bounds"], each.metadata["most"]))
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}")
        self._check_secret()
        if self.app_portal_url and not self.app_portal_url.startswith(("http://", "https://")):
            raise ConfigError("app_portal_url must be a URL")
        _refuse("proxy_addr", values.proxy_fault(self.proxy_addr))
        if self.proxy_resolves_names and not self.proxy_addr:
            raise ConfigError("proxy_resolves_names needs a proxy: set proxy_addr too")
        _refuse("noproxy", values.noproxy_fault(self.noproxy))
        _ = self.listen, self.sqlite_path

    def _check_secret(self) -> None:
        """Hold that there is a secret where none may be made up, and that it is long enough where that counts."""
        if self.environment == "prod":
            weak = self.weak_secrets()
            if weak and (weak[0].startswith("jwt_secret") or _size(self.main_secret) < _MAIN_SECRET_LEAST):
                raise ConfigError(weak[0])
        if self.jwt_secret:
            return
        if self.environment == "prod":
            raise ConfigError("jwt_secret is missing: set TIDINGS_JWT_SECRET (required when environment is prod)")
        if not self.jwt_algorithm.startswith("HS"):
            raise ConfigError(f"jwt_secret is missing: jwt_algorithm {self.jwt_algorithm} needs a key in PEM")

    def weak_secrets(self) -> list[str]:
        """Return a sentence for each secret that can be guessed too soon, `jwt_secret` first."""
        least, size, main = (
            _JWT_SECRET_BYTES.get(self.jwt_algorithm, 0),
            _size(self.jwt_secret),
            _size(self.main_secret),
        )
        found = []
        if 0 < size < least:
            found.append(
                f"jwt_secret has {size} bytes, and {self.jwt_algorithm} needs at least {least}: anyone who guesses it"
                " can sign tokens. Set TIDINGS_JWT_SECRET to a longer random text, as `openssl rand -base64 48` prints."
            )
        if 0 < main < _MAIN_SECRET_BYTES:
            found.append(
                f"main_secret has {main} bytes and should have at least {_MAIN_SECRET_BYTES}:"
                " anyone who guesses it can read the endpoints' secrets in a copy of the database."
            )
        return found

    @property
    def listen(self) -> tuple[str, int]:
        """Return the address and the port to listen on."""
        host, _, port = self.listen_address.rpartition(":")
        if not host or not values.is_number(port, _PORT_MAX):
            raise ConfigError(f"listen_address must be address:port, the port at most {_PORT_MAX}")
        return host.removeprefix("[").removesuffix("]"), int(port)

    @property
    def sqlite_path(self) -> Path | None:
        """Return the file of a SQLite database, or None for PostgreSQL."""
        try:
            if self.db_dsn.startswith(dsn.SQLITE):
                return dsn.sqlite(self.db_dsn).path
            if self.db_dsn.startswith(dsn.POSTGRES):
                dsn.postgres(self.db_dsn)
                return None
        except dsn.DsnError as error:
            raise ConfigError(f"db_dsn: {error}") from None
        raise ConfigError("db_dsn must start with sqlite:/// or postgresql://")

    def masked(self) -> dict[str, str]:
        """Return each setting as text, secrets masked."""
        return {each.name: _masked(each.name, getattr(self, each.name)) for each in dataclasses.fields(self)}


def _size(secret: str | None) -> int:
    return len((secret or "").encode("utf-8", "surrogateescape"))


def _refuse(name: str, fault: str | None) -> None:
    if fault is not None:
        raise ConfigError(f"{name} {fault}")


def _masked(name: str, value: object) -> str:
    if name == "proxy_addr":
        return re.sub("//.*@", "//********@", str(value))
    if value and any(word in name for word in _SECRET_WORDS) and not str(value).startswith(dsn.SQLITE):
        return "********"
    return str(value)


def load(environment: Mapping[str, str] | None = None, *, file: Path | None = None, **flags: object) -> Settings:
    """Read the settings of this process.

    `flags` come from the command line and win; None means "not given". Raises `ConfigError`, naming the setting.
    """
    types = get_type_hints(Settings)
    found = _found(os.environ if environment is None else environment, file, flags)
    given: dict[str, Any] = {}
    for name, (value, _) in found.items():
        try:
            given[name] = values.parsed(value, types[name])
        except ValueError as error:
            raise ConfigError(f"{name} {error}") from None
        given[name] = _OTHER_NAMES.get(name, {}).get(given[name], given[name])
    return Settings(**given)


def origins(
    environment: Mapping[str, str] | None = None, *, file: Path | None = None, **flags: object
) -> dict[str, str]:
    """Return where each setting's value comes from: a flag, a variable, a file or the defaults."""
    found = _found(os.environ if environment is None else environment, file, flags)
    return {each.name: found.get(each.name, ("", "default"))[1] for each in dataclasses.fields(Settings)}


def without_effect(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that look like settings and do nothing, with the reason."""
    environment = os.environ if environment is None else environment
    known = {each.name: each.metadata["own"] for each in dataclasses.fields(Settings)}
    found = {}
    for variable in sorted(environment):
        name = variable.removeprefix(_OWN).removeprefix(_PEER).lower()
        if name in _NOT_SETTINGS:
            continue
        if variable.startswith(_PEER) and known.get(name, True):
            found[variable] = FOREIGN.get(name, "No setting has this name.")
        elif variable.startswith(_OWN) and name not in known:
            found[variable] = "No setting has this name."
    return found


def _found(
    environment: Mapping[str, str], file: Path | None, flags: Mapping[str, object]
) -> dict[str, tuple[object, str]]:
    """Return what is given, by setting, and where it was found; the first place that has something wins."""
    path = Path("tidings.toml") if file is None else file
    stored = _from_file(path, required=file is not None)
    found: dict[str, tuple[object, str]] = {}
    for each in dataclasses.fields(Settings):
        prefixes = (_OWN,) if each.metadata["own"] else (_OWN, _PEER)
        variables = [prefix + each.name.upper() for prefix in prefixes]
        places = [
            ("a flag", flags.get(each.name)),
            *((variable, environment.get(variable)) for variable in variables),
            (str(path), stored.get(each.name)),
            (_DATABASE_URL, environment.get(_DATABASE_URL) if each.name == "db_dsn" else None),
        ]
        given = next(((value, place) for place, value in places if value is not None), None)
        if given is not None:
            found[each.name] = given
    return found


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
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {path}: it is not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: a number has too many digits") from error
