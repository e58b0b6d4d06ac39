# SPDX-License-Identifier: MIT
"""Connections to PostgreSQL: how they are opened and configured, and error messages for failures.

Unless the URL says otherwise, only a server that accepts writes is used. After a failover an address may still lead to
the old primary, which accepts connections and refuses every write.
"""

import contextlib
import os
import socket
import ssl
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode

import asyncpg

from tidings.dsn import Postgres
from tidings.logs import log
from tidings.storage.drivers.database import Unavailable

CONNECT_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 30.0
# Statements here take microseconds to milliseconds, so JIT compilation and parallel workers do not pay off.
# A plan is made once and reused, often made while a table is almost empty. A sequential scan is cheapest then, and far
# too slow once the table has 100,000 rows. Every query here has an index.
_BY_INDEX: Final = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
SESSION: Final = {"application_name": "tidings", "jit": "off", "max_parallel_workers_per_gather": "0", **_BY_INDEX}
_OPTIONS: Final = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}
_UNACKNOWLEDGED_MS: Final = 15_000
"""How long sent data may stay unacknowledged (TCP_USER_TIMEOUT) before the kernel closes the connection."""
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SYSTEM: Final = "system"
"""The value of `sslrootcert` that selects the trusted certificates of the machine instead of a file."""
_POOLER_REFUSAL: Final = "unsupported startup parameter"


class PostgresConnector:
    """Opens connections to one database, on the first of its hosts that is usable."""

    def __init__(self, server: Postgres, *, pgbouncer: bool, schema: str | None = None) -> None:
        self._server = server
        self.schema = schema
        self._hosts: list[tuple[str, int]] = list(zip(server.hosts, server.ports, strict=True))
        self._timeout = float(server.connect_timeout or CONNECT_SECONDS)
        self.pgbouncer = pgbouncer

    @property
    def seconds(self) -> float:
        """The time limit of a connection attempt in seconds, over all hosts."""
        return self._timeout * max(1, len(self._hosts))

    async def connect(self, _: object = None, **given: Any) -> asyncpg.Connection:  # noqa: ANN401 - the pool's own arguments
        """Open a connection. Raises `Unavailable` with a readable reason."""
        try:
            return await self._try_hosts(given)
        except asyncpg.PostgresError as error:
            if self.pgbouncer or _POOLER_REFUSAL not in str(error):
                raise Unavailable(self._refusal(error)) from error
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, UnicodeError) as error:
            raise Unavailable(self._refusal(error)) from error
        log.warning(
            "database.pooler",
            "PgBouncer refuses startup parameters; connecting without them (set TIDINGS_DB_PGBOUNCER=true)",
        )
        self.pgbouncer = True
        return await self.connect(**given)

    async def _try_hosts(self, given: dict[str, Any]) -> asyncpg.Connection:
        """Try the hosts one after the other, each with its own timeout, starting with the last successful one."""
        fixed = self._arguments()
        hosts = self._hosts if fixed["target_session_attrs"] != "prefer-standby" else []
        failed: Exception | None = None
        for host, port in tuple(hosts):
            try:
                connection = await asyncpg.connect(**given, **{**fixed, "host": [host], "port": [port]})
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InternalClientError) as error:
                if failed is None or isinstance(error, asyncpg.TargetServerAttributeNotMatched):
                    failed = error
                continue
            self._hosts.remove((host, port))
            self._hosts.insert(0, (host, port))
            return self._with_keepalives(connection)
        if failed is not None:
            raise failed
        return self._with_keepalives(await asyncpg.connect(**given, **fixed))

    def _arguments(self) -> dict[str, Any]:
        server = self._server
        driver = dict(server.driver)
        tls: Any = driver.pop("sslmode", None)
        if driver.get("sslrootcert") == _SYSTEM:
            del driver["sslrootcert"]
            tls = ssl.create_default_context()
        target = driver.pop("target_session_attrs", "any" if self.pgbouncer else "read-write")
        arguments = {
            # The driver takes these parameters in a DSN only.
            "dsn": f"postgresql://?{urlencode(driver)}" if driver else None,
            "host": list(server.hosts) or None,
            "port": list(server.ports) or None,
            "user": server.user,
            "password": server.password,
            "database": server.database,
            "ssl": tls,
            "target_session_attrs": target,
            "timeout": self._timeout,
            "command_timeout": COMMAND_SECONDS,
            "statement_cache_size": 0 if self.pgbouncer else 512,
            "server_settings": self._server_settings(),
        }
        return {name: value for name, value in arguments.items() if value is not None}

    def _server_settings(self) -> dict[str, str]:
        """Return the startup parameters. A pooler gets only those of the URL: its role has the search path."""
        given = dict(self._server.server)
        if self.pgbouncer:
            return given
        path = {} if self.schema is None else {"search_path": quoted(self.schema)}
        return {**SESSION, **given, **path}

    def _with_keepalives(self, connection: asyncpg.Connection) -> asyncpg.Connection:
        """Enable TCP keepalives, so that the kernel detects a server that disappeared. libpq does so by default."""
        link = cast("Any", connection)._transport.get_extra_info("socket")  # noqa: SLF001 - the driver has no public accessor
        if link is None or link.family not in (socket.AF_INET, socket.AF_INET6):
            return connection
        given = {"tcp_user_timeout": _UNACKNOWLEDGED_MS, **dict(self._server.keepalives)}
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(link.fileno())) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, given.get("keepalives", 1))
            for name, option in _OPTIONS.items():
                if given.get(name) and hasattr(socket, option):
                    twin.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), given[name])
        return connection

    def _refusal(self, error: Exception) -> str:
        """Return an error message for a failed connection attempt, with the password masked."""
        absent = [
            file
            for name, file in self._server.driver
            if name in _FILES and file != _SYSTEM and not Path(file).is_file()
        ]
        reason = f"{absent[0]} cannot be read" if absent else _reason(error, self._timeout)
        text = f"cannot connect to PostgreSQL at {self._server.place}: {reason}"
        password = self._server.password
        return text.replace(password, "********") if password else text


class ConnectionGeneration:
    """Counts the connections that a pool has opened.

    When another server takes over, committed rows may be lost, and every connection is new. Behind PgBouncer a
    connection may continue on another server without notice, so there every transaction counts.
    """

    def __init__(self, connector: PostgresConnector) -> None:
        self._connector = connector
        self._count = 0

    async def add(self, _: asyncpg.Connection) -> None:
        self._count += 1

    def current(self) -> int:
        if self._connector.pgbouncer:
            self._count += 1
        return self._count


def quoted(name: str) -> str:
    """Return a name as a quoted identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def wrong_path(schema: str, path: str, role: str, database: str) -> str:
    """Return the error for sessions behind a pooler that have another search path, with the command for the role."""
    return (
        f"db_schema is {schema}, but sessions behind the pooler have the search_path {path}: run ALTER ROLE"
        f" {quoted(role)} IN DATABASE {quoted(database)} SET search_path = {quoted(schema)}; then RECONNECT in the"
        " console of PgBouncer"
    )


def _reason(error: Exception, seconds: float) -> str:
    match error:
        case TimeoutError():
            text = f"no response within {seconds:g} s"
        case socket.gaierror() | UnicodeError():
            text = "the name of the host does not resolve"
        case asyncpg.TargetServerAttributeNotMatched():
            text = "the server does not accept writes (a standby, or a database set to read-only)"
        case ssl.SSLError():
            text = f"TLS: {getattr(error, 'verify_message', None) or error.reason or error}"
        case ConnectionError() if "SSL upgrade" in str(error):
            text = "the server does not support TLS, but sslmode requires it"
        case OSError() if error.errno:
            text = os.strerror(error.errno)
        case _:
            text = str(error).partition("\n")[0]
    return text or type(error).__name__
