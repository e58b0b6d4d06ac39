# SPDX-License-Identifier: MIT
"""The settings of one process, with their documentation and their checks. `config.py` reads them."""

import dataclasses
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from tidings import dsn, values

Subnet: TypeAlias = values.Subnet
LOOPBACK: Final[tuple[Subnet, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
"""The addresses of the machine itself."""

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
    "log_format": ("auto", "text", "json"),
    "db_migrate": ("auto", "always", "never"),
}
_MAIN_SECRET_LEAST: Final = 16
"""The least length in `prod`. It is lenient, because a secret that already encrypts a database cannot be replaced."""
_WORKERS_MAX: Final = 256


class ConfigError(Exception):
    """An invalid setting. The message names the setting."""


def _doc(
    text: str,
    default: Any,  # noqa: ANN401 - becomes the field's type
    *,
    own: bool = False,
    bounds: tuple[float, float] | None = None,
    most: int = _LIST_MAX,
) -> Any:  # noqa: ANN401
    """Return a dataclass field with the documentation and the checks of a setting.

    `own` settings do not exist in svix-server and are read with the prefix `TIDINGS_` only. `bounds` are the least and
    the greatest number, for a list those of each entry. `most` is the greatest length of a list.
    """
    metadata = {"doc": text, "own": own, "bounds": bounds, "most": most}
    if isinstance(default, list):
        return field(default_factory=lambda: tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The settings of the process: addresses, secrets, roles, log."""

    listen_address: str = _doc("Address and port that the API listens on.", "0.0.0.0:8071")
    metrics_address: str | None = _doc(
        "Address and port of the metrics for Prometheus, at `/metrics`, without authentication: let only your"
        " monitoring reach it. Without it there are none.",
        None,
        own=True,
    )
    environment: str = _doc("`dev`, `staging` or `prod`. In `prod` a missing secret is an error.", "dev")
    jwt_secret: str | None = _doc(
        "Secret that signs tokens. Outside `prod` the first start generates one and stores it in the database. `prod`"
        " refuses one shorter than 32 bytes for `HS256`, 48 for `HS384`, 64 for `HS512`; elsewhere it logs a warning.",
        None,
    )
    jwt_secret_previous: str | None = _doc(
        "Another secret (or key in PEM) whose tokens are valid, but which signs none: for the rotation of `jwt_secret`."
        " The same rules apply to it.",
        None,
        own=True,
    )
    jwt_algorithm: str = _doc(
        "Algorithm of tokens. For `HS256`, `HS384` and `HS512`, `jwt_secret` is a text; for `RS256`, `RS384`, `RS512`"
        " and `EdDSA` it is a key in PEM. With a public key tokens are verified, but cannot be issued.",
        "HS256",
    )
    main_secret: str | None = _doc(
        "Encrypts the secrets and headers of endpoints in the database, 32 random bytes or more. Existing ones are"
        " encrypted in the background. It cannot be changed or removed afterwards. `prod` refuses fewer than 16 bytes.",
        None,
    )
    default_signature_type: str = _doc(
        "Signature of new endpoints: `hmac256`, with a secret shared with the receiver, or `ed25519`, with a key pair.",
        "hmac256",
    )
    api_enabled: bool = _doc("Serve the API, like `--api`.", default=True)
    worker_enabled: bool = _doc("Send messages and work on tasks, like `--delivery` and `--tasks`.", default=True)
    workers: str = _doc(
        "Processes of one `serve`, on PostgreSQL; `auto` is one per core. They share the port, and divide the limits on"
        " connections, memory, concurrency, tasks and requests per second.",
        "1",
        own=True,
    )
    app_portal_url: str | None = _doc(
        "Public URL of this server, for the links of `app-portal-access`. Default: the URL that the caller used.",
        None,
    )
    log_level: str = _doc("`error`, `warning`, `info` or `debug`; `trace` counts as `debug`.", "info")
    log_format: str = _doc(
        "`text` for a terminal, `json` for machines; `auto` is `json` if `environment` is `prod`, otherwise `text`."
        " `default` counts as `text`.",
        "auto",
    )
    access_log: bool = _doc(
        "Log each request of the API at the level `info`, with the client's address: at most 200 lines per second and"
        " process, after a burst of as many. A line counts the others.",
        default=False,
        own=True,
    )
    opentelemetry_address: str | None = _doc(
        "URL of a collector that receives traces as OTLP over HTTP, usually on port 4318 (not gRPC, on 4317); without a"
        " path, `/v1/traces` is added. Needs the extra `otel`. Default: there are no traces.",
        None,
    )
    opentelemetry_sample_ratio: float = _doc(
        "Part of the messages, tasks and requests that are traced, 0 to 1. A request with `traceparent` follows that.",
        1.0,
        bounds=(0, 1),
    )
    opentelemetry_service_name: str = _doc("The attribute `service.name` of traces.", "tidings")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings(ServiceSettings):
    """The settings of the database and of the rows in it."""

    db_dsn: str = _doc("The database: `sqlite:///path/to/file.db` or `postgresql://…`.", "sqlite:///tidings.db")
    db_pool_max_size: int = _doc("Maximum connections to PostgreSQL from one `serve`.", 20, bounds=(1, 1_000))
    db_pgbouncer: bool = _doc("Connect through PgBouncer, without prepared statements.", default=False, own=True)
    db_schema: str | None = _doc(
        "PostgreSQL schema of all tables; `tidings migrate` creates it. Default: the first schema of the search path.",
        None,
        own=True,
    )
    db_migrate: str = _doc(
        "When `serve` migrates the schema: `auto` on SQLite and in an empty database, `always`, or `never`.",
        "auto",
        own=True,
    )
    message_retention: str | None = _doc(
        "Age at which messages are deleted with their attempts, like `120d` or `26w`. At least 90 days, which is the"
        " retention of payloads, and at least the retry schedule and 24 hours. Default: they are kept.",
        None,
        own=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings(StorageSettings):
    """The settings of sending."""

    retry_schedule: tuple[int, ...] = _doc(
        "Seconds to wait after the first failed attempt, the second, and so on. `[]` is one attempt only.",
        [5, 300, 1800, 7200, 18000, 36000, 36000],
        bounds=(0, _RETRY_MAX),
        most=_RETRIES_MAX,
    )
    worker_request_timeout: int = _doc(
        "Seconds within which a receiver must respond, 1 to 30.", _REQUEST_TIMEOUT_MAX, bounds=(1, _REQUEST_TIMEOUT_MAX)
    )
    endpoint_failure_disable_after: int = _doc(
        "Hours. An endpoint is disabled if a message exhausts its attempts, another message did so at least this long"
        " before, and no attempt succeeded in between.",
        120,
        bounds=(0, 87_600),
    )
    endpoint_disable_on_gone: bool = _doc(
        "Disable an endpoint that responds with 410 Gone, as the Standard Webhooks specification requires.",
        default=True,
        own=True,
    )
    attempt_headers: bool = _doc(
        "Record the headers of successful attempts as well. Those of failed and manual attempts are always recorded.",
        default=False,
        own=True,
    )
    whitelist_subnets: tuple[Subnet, ...] = _doc("Private subnets that endpoints may use.", [])
    whitelabel_headers: bool = _doc("Send `webhook-*` headers in place of `svix-*`.", default=False)
    endpoint_https_only: bool = _doc("Reject endpoint URLs that do not use HTTPS.", default=False)
    proxy_addr: str | None = _doc(
        "Proxy for outgoing messages: `http://`, `https://` or `socks5://`, with `user:password@` if it requires them.",
        None,
    )
    noproxy: tuple[str, ...] = _doc("Addresses, subnets and domains (with their subdomains) that bypass the proxy.", [])
    proxy_resolves_names: bool = _doc(
        "Let the proxy resolve the names of receivers, if only the proxy has DNS. The proxy must then refuse private"
        " addresses itself.",
        default=False,
        own=True,
    )
    dangerous_disable_tls_verification: bool = _doc("Do not verify the TLS certificates of receivers.", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(DeliverySettings):
    """The settings of one process."""

    request_rate_limit: int = _doc(
        "Maximum API requests per second from one caller to one `serve`; 0 is no limit.",
        0,
        own=True,
        bounds=(0, 1_000_000),
    )
    max_body_bytes: int = _doc("Maximum bytes of an API request body.", 2 * 1024 * 1024, own=True, bounds=(1, 1 << 30))
    max_connections: int = _doc(
        "Maximum API connections to one `serve`; further ones get a 503.",
        4_096,
        own=True,
        bounds=(1, 1_000_000),
    )
    request_memory: int = _doc(
        "Maximum bytes that one `serve` buffers for requests that arrive in several parts, at least twice"
        " `max_body_bytes`. A request that exceeds it gets a 503.",
        256 * 1024 * 1024,
        own=True,
        bounds=(1, 1 << 40),
    )
    endpoints_per_application: int = _doc(
        "Maximum endpoints of one application, 1 to 100,000.", 5_000, own=True, bounds=(1, 100_000)
    )
    delivery_concurrency: int = _doc(
        "Maximum requests in flight to one endpoint from one `serve`.", 100, own=True, bounds=(1, 10_000)
    )
    delivery_memory: int = _doc(
        "Maximum deliveries that one `serve` holds in memory.", 10_000, own=True, bounds=(1, 10_000_000)
    )
    lease_grace: float = _doc(
        "Seconds by which the lease of a delivery exceeds the request timeout.", 25.0, own=True, bounds=(0, 3_600)
    )
    delivery_in_flight: int = _doc(
        "Maximum requests in flight from one `serve`. Once half are in use, each endpoint gets at most ten. Endpoints"
        " with no response to their last request, or no request yet, share at most three quarters, also of"
        " `delivery_memory`.",
        4_000,
        own=True,
        bounds=(1, 1_000_000),
    )
    delivery_memory_bytes: int = _doc(
        "Maximum bytes of payloads over 4 KiB that one `serve` holds in memory to send. A message counts once, and once"
        " more for each endpoint that receives it over TLS.",
        128 * 1024 * 1024,
        own=True,
        bounds=(1 << 20, 1 << 40),
    )
    replay_backlog: int = _doc(
        "A background task pauses when an endpoint has nearly this many resent deliveries outstanding, until half "
        "of them are done; 0 is no limit.",
        50_000,
        own=True,
        bounds=(0, 1_000_000_000),
    )
    task_lease: float = _doc(
        "Seconds without a checkpoint after which a task is taken over.", 30.0, own=True, bounds=(0.1, 86_400)
    )
    task_slice: float = _doc(
        "Seconds that a task works before it yields to waiting tasks.", 5.0, own=True, bounds=(0.001, 3_600)
    )
    task_chunk: int = _doc(
        "Maximum rows in one chunk of a task; 0 sets no limit beside the measured pace.",
        0,
        own=True,
        bounds=(0, 100_000),
    )
    tasks_per_process: int = _doc("Background tasks that one `serve` runs at a time.", 4, own=True, bounds=(1, 1_000))
    tasks_per_tenant: int = _doc("Background tasks of one tenant that run at a time.", 2, own=True, bounds=(1, 1_000))
    shutdown_grace: float = _doc(
        "Seconds that the shutdown may take after SIGTERM. Most of them are for requests in flight.",
        8.0,
        own=True,
        bounds=(0, 3_600),
    )
    failpoints: str = _doc("For tests: `name=action` pairs; see `failpoint.py`.", "", own=True)

    def __post_init__(self) -> None:
        """Check all values. Raises `ConfigError`, which names the setting."""
        for each in dataclasses.fields(self):
            _refuse(each.name, values.fault(getattr(self, each.name), each.metadata["bounds"], each.metadata["most"]))
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}")
        self._check_secret()
        if self.app_portal_url and not self.app_portal_url.startswith(("http://", "https://")):
            raise ConfigError("app_portal_url must be a URL that starts with http:// or https://")
        _refuse("opentelemetry_address", values.collector_fault(self.opentelemetry_address))
        _refuse("proxy_addr", values.proxy_fault(self.proxy_addr))
        if self.proxy_resolves_names and not self.proxy_addr:
            raise ConfigError("proxy_resolves_names needs a proxy: set proxy_addr too")
        _refuse("noproxy", values.noproxy_fault(self.noproxy))
        if self.sqlite_path is not None and self.worker_count > 1 and self.workers != values.AUTO:
            raise ConfigError("workers must be 1 on SQLite, which one process at a time can use; use PostgreSQL")
        _refuse("db_schema", values.schema_fault(self.db_schema, on_sqlite=self.sqlite_path is not None))
        _refuse("message_retention", values.retention_fault(self.message_retention, sum(self.retry_schedule)))
        _ = self.listen, self.metrics_listen

    @property
    def worker_count(self) -> int:
        """The number of processes of one `serve`."""
        if self.workers == values.AUTO:
            return 1 if self.sqlite_path is not None else values.cores()
        if self.workers == "0" or not values.is_number(self.workers, _WORKERS_MAX):
            raise ConfigError(f"workers must be a number from 1 to {_WORKERS_MAX}, or auto")
        return int(self.workers)

    def _check_secret(self) -> None:
        """Require a JWT secret if none may be generated, and secrets of sufficient length in `prod`."""
        if self.environment == "prod":
            weak = self.weak_secrets()
            if weak and (weak[0].startswith("jwt_secret") or values.size(self.main_secret) < _MAIN_SECRET_LEAST):
                raise ConfigError(weak[0])
        if self.jwt_secret:
            return
        if self.environment == "prod":
            raise ConfigError("jwt_secret is missing: set TIDINGS_JWT_SECRET (required when environment is prod)")
        if not self.jwt_algorithm.startswith("HS"):
            raise ConfigError(f"jwt_secret is missing: jwt_algorithm {self.jwt_algorithm} needs a key in PEM")

    def weak_secrets(self) -> list[str]:
        """Return a warning for each secret that is too short, `jwt_secret` first."""
        return values.weak_secrets(
            {"jwt_secret": self.jwt_secret, "jwt_secret_previous": self.jwt_secret_previous},
            self.jwt_algorithm,
            self.main_secret,
        )

    @property
    def listen(self) -> tuple[str, int]:
        """The address and the port to listen on."""
        return _address("listen_address", self.listen_address)

    @property
    def metrics_listen(self) -> tuple[str, int] | None:
        """The address and the port of the metrics, or None."""
        return None if self.metrics_address is None else _address("metrics_address", self.metrics_address)

    @property
    def sqlite_path(self) -> Path | None:
        """The file of a SQLite database, or None for PostgreSQL."""
        try:
            if self.db_dsn.startswith(dsn.SQLITE):
                return dsn.sqlite(self.db_dsn).path
            if self.db_dsn.startswith(dsn.POSTGRES):
                dsn.postgres(self.db_dsn)
                return None
        except dsn.DsnError as error:
            raise ConfigError(f"db_dsn: {error}") from None
        raise ConfigError("db_dsn must start with sqlite:/// or postgresql://")

    @property
    def log_style(self) -> str:
        """The format of the log: `text` or `json`."""
        if self.log_format == values.AUTO:
            return "json" if self.environment == "prod" else "text"
        return self.log_format

    def secret_texts(self) -> list[str]:
        """Return all secrets in the settings, also those within URLs, which no log may contain."""
        given = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        found = [str(value) for name, value in given.items() if value and "secret" in name]
        for url in (given["db_dsn"], given["proxy_addr"], given["opentelemetry_address"]):
            found += values.passwords(url or "")
        return found

    def masked(self) -> dict[str, str]:
        """Return all settings as text, with secrets and the passwords in URLs masked."""
        return {each.name: _masked(each.name, getattr(self, each.name)) for each in dataclasses.fields(self)}


def _address(name: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not values.is_number(port, _PORT_MAX):
        raise ConfigError(f"{name} must be address:port, with a port of at most {_PORT_MAX}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _refuse(name: str, fault: str | None) -> None:
    if fault is not None:
        raise ConfigError(f"{name} {fault}")


def _masked(name: str, value: object) -> str:
    if value and "secret" in name:
        return dsn.MASK
    return dsn.masked(value) if isinstance(value, str) else str(value)
