# SPDX-License-Identifier: MIT
"""Runs the checks of `tidings doctor`: the process, the network, and the database. Each one is bounded in time.

No request leaves for a third party: a connection is opened to the configured proxy, mail server and database only, and
the host of an endpoint is resolved.
"""

import asyncio
import errno
import http.client
import ipaddress
import platform
import resource
import socket
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tidings import __version__, dsn, terms
from tidings.clock import Clock, SystemClock
from tidings.core.notifications import MailError
from tidings.delivery.address import AddressError, AddressPolicy, parse_literal
from tidings.model.diagnosis import CheckResult, failed, ok, warning
from tidings.server.mailing import smtp_client
from tidings.server.script_check import check_scripts
from tidings.settings import ConfigError, Settings
from tidings.storage.diagnosis import postgres, sqlite
from tidings.storage.drivers.database import Database, StorageError
from tidings.storage.drivers.store import connection_limit, opened

_OTHER_FILES: Final = 200
"""Open files beside connections: the database, logs and libraries."""
_NO_CONTENT: Final = 204

Check = Callable[[], Awaitable[list[CheckResult]]]


@dataclass(frozen=True, slots=True)
class DoctorLimits:
    """The time limits of the checks, in seconds."""

    check: float = 15.0
    connect: float = 3.0


DOCTOR_LIMITS: Final = DoctorLimits()


async def examine(
    settings: Settings,
    *,
    endpoint: str | None = None,
    clock: Clock | None = None,
    limits: DoctorLimits = DOCTOR_LIMITS,
) -> AsyncIterator[CheckResult]:
    """Run all checks and yield each result as soon as it is known. `endpoint` is a URL to check against the guard."""
    clock = SystemClock() if clock is None else clock
    checks: list[tuple[str, Check]] = [
        ("python", _python),
        ("secrets", lambda: _secrets(settings)),
        ("open files", lambda: _open_files(settings)),
        ("address", lambda: _address(settings, limits)),
        ("names", lambda: _names(settings)),
    ]
    if settings.proxy_addr:
        checks.append(("proxy", lambda: _proxy(settings, limits)))
    if settings.notify_email:
        checks.append(("mail", lambda: _mail(settings, limits)))
    if endpoint is not None:
        checks.append(("endpoint", lambda: _endpoint(settings, endpoint)))
    checks.append(("database", lambda: _database(settings, clock)))
    checks.append(("transformations", lambda: check_scripts(settings)))
    for name, check in checks:
        try:
            async with asyncio.timeout(limits.check):
                results = await check()
        except TimeoutError:
            results = [failed(name, f"no result within {limits.check:g} s", "find out what does not respond")]
        for each in results:
            yield each


# -----------------------------------------------------------------------------------------------------------------
# The process


async def _python() -> list[CheckResult]:
    # Debian builds with a profile too, by another target, and deletes the flags from what it records.
    recorded = sysconfig.get_config_vars()
    arguments = str(recorded.get("CONFIG_ARGS"))
    by_debian = "/usr/share/python-wheels" in arguments and recorded.get("PGO_PROF_USE_FLAG") == ""
    is_guided = "--enable-optimizations" in arguments or by_debian
    manner = "profile-guided" if is_guided else "not profile-guided, which costs about a tenth more CPU time"
    return [ok("python", f"Python {platform.python_version()}, {manner}; tidings {__version__}")]


async def _secrets(settings: Settings) -> list[CheckResult]:
    weak = [warning("secrets", text, "use 32 random bytes or more") for text in settings.weak_secrets()]
    if not settings.main_secret:
        text = "main_secret is not set: secrets, headers and variables of endpoints are stored in the clear"
        weak.append(warning("secrets", text, "set it to 32 random bytes, and keep a copy"))
    if settings.dangerous_disable_tls_verification:
        text = "dangerous_disable_tls_verification is set: anybody on the way can read messages"
        weak.append(warning("tls", text, "remove it"))
    return weak or [ok("secrets", "jwt_secret and main_secret are long enough")]


async def _open_files(settings: Settings) -> list[CheckResult]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + settings.delivery_in_flight + settings.db_pool_max_size + _OTHER_FILES
    text = f"at most {soft:,}, and the settings allow {needed:,}"
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return [ok("open files", text)]
    remedy = f"raise the limit (`ulimit -n {needed}`, or LimitNOFILE= in systemd)"
    if hard != resource.RLIM_INFINITY and hard < needed:
        remedy += f"; the hard limit is {hard:,}"
    return [warning("open files", text, f"{remedy}, or lower max_connections and delivery_in_flight")]


# -----------------------------------------------------------------------------------------------------------------
# The network


async def _address(settings: Settings, limits: DoctorLimits) -> list[CheckResult]:
    return [await asyncio.to_thread(_try_address, settings, limits)]


def _try_address(settings: Settings, limits: DoctorLimits) -> CheckResult:
    name, (host, port) = "address", settings.listen
    remedy = "pass --listen or set TIDINGS_LISTEN_ADDRESS"
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return failed(name, f"cannot listen on {settings.listen_address}: {error.strerror or error}", remedy)
        if _responds_to_ping(host, port, limits.connect):
            return ok(name, f"{settings.listen_address} is in use by a running server")
        return failed(name, f"{settings.listen_address} is in use by another program", f"stop it, or {remedy}")
    return ok(name, f"{settings.listen_address} is free")


def _responds_to_ping(host: str, port: int, seconds: float) -> bool:
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    try:
        with closing(http.client.HTTPConnection(local, port, timeout=seconds)) as connection:
            connection.request("GET", "/api/v1/health/ping")
            return connection.getresponse().status == _NO_CONTENT
    except (OSError, http.client.HTTPException):
        return False


async def _names(settings: Settings) -> list[CheckResult]:
    """Resolve the names in the settings: of the database and of the proxy."""
    hosts = [] if settings.sqlite_path is not None else list(dsn.postgres(settings.db_dsn).hosts)
    if settings.proxy_addr:
        hosts.append(urlsplit(settings.proxy_addr).hostname or "")
    names = [host for host in hosts if host and not host.startswith("/") and parse_literal(host) is None]
    faults = [each for each in [await _unresolved(name) for name in names] if each]
    if faults:
        return [failed("names", "; ".join(faults), "check the name, and DNS on this machine")]
    return [ok("names", f"{', '.join(names)} resolve" if names else "the settings contain none to resolve")]


async def _unresolved(name: str) -> str | None:
    try:
        await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return f"{name} does not resolve ({getattr(error, 'strerror', None) or error})"
    return None


async def _proxy(settings: Settings, limits: DoctorLimits) -> list[CheckResult]:
    parts = urlsplit(settings.proxy_addr or "")
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 1080)
    place = f"{host}:{port}"
    try:
        async with asyncio.timeout(limits.connect):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        text = f"no connection to {place} ({str(error) or type(error).__name__})"
        return [failed("proxy", text, "check proxy_addr, and that the proxy runs: no message is sent without it")]
    writer.close()
    return [ok("proxy", f"{place} accepts connections")]


async def _mail(settings: Settings, limits: DoctorLimits) -> list[CheckResult]:
    """Connect to the mail server and sign in, without a mail."""
    place = "smtp_url"
    try:
        client = smtp_client(settings)
        place = client.place
        async with asyncio.timeout(limits.connect * 3):
            await client.check()
    except ConfigError as error:
        return [failed("mail", str(error), "install the extra, or remove smtp_url and notify_email")]
    except (MailError, TimeoutError) as error:
        text = f"{place} cannot be used ({str(error) or 'no response in time'})"
        return [failed("mail", text, "check smtp_url: scheme, host, port, user and password")]
    return [ok("mail", f"{place} accepts the connection, to send mails to {', '.join(settings.notify_email)}")]


async def _endpoint(settings: Settings, url: str) -> list[CheckResult]:
    """Resolve the host of an endpoint and ask the guard, without a request to it."""
    name = "endpoint"
    try:
        parts = urlsplit(url)
        host, is_valid = parts.hostname or "", parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        host, is_valid = "", False
    if not host or not is_valid:
        return [failed(name, "the URL is invalid", "use a URL like https://example.com/hook")]
    if settings.endpoint_https_only and parts.scheme != "https":
        return [failed(name, "the URL is not https, and endpoint_https_only is set", "use https")]
    try:
        addresses = await _guarded(terms.delivery(settings).policy, host)
    except (AddressError, OSError, UnicodeError) as error:
        return [failed(name, f"{host}: {error}", "until then nothing is sent to it")]
    through = " through the proxy" if settings.proxy_addr else ""
    return [ok(name, f"messages to {host} would be sent to {addresses[0]}{through}; no request was made")]


async def _guarded(policy: AddressPolicy, host: str) -> tuple[str, ...]:
    literal = parse_literal(host)
    if literal is not None:
        return policy.vet([literal])
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return policy.vet(dict.fromkeys(ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found))


# -----------------------------------------------------------------------------------------------------------------
# The database


async def _database(settings: Settings, clock: Clock) -> list[CheckResult]:
    path = settings.sqlite_path
    if path is not None:
        return await asyncio.to_thread(sqlite.check, path)
    try:
        database = await opened(
            settings.db_dsn, connections=2, pgbouncer=settings.db_pgbouncer, schema=settings.db_schema
        )
    except StorageError as error:
        place = dsn.postgres(settings.db_dsn).place
        return [failed("database", f"{place}: {error}", "check db_dsn, and that the server runs and admits this host")]
    try:
        return await _postgres(database, settings, clock)
    except StorageError as error:
        return [failed("database", str(error), "repeat the check")]
    finally:
        await database.close()


async def _postgres(database: Database, settings: Settings, clock: Clock) -> list[CheckResult]:
    workers = settings.worker_count
    share = terms.of_worker(settings, workers) if workers > 1 else settings
    needed = workers * (share.db_pool_max_size + 1)
    limit = await connection_limit(database)
    async with database.read() as read:
        return [
            *await postgres.server(read, clock),
            _pooler(settings, keeps_sessions=database.keeps_sessions),
            await postgres.connections(read, limit=limit, needed=needed),
            *await postgres.settings(read),
            *await postgres.schema(read, clock.now()),
        ]


def _pooler(settings: Settings, *, keeps_sessions: bool) -> CheckResult:
    if settings.db_pgbouncer:
        return ok("pooler", "db_pgbouncer is set: no prepared statements, and no liveness locks")
    if keeps_sessions:
        return ok("pooler", "none: the connection has a session of its own")
    return warning("pooler", "PgBouncer refused the parameters of the session", "set TIDINGS_DB_PGBOUNCER=true")
