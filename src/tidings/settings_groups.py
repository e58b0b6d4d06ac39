# SPDX-License-Identifier: MIT
"""The settings by part of the service, with their documentation. `settings.py` has the checks."""

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tidings import values

Subnet: TypeAlias = values.Subnet

_REQUEST_TIMEOUT_MAX: Final = 30
_RETRY_MAX: Final = 365 * 24 * 3_600
_RETRIES_MAX: Final = 100
_LIST_MAX: Final = 10_000
_ANCESTORS_MAX: Final = 20
_RECIPIENTS_MAX: Final = 20
_RULES_MAX: Final = 1_000
_SCOPES_MAX: Final = 20
_PROXIES_MAX: Final = 100


def setting(
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

    listen_address: str = setting("Address and port that the API listens on.", "0.0.0.0:8071")
    metrics_address: str | None = setting(
        "Address and port of the metrics for Prometheus, at `/metrics`, without authentication: let only your"
        " monitoring reach it. Without it there are none.",
        None,
        own=True,
    )
    environment: str = setting("`dev`, `staging` or `prod`. In `prod` a missing secret is an error.", "dev")
    jwt_secret: str | None = setting(
        "Secret that signs tokens. Outside `prod` the first start generates one and stores it in the database. `prod`"
        " refuses one shorter than 32 bytes for `HS256`, 48 for `HS384`, 64 for `HS512`; elsewhere it logs a warning.",
        None,
    )
    jwt_secret_previous: str | None = setting(
        "Another secret (or key in PEM) whose tokens are valid, but which signs none: for the rotation of `jwt_secret`."
        " The same rules apply to it.",
        None,
        own=True,
    )
    jwt_algorithm: str = setting(
        "Algorithm of tokens. For `HS256`, `HS384` and `HS512`, `jwt_secret` is a text; for `RS256`, `RS384`, `RS512`"
        " and `EdDSA` it is a key in PEM. With a public key tokens are verified, but cannot be issued.",
        "HS256",
    )
    main_secret: str | None = setting(
        "Encrypts the secrets and headers of endpoints in the database, 32 random bytes or more. Existing ones are"
        " encrypted in the background. It cannot be changed or removed afterwards. `prod` refuses fewer than 16 bytes.",
        None,
    )
    default_signature_type: str = setting(
        "Signature of new endpoints: `hmac256`, with a secret shared with the receiver, or `ed25519`, with a key pair.",
        "hmac256",
    )
    api_enabled: bool = setting("Serve the API, like `--api`.", default=True)
    worker_enabled: bool = setting("Send messages and work on tasks, like `--delivery` and `--tasks`.", default=True)
    workers: str = setting(
        "Processes of one `serve`, on PostgreSQL; `auto` is one per core. They share the port, and divide the limits on"
        " connections, memory, concurrency, tasks and requests per second.",
        "1",
        own=True,
    )
    app_portal_url: str | None = setting(
        "Public URL of this server, for the links of `app-portal-access`. Default: the URL that the caller used.",
        None,
    )
    operational_webhook_address: str | None = setting(
        "URL of a service with this API and the same `jwt_secret`. Operational events are posted there as messages, and"
        " not sent from here. Default: this service sends them to the operational endpoints.",
        None,
    )
    smtp_url: str | None = setting(
        "Server that sends the mails to `notify_email`, with `user:password@` if it requires them: `smtps://` (TLS from"
        " the start), `starttls://` (TLS after STARTTLS, required) or `smtp://` (no TLS; a password only to this"
        " machine). Needs the extra `mail`.",
        None,
        own=True,
    )
    notify_email: tuple[str, ...] = setting(
        "Addresses that get a mail when the state of an endpoint changes: it is failing, will be disabled, is disabled,"
        " or has recovered. Of all organizations.",
        [],
        own=True,
        most=_RECIPIENTS_MAX,
    )
    notify_from: str | None = setting(
        "Address that the mails come from. Default: the first of `notify_email`.", None, own=True
    )
    log_level: str = setting("`error`, `warning`, `info` or `debug`; `trace` counts as `debug`.", "info")
    log_format: str = setting(
        "`text` for a terminal, `json` for machines; `auto` is `json` if `environment` is `prod`, otherwise `text`."
        " `default` counts as `text`.",
        "auto",
    )
    access_log: bool = setting(
        "Log each request of the API at the level `info`, with the client's address: at most 200 lines per second and"
        " process, after a burst of as many. A line counts the others.",
        default=False,
        own=True,
    )
    opentelemetry_address: str | None = setting(
        "URL of a collector that receives traces as OTLP over HTTP, usually on port 4318 (not gRPC, on 4317); without a"
        " path, `/v1/traces` is added. Needs the extra `otel`. Default: there are no traces.",
        None,
    )
    opentelemetry_sample_ratio: float = setting(
        "Part of the messages, tasks and requests that are traced, 0 to 1. A request with `traceparent` follows that.",
        1.0,
        bounds=(0, 1),
    )
    opentelemetry_service_name: str = setting("The attribute `service.name` of traces.", "tidings")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings(ServiceSettings):
    """The settings of the database and of the rows in it."""

    db_dsn: str = setting("The database: `sqlite:///path/to/file.db` or `postgresql://…`.", "sqlite:///tidings.db")
    db_pool_max_size: int = setting("Maximum connections to PostgreSQL from one `serve`.", 20, bounds=(1, 1_000))
    db_pgbouncer: bool = setting("Connect through PgBouncer, without prepared statements.", default=False, own=True)
    db_schema: str | None = setting(
        "PostgreSQL schema of all tables; `tidings migrate` creates it. Default: the first schema of the search path.",
        None,
        own=True,
    )
    db_migrate: str = setting(
        "When `serve` migrates the schema: `auto` on SQLite and in an empty database, `always`, or `never`.",
        "auto",
        own=True,
    )
    message_retention: str | None = setting(
        "Age at which messages are deleted with their attempts, like `120d` or `26w`. At least 90 days, which is the"
        " retention of payloads, and at least the retry schedule and 24 hours. Default: they are kept.",
        None,
        own=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings(StorageSettings):
    """The settings of sending."""

    retry_schedule: tuple[int, ...] = setting(
        "Seconds to wait after the first failed attempt, the second, and so on. `[]` is one attempt only.",
        [5, 300, 1800, 7200, 18000, 36000, 36000],
        bounds=(0, _RETRY_MAX),
        most=_RETRIES_MAX,
    )
    worker_request_timeout: int = setting(
        "Seconds within which a receiver must respond, 1 to 30.", _REQUEST_TIMEOUT_MAX, bounds=(1, _REQUEST_TIMEOUT_MAX)
    )
    endpoint_failure_disable_after: int = setting(
        "Hours. An endpoint is disabled if a message exhausts its attempts, another message did so at least this long"
        " before, and no attempt succeeded in between.",
        120,
        bounds=(0, 87_600),
    )
    endpoint_disable_on_gone: bool = setting(
        "Disable an endpoint that responds with 410 Gone, as the Standard Webhooks specification requires.",
        default=True,
        own=True,
    )
    attempt_headers: bool = setting(
        "Record the headers of successful attempts as well. Those of failed and manual attempts are always recorded.",
        default=False,
        own=True,
    )
    whitelist_subnets: tuple[Subnet, ...] = setting("Private subnets that endpoints may use.", [])
    whitelabel_headers: bool = setting("Send `webhook-*` headers in place of `svix-*`.", default=False)
    endpoint_https_only: bool = setting("Reject endpoint URLs that do not use HTTPS.", default=False)
    proxy_addr: str | None = setting(
        "Proxy for outgoing messages: `http://`, `https://` or `socks5://`, with `user:password@` if it requires them.",
        None,
    )
    noproxy: tuple[str, ...] = setting(
        "Addresses, subnets and domains (with their subdomains) that bypass the proxy.", []
    )
    proxy_resolves_names: bool = setting(
        "Let the proxy resolve the names of receivers, if only the proxy has DNS. The proxy must then refuse private"
        " addresses itself.",
        default=False,
        own=True,
    )
    transformation_timeout: int = setting(
        "Milliseconds of CPU time that the script of a transformation may take, 10 to 1,000. It is stopped afterwards.",
        100,
        own=True,
        bounds=(10, 1_000),
    )
    transformation_memory: int = setting(
        "Bytes of memory that the script of a transformation may take.",
        16 * 1024 * 1024,
        own=True,
        bounds=(4 * 1024 * 1024, 256 * 1024 * 1024),
    )
    transformation_processes: int = setting(
        "Processes that run the scripts of transformations, for one `serve`. They start when a script is to run, and"
        " end after a minute without one.",
        2,
        own=True,
        bounds=(1, 64),
    )
    dangerous_disable_tls_verification: bool = setting(
        "Do not verify the TLS certificates of receivers.", default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings(DeliverySettings):
    """The settings of the look of the portal."""

    portal_name: str | None = setting("Name in the portal, such as that of your product.", None, own=True)
    portal_color: str | None = setting("Accent color of the portal, like `#0a7d4b`.", None, own=True)
    portal_color_dark: str | None = setting(
        "Accent color on dark backgrounds. Default: `portal_color`.", None, own=True
    )
    portal_logo: str | None = setting(
        "Image file that replaces the logo of the portal: PNG, JPEG, GIF, WebP or SVG, at most 256 KiB.", None, own=True
    )
    portal_favicon: str | None = setting(
        "Image file for the tab of the browser, as for `portal_logo`, or ICO.", None, own=True
    )
    portal_back_url: str | None = setting(
        "URL of the link that leads from the portal back to your product.", None, own=True
    )
    portal_frame_ancestors: tuple[str, ...] = setting(
        "Origins that may show the portal in a frame, like `https://app.example.com`. It then needs https.",
        [],
        own=True,
        most=_ANCESTORS_MAX,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSettings(PortalSettings):
    """The settings of the sign-in of people to the console."""

    oidc_issuer: str | None = setting(
        "URL of the OpenID Connect provider at which people sign in to the console, exactly as the provider writes it.",
        None,
        own=True,
    )
    oidc_client_id: str | None = setting("Id of this service at the provider.", None, own=True)
    oidc_client_secret: str | None = setting("Secret of this service at the provider.", None, own=True)
    oidc_allowed: tuple[str, ...] = setting(
        "Who may sign in, and with which rights: `ada@example.com=operator`, `@example.com=org_…:read-only`,"
        " `group:support=operator:read-only`. The first entry that matches a person counts.",
        [],
        own=True,
        most=_RULES_MAX,
    )
    oidc_scopes: tuple[str, ...] = setting(
        "Scopes to request, beside `openid`. Some providers have groups in a scope of their own.",
        ["email"],
        own=True,
        most=_SCOPES_MAX,
    )
    oidc_groups_claim: str = setting("Claim of the ID token that lists a person's groups.", "groups", own=True)
    oidc_session: str = setting(
        "How long a sign-in lasts, like `12h`: from 5 minutes to 30 days.",
        "12h",
        own=True,
    )
    console_trusted_proxies: tuple[Subnet, ...] = setting(
        "Subnets of a proxy that signs people in to the console itself, and names them in `console_user_header`. Only"
        " the address of the connection counts. The rules are those of `oidc_allowed`.",
        [],
        own=True,
        most=_PROXIES_MAX,
    )
    console_user_header: str | None = setting(
        "Header with the e-mail address of a person, like `X-Forwarded-Email`. The proxy must remove it from requests.",
        None,
        own=True,
    )
    console_groups_header: str | None = setting(
        "Header with the groups of a person, separated by commas, like `X-Forwarded-Groups`.", None, own=True
    )
