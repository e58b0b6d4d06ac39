# SPDX-License-Identifier: MIT
"""PostgreSQL: a pool of connections, transactions with short timeouts, and no session state.

No transaction depends on the connection that serves it, so PgBouncer in transaction mode works; `pgbouncer=True` turns
prepared statements off.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final, cast

import asyncpg

from tidings.dsn import Postgres
from tidings.measures import database_wait
from tidings.storage.drivers.database import (
    Busy,
    Declined,
    Dialect,
    Duplicate,
    ForegroundActivity,
    OutcomeUnknown,
    Row,
    SchemaError,
    Statement,
    StorageError,
    StorageTuning,
    Table,
    Unavailable,
    Value,
)
from tidings.storage.drivers.dialect import for_postgres
from tidings.storage.drivers.postgres_connect import ConnectionGeneration, PostgresConnector, quoted, wrong_path

_CLOSE_SECONDS: Final = 5.0
_STATEMENT_SECONDS: Final = 5.0
"""The driver cancels a statement that is its own transaction after this time; its outcome is then unknown."""
DECLINED: Final = "TD001"
"""The SQLSTATE of a function that leaves its batch to a transaction; see `migrations/`."""
_DISTRUST_SECONDS: Final = 1.0
"""The minimum time between two replacements of all connections. Failures in between come from old connections."""
# One round trip opens the transaction and sets its timeouts: a client that dies or hangs holds its locks for 5 s.
_BEGIN: Final = "BEGIN; SET LOCAL statement_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '5s';"
# Installations in two schemas of one database share no lock: the schema's name is a part of each number.
SCHEMA_NUMBER: Final = "(hashtext(coalesce(current_schema(), '')) & 2147483647)"
_LOCK: Final = f"SELECT pg_advisory_xact_lock({SCHEMA_NUMBER}::bigint << 32 | :number)"
_SEARCH_PATH: Final = "SELECT current_setting('search_path') AS path, current_user AS role, current_database() AS name"
_HAS_SCHEMA: Final = "SELECT FROM pg_namespace WHERE nspname = :schema"
_NO_LIMIT: Final = 30 * 86_400.0  # seconds
_CONNECTION_LIMIT: Final = (
    "SELECT CAST(current_setting('max_connections') AS INTEGER)"
    " - CAST(current_setting('superuser_reserved_connections') AS INTEGER) AS connections"
)
_BUSY: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)
_UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection ended during an operation of the driver
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InsufficientPrivilegeError,
)


def _mapped(error: Exception) -> Exception:
    """Map a driver error to a `StorageError`; return other errors, such as those of a wrong statement, unchanged."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return Duplicate(str(error))
    if isinstance(error, _BUSY):
        return Busy(str(error))
    if isinstance(error, _UNAVAILABLE):
        return Unavailable(str(error) or type(error).__name__)
    return error


def _is_unusable_server(error: BaseException) -> bool:
    """Return whether the server is a standby or read-only, or did not respond within the driver's timeout."""
    return isinstance(error.__cause__, asyncpg.ReadOnlySQLTransactionError | TimeoutError)


class PostgresRead:
    """A connection for the duration of a block. Each statement sees the rows committed when it starts."""

    __slots__ = ("_connection", "tuning")
    dialect = Dialect.POSTGRESQL
    has_one_writer = False

    def __init__(self, connection: Any, tuning: StorageTuning) -> None:  # noqa: ANN401 - the proxy of the pool has no type
        self._connection = connection
        self.tuning = tuning

    async def rows(self, sql: Statement, **values: Value | Sequence[Value]) -> list[Row]:
        text, names = for_postgres(sql)
        try:
            found: list[Row] = await self._connection.fetch(text, *[values[name] for name in names])
        except Exception as error:
            raise _mapped(error) from error
        return found

    async def row(self, sql: Statement, **values: Value | Sequence[Value]) -> Row | None:
        found = await self.rows(sql, **values)
        return found[0] if found else None

    async def one(self, sql: Statement, **values: Value | Sequence[Value]) -> Row:
        return (await self.rows(sql, **values))[0]


class PostgresWrite(PostgresRead):
    """The open write transaction."""

    __slots__ = ("_after", "generation")

    def __init__(self, connection: Any, tuning: StorageTuning, generation: int) -> None:  # noqa: ANN401
        super().__init__(connection, tuning)
        self.generation = generation
        self._after: list[Callable[[], None]] = []

    async def run(self, sql: Statement, **values: Value | Sequence[Value]) -> int:
        text, names = for_postgres(sql)
        return await self._run(text, [values[name] for name in names])

    async def bulk(self, sql: Statement, rows: Sequence[Sequence[Value]]) -> int:
        if not rows:
            return 0
        return await self._run(for_postgres(sql)[0], list(zip(*rows, strict=True)))

    async def add(self, table: Table, rows: Sequence[Sequence[Value]]) -> None:
        try:
            await self._connection.copy_records_to_table(table.name, records=rows, columns=table.columns)
        except Exception as error:
            raise _mapped(error) from error

    async def _run(self, text: str, values: Sequence[Any]) -> int:
        try:
            status: str = await self._connection.execute(text, *values)
        except Exception as error:
            raise _mapped(error) from error
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def lock(self, number: int) -> None:
        await self.rows(_LOCK, number=number)

    def after_commit(self, call: Callable[[], None]) -> None:
        self._after.append(call)

    def committed(self) -> None:
        for call in self._after:
            call()


class PostgresStatement:
    """A connection for one statement that is its own transaction."""

    __slots__ = ("_connection", "generation")

    def __init__(self, connection: Any, generation: int) -> None:  # noqa: ANN401
        self._connection = connection
        self.generation = generation

    async def call(self, sql: str, *values: object) -> None:
        try:
            await self._connection.execute(sql, *values, timeout=_STATEMENT_SECONDS)
        except Exception as error:
            raise _of_statement(error) from error


def _of_statement(error: Exception) -> Exception:
    """Map the error of a statement that commits by itself: without an answer, its outcome is unknown."""
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate == DECLINED:
        return Declined(str(error))
    mapped = _mapped(error)
    return OutcomeUnknown(str(mapped)) if isinstance(mapped, Unavailable) else mapped


async def _keep(connection: asyncpg.Connection) -> None:
    """Return a connection without a reset: its transactions have ended, and no session state is ever set."""


class PostgresDatabase:
    """A pool of connections to one PostgreSQL database."""

    dialect = Dialect.POSTGRESQL
    has_one_writer = False

    def __init__(
        self,
        pool: Any,  # noqa: ANN401 - the pool type of the driver is generic over its record class
        connector: PostgresConnector,
        generation: ConnectionGeneration,
        tuning: StorageTuning,
    ) -> None:
        self.tuning = tuning
        self._pool = pool
        self._connector = connector
        self._generation = generation
        self._foreground = ForegroundActivity()
        self._distrusted_at = -_DISTRUST_SECONDS
        self.distrusts = 0
        """How often a read-only server was detected. Sessions opened before the last detection may be on it."""

    @classmethod
    async def open(
        cls,
        server: Postgres,
        *,
        connections: int = 20,
        pgbouncer: bool = False,
        schema: str | None = None,
        tuning: StorageTuning = StorageTuning(),
    ) -> "PostgresDatabase":
        """Open the pool. Raises `Unavailable` if no connection can be made, `SchemaError` if it has another schema."""
        # While the database is unavailable, the pool logs long warnings; the caller gets the error anyway.
        logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
        connector = PostgresConnector(server, pgbouncer=pgbouncer, schema=schema)
        generation = ConnectionGeneration(connector)
        try:
            pool = await asyncpg.create_pool(
                connect=cast("Any", connector.connect),
                init=generation.add,
                min_size=1,
                max_size=connections,
                reset=_keep,
            )
        except Exception as error:
            raise _mapped(error) from error
        db = cls(pool, connector, generation, tuning)
        try:
            await db.require_schema()
        except BaseException:
            await db.close()
            raise
        return db

    @property
    def keeps_sessions(self) -> bool:
        """Whether each connection stays on one database session. False behind PgBouncer."""
        return not self._connector.pgbouncer

    async def connect(self) -> Any:  # noqa: ANN401
        """Open a connection outside the pool, for locks that a session holds."""
        return await self._connector.connect()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        requested_at = monotonic()
        try:
            connection = await self._pool.acquire(timeout=self._connector.seconds)
        except TimeoutError as error:
            raise Unavailable(f"no connection to PostgreSQL within {self._connector.seconds:g} s") from error
        except Exception as error:
            raise _mapped(error) from error
        finally:
            database_wait.add(monotonic() - requested_at)
        try:
            yield connection
        except Unavailable as error:
            if _is_unusable_server(error):
                await self._distrust(connection)
            raise
        finally:
            # When the server ends a connection, the pool releases it by itself. The second release then raises an
            # error, which must not hide the first one.
            with contextlib.suppress(asyncpg.InterfaceError):
                if connection.is_in_transaction():
                    connection.terminate()  # its locks and its state must not reach the next owner
                await self._pool.release(connection)

    async def _distrust(self, connection: Any) -> None:  # noqa: ANN401
        """Close a connection to an unusable server; the pool replaces every other connection before its next use."""
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.terminate()
        now = asyncio.get_running_loop().time()
        if now - self._distrusted_at >= _DISTRUST_SECONDS:
            self._distrusted_at = now
            self.distrusts += 1
            await self._pool.expire_connections()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresRead]:
        """Yield a connection for statements that only read."""
        async with self._connection() as connection:
            yield PostgresRead(connection, self.tuning)

    @property
    def has_foreground_writes(self) -> bool:
        """Whether this process made a foreground write within the last second."""
        return self._foreground.is_recent

    @asynccontextmanager
    async def write(
        self, *, advisory_lock: int | None = None, lock_ms: int = 1_000, background: bool = False, synced: bool = True
    ) -> AsyncIterator[PostgresWrite]:
        """Open a write transaction; `advisory_lock` is held until it ends."""
        del synced
        with self._foreground.write(background=background):
            async with self._connection() as connection:
                tx = PostgresWrite(connection, self.tuning, self._generation.current())
                try:
                    await tx.run(f"{_BEGIN} SET LOCAL lock_timeout = {lock_ms}")
                    if advisory_lock is not None:
                        await tx.lock(advisory_lock)
                    yield tx
                except BaseException:
                    await _roll_back(connection)
                    raise
                await _commit(connection)
        tx.committed()

    @asynccontextmanager
    async def statement(self, *, background: bool = False) -> AsyncIterator[PostgresStatement]:
        """Yield a connection for one statement that is its own transaction. Not behind PgBouncer."""
        with self._foreground.write(background=background):
            async with self._connection() as connection:
                yield PostgresStatement(connection, self._generation.current())

    async def give_way(self, seconds: float) -> None:
        """Wait until no foreground write of this process is open, at most this many seconds."""
        await self._foreground.pause(seconds)

    async def require_schema(self) -> None:
        """Raise `SchemaError` if `db_schema` is set and sessions use another one: a pooler ignores the parameter."""
        schema = self._connector.schema
        if schema is None:
            return
        async with self.read() as read:
            path, role, name = await read.one(_SEARCH_PATH)
        if path not in (schema, quoted(schema)):
            raise SchemaError(wrong_path(schema, path, role, name))

    async def create_schema(self) -> None:
        """Create the schema that `db_schema` names, unless it exists."""
        schema = self._connector.schema
        if schema is None:
            return
        async with self.write() as tx:
            if not await tx.rows(_HAS_SCHEMA, schema=schema):
                await tx.run(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")

    async def run_alone(self, sql: str) -> None:
        """Run a statement that no transaction may contain, such as CREATE INDEX CONCURRENTLY, without a time limit."""
        async with self._connection() as connection:
            try:
                await connection.execute(sql, timeout=_NO_LIMIT)
            except Exception as error:
                raise _mapped(error) from error

    async def connection_limit(self) -> int | None:
        """Return `max_connections` without the reserved ones. None behind PgBouncer, which shares connections."""
        if self._connector.pgbouncer:
            return None
        async with self.read() as read:
            row = await read.one(_CONNECTION_LIMIT)
        return int(row["connections"])

    def require_intact(self) -> None:
        """Do nothing: the server watches over its files."""

    def wrote_within(self, seconds: float) -> bool:
        """Return False: another server may have taken over since the last write."""
        del seconds
        return False

    async def close(self) -> None:
        """Close every connection; transactions in progress get 5 seconds to end."""
        try:
            await asyncio.wait_for(self._pool.close(), _CLOSE_SECONDS)
        except TimeoutError:
            self._pool.terminate()


async def _commit(connection: Any) -> None:  # noqa: ANN401
    try:
        status = await connection.execute("COMMIT")
    except asyncio.CancelledError:
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.terminate()
        raise
    except Exception as error:
        mapped = _mapped(error)
        if isinstance(mapped, StorageError) and not isinstance(mapped, Duplicate):
            raise OutcomeUnknown(str(error)) from error
        raise mapped from error
    if status != "COMMIT":  # PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK, without an error
        message = "the transaction was rolled back"
        raise Busy(message)


async def _roll_back(connection: Any) -> None:  # noqa: ANN401
    try:
        await connection.execute("ROLLBACK")
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - the first error is the one to report; this connection is closed
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.terminate()
