# SPDX-License-Identifier: MIT
"""The settings of one process, with their documentation and their checks. `config.py` reads them."""

import dataclasses
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidings import dsn, sign_in_rules, values
from tidings.settings_groups import SignInSettings, Subnet, setting

LOOPBACK: Final[tuple[Subnet, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
"""The addresses of the machine itself."""

_PORT_MAX: Final = 65_535
_CHOICES: Final = {
    "environment": ("dev", "staging", "prod"),
    "jwt_algorithm": ("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "EdDSA"),
    "default_signature_type": ("hmac256", "ed25519"),
    "log_level": ("error", "warning", "info", "debug"),
    "log_format": ("auto", "text", "json"),
    "db_migrate": ("auto", "always", "never"),
}
_SIGN_IN_PARTS: Final = {
    "oidc_issuer": ("oidc_client_id", "oidc_client_secret", "oidc_allowed"),
    "console_trusted_proxies": ("console_user_header", "oidc_allowed"),
}
"""What each way to sign in needs beside the setting that turns it on."""
_MAIN_SECRET_LEAST: Final = 16
"""The least length in `prod`. It is lenient, because a secret that already encrypts a database cannot be replaced."""
_WORKERS_MAX: Final = 256


class ConfigError(Exception):
    """An invalid setting. The message names the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(SignInSettings):
    """The settings of one process."""

    request_rate_limit: int = setting(
        "Maximum API requests per second from one caller to one `serve`; 0 is no limit.",
        0,
        own=True,
        bounds=(0, 1_000_000),
    )
    max_body_bytes: int = setting(
        "Maximum bytes of an API request body.", 2 * 1024 * 1024, own=True, bounds=(1, 1 << 30)
    )
    max_connections: int = setting(
        "Maximum API connections to one `serve`; further ones get a 503.",
        4_096,
        own=True,
        bounds=(1, 1_000_000),
    )
    request_memory: int = setting(
        "Maximum bytes that one `serve` buffers for requests that arrive in several parts, at least twice"
        " `max_body_bytes`. A request that exceeds it gets a 503.",
        256 * 1024 * 1024,
        own=True,
        bounds=(1, 1 << 40),
    )
    endpoints_per_application: int = setting(
        "Maximum endpoints of one application, 1 to 100,000.", 5_000, own=True, bounds=(1, 100_000)
    )
    delivery_concurrency: int = setting(
        "Maximum requests in flight to one endpoint from one `serve`.", 100, own=True, bounds=(1, 10_000)
    )
    delivery_memory: int = setting(
        "Maximum deliveries that one `serve` holds in memory.", 10_000, own=True, bounds=(1, 10_000_000)
    )
    lease_grace: float = setting(
        "Seconds by which the lease of a delivery exceeds the request timeout.", 25.0, own=True, bounds=(0, 3_600)
    )
    delivery_in_flight: int = setting(
        "Maximum requests in flight from one `serve`. Once half are in use, each endpoint gets at most ten. Endpoints"
        " with no response to their last request, or no request yet, share at most three quarters, also of"
        " `delivery_memory`.",
        4_000,
        own=True,
        bounds=(1, 1_000_000),
    )
    delivery_memory_bytes: int = setting(
        "Maximum bytes of payloads over 4 KiB that one `serve` holds in memory to send. A message counts once, and once"
        " more for each endpoint that receives it over TLS.",
        128 * 1024 * 1024,
        own=True,
        bounds=(1 << 20, 1 << 40),
    )
    replay_backlog: int = setting(
        "A background task pauses when an endpoint has nearly this many resent deliveries outstanding, until half "
        "of them are done; 0 is no limit.",
        50_000,
        own=True,
        bounds=(0, 1_000_000_000),
    )
    task_lease: float = setting(
        "Seconds without a checkpoint after which a task is taken over.", 30.0, own=True, bounds=(0.1, 86_400)
    )
    task_slice: float = setting(
        "Seconds that a task works before it yields to waiting tasks.", 5.0, own=True, bounds=(0.001, 3_600)
    )
    task_chunk: int = setting(
        "Maximum rows in one chunk of a task; 0 sets no limit beside the measured pace.",
        0,
        own=True,
        bounds=(0, 100_000),
    )
    tasks_per_process: int = setting(
        "Background tasks that one `serve` runs at a time.", 4, own=True, bounds=(1, 1_000)
    )
    tasks_per_tenant: int = setting(
        "Background tasks of one tenant that run at a time.", 2, own=True, bounds=(1, 1_000)
    )
    shutdown_grace: float = setting(
        "Seconds that the shutdown may take after SIGTERM. Most of them are for requests in flight.",
        8.0,
        own=True,
        bounds=(0, 3_600),
    )
    failpoints: str = setting("For tests: `name=action` pairs; see `failpoint.py`.", "", own=True)

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
        _refuse("operational_webhook_address", values.service_fault(self.operational_webhook_address))
        _refuse("proxy_addr", values.proxy_fault(self.proxy_addr))
        if self.proxy_resolves_names and not self.proxy_addr:
            raise ConfigError("proxy_resolves_names needs a proxy: set proxy_addr too")
        _refuse("noproxy", values.noproxy_fault(self.noproxy))
        if self.sqlite_path is not None and self.worker_count > 1 and self.workers != values.AUTO:
            raise ConfigError("workers must be 1 on SQLite, which one process at a time can use; use PostgreSQL")
        _refuse("db_schema", values.schema_fault(self.db_schema, on_sqlite=self.sqlite_path is not None))
        _refuse("message_retention", values.retention_fault(self.message_retention, sum(self.retry_schedule)))
        self._check_portal()
        self._check_mail()
        self._check_sign_in()
        _ = self.listen, self.metrics_listen

    def _check_portal(self) -> None:
        _refuse("portal_name", values.title_fault(self.portal_name))
        _refuse("portal_color", values.color_fault(self.portal_color))
        _refuse("portal_color_dark", values.color_fault(self.portal_color_dark))
        _refuse("portal_back_url", values.page_fault(self.portal_back_url))
        _refuse("portal_frame_ancestors", values.origins_fault(self.portal_frame_ancestors))

    def _check_mail(self) -> None:
        _refuse("smtp_url", values.mail_server_fault(self.smtp_url))
        _refuse("notify_email", values.addresses_fault(self.notify_email))
        _refuse("notify_from", values.addresses_fault(() if self.notify_from is None else (self.notify_from,)))
        if bool(self.notify_email) != bool(self.smtp_url):
            raise ConfigError("notify_email and smtp_url need each other: set both, or neither")

    def _check_sign_in(self) -> None:
        """Require that each way to sign in is complete, and has rules about who may."""
        _refuse("oidc_allowed", sign_in_rules.fault(self.oidc_allowed))
        _refuse("oidc_issuer", values.issuer_fault(self.oidc_issuer))
        _refuse("oidc_session", values.session_fault(self.oidc_session))
        for name in ("console_user_header", "console_groups_header"):
            _refuse(name, values.header_fault(getattr(self, name)))
        ways = {"oidc_issuer": bool(self.oidc_issuer), "console_trusted_proxies": bool(self.console_trusted_proxies)}
        for way, parts in _SIGN_IN_PARTS.items():
            missing = [name for name in parts if not getattr(self, name)]
            if ways[way] and missing:
                raise ConfigError(f"{way} needs {missing[0]} too")
            given = [name for name in parts if getattr(self, name) and name != "oidc_allowed"]
            if given and not ways[way]:
                raise ConfigError(f"{given[0]} has no effect without {way}: set that too")
        if self.oidc_allowed and not any(ways.values()):
            raise ConfigError("oidc_allowed has no effect without oidc_issuer or console_trusted_proxies: set one too")
        if self.console_groups_header and not self.console_trusted_proxies:
            raise ConfigError("console_groups_header has no effect without console_trusted_proxies: set that too")

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
        for url in (given["db_dsn"], given["proxy_addr"], given["opentelemetry_address"], given["smtp_url"]):
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
