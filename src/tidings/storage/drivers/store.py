# SPDX-License-Identifier: MIT
"""Opens the database that a URL names, and keeps its schema: migrations, and the weekly partitions of PostgreSQL."""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Final

import asyncpg

from tidings import dsn, ids
from tidings.clock import DAY, SECOND
from tidings.logs import log
from tidings.observe import failure
from tidings.storage.drivers.database import (
    Database,
    Dialect,
    OneStatement,
    Read,
    Sql,
    StorageError,
    StorageTuning,
    Unavailable,
    Write,
    retried,
)
from tidings.storage.drivers.postgres import PostgresDatabase
from tidings.storage.drivers.sqlite import SqliteDatabase


async def opened(
    url: str, *, connections: int = 20, pgbouncer: bool = False, tuning: StorageTuning = StorageTuning()
) -> Database:
    """Open the database at `sqlite:///path` or `postgresql://…`.

    Raises `Unavailable` for a wrong URL, an unreachable server, or a SQLite file that another process uses.
    """
    try:
        if url.startswith(dsn.SQLITE):
            file = dsn.sqlite(url)
            _warn(file.ignored)
            return SqliteDatabase(file.path, may_create=file.may_create, tuning=tuning)
        server = dsn.postgres(url)
    except dsn.DsnError as error:
        raise Unavailable(str(error)) from None
    _warn(server.ignored)
    return await PostgresDatabase.open(server, connections=connections, pgbouncer=pgbouncer, tuning=tuning)


def _warn(ignored: tuple[str, ...]) -> None:
    if ignored:
        log.warning("database.parameters", "parameters of the database URL are ignored", parameters=", ".join(ignored))


Statements = Callable[..., AbstractAsyncContextManager[OneStatement]]


def statements(db: Database) -> Statements | None:
    """Return how to write a small batch in one round trip; None if transactions are as fast, or a pooler is between.

    The driver needs two exchanges for a statement that PgBouncer may send to two sessions.
    """
    return db.statement if isinstance(db, PostgresDatabase) and db.keeps_sessions else None


async def connection_limit(db: Database) -> int | None:
    """Return how many connections the server grants to ordinary users; None if that is not known, or has no limit."""
    return await db.connection_limit() if isinstance(db, PostgresDatabase) else None


# -----------------------------------------------------------------------------------------------------------------
# Migrations: numbered files. Each runs once, in one transaction under a lock, and is recorded with its checksum.
#
# One file serves both databases. `{text}` is the type of a text column that sorts bytewise, `{bytes}` the type of raw
# bytes. A line that starts with `--sqlite:` or `--postgresql:` applies to that database only.

_MIGRATION_LOCK: Final = 7_251_001
_TYPES: Final = {
    Dialect.SQLITE: {"{text}": "TEXT", "{bytes}": "BLOB"},
    Dialect.POSTGRESQL: {"{text}": 'TEXT COLLATE "C"', "{bytes}": "BYTEA"},
}
_MARKERS: Final = frozenset(f"--{dialect.value}" for dialect in Dialect)
_CREATE_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS schema_migration"
    " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)"
)


_TABLE_COLUMNS: Final = Sql(
    sqlite="SELECT name FROM pragma_table_info('schema_migration')",
    postgresql="SELECT attname AS name FROM pg_attribute"
    " WHERE attrelid = to_regclass('schema_migration') AND attnum > 0 AND NOT attisdropped",
)
_RELATIONS: Final = Sql(
    sqlite="SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
    " AND name NOT LIKE 'sqlite_%' AND name <> 'schema_migration'",
    postgresql="SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace",
)
_NAMES: Final = re.compile(r"\bCREATE (?:UNIQUE )?(?:TABLE|INDEX|SEQUENCE|VIEW)(?: IF NOT EXISTS)? (\w+)")
_MAX_SHOWN: Final = 5
_USE_OWN_DATABASE: Final = "use a separate database for tidings (setting db_dsn)"


class SchemaError(StorageError):
    """The schema of the database does not match this release; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file. It differs from the recorded checksum if the file was edited after it ran."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def rendered(self, dialect: Dialect) -> str:
        """Return the text for one kind of database, with its comments."""
        lines = []
        for line in self.text.splitlines():
            marker, _, rest = line.partition(":")
            if marker == f"--{dialect.value}":
                lines.append(rest.removeprefix(" "))
            elif marker not in _MARKERS:
                lines.append(line)
        text = "\n".join(lines)
        for placeholder, column_type in _TYPES[dialect].items():
            text = text.replace(placeholder, column_type)
        return text

    def statements(self, dialect: Dialect) -> list[str]:
        """Return the statements for one kind of database, in order."""
        lines = [line for line in self.rendered(dialect).splitlines() if not line.lstrip().startswith("--")]
        return [each.strip() for each in _split("\n".join(lines)) if each.strip(" \n;")]


def _split(text: str) -> Iterator[str]:
    """Yield statements. Each ends with a semicolon at the end of a line, outside of a function's `$$` … `$$`."""
    statement = ""
    for part in text.split(";\n"):
        statement += part
        if statement.count("$$") % 2:
            statement += ";\n"
            continue
        yield statement
        statement = ""


def known_migrations() -> list[Migration]:
    """Return the migrations of this release, in order."""
    folder = resources.files("tidings.storage") / "migrations"
    found = []
    for file in folder.iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            found.append(Migration(int(number), name, file.read_text()))
    return sorted(found, key=lambda migration: migration.version)


async def migrate(db: Database) -> list[Migration]:
    """Bring the schema to this release; return the migrations that ran. Nodes may call this concurrently."""
    ran = []
    async with db.write(advisory_lock=_MIGRATION_LOCK) as tx:
        if db.dialect is Dialect.POSTGRESQL:
            await tx.run("SET LOCAL statement_timeout = 0")  # building an index on a large table may take long
        done = await _applied(tx)
        _require_compatible(done)
        if not done:
            await _require_unoccupied(tx)
            await tx.run(_CREATE_TABLE)
        for migration in known_migrations():
            if migration.version in done:
                continue
            await _run(tx, migration)
            await tx.run(
                "INSERT INTO schema_migration (version, name, checksum) VALUES (:version, :name, :checksum)",
                version=migration.version,
                name=migration.name,
                checksum=migration.checksum,
            )
            ran.append(migration)
    return ran


async def _run(tx: Write, migration: Migration) -> None:
    try:
        for statement in migration.statements(tx.dialect):
            await tx.run(statement)
    except (asyncpg.PostgresError, sqlite3.Error) as error:
        raise SchemaError(f"migration {migration.version} cannot run: {error}; {_USE_OWN_DATABASE}") from error


async def require_current(db: Database) -> None:
    """Raise `SchemaError` unless the schema is exactly that of this release."""
    async with db.read() as read:
        done = await _applied(read)
    _require_compatible(done)
    missing = [migration.name for migration in known_migrations() if migration.version not in done]
    if missing:
        message = f"the schema is older than this release (missing: {', '.join(missing)}); run `tidings migrate`"
        raise SchemaError(message)


async def _applied(read: Read) -> dict[int, str]:
    """Return the checksums of the migrations that ran, by version; empty if the table does not exist."""
    columns = {row["name"] for row in await read.rows(_TABLE_COLUMNS)}
    if not columns:
        return {}
    if not columns >= {"version", "name", "checksum"}:
        raise SchemaError(f"the table schema_migration belongs to another program; {_USE_OWN_DATABASE}")
    rows = await read.rows("SELECT version, checksum FROM schema_migration")
    return {int(row["version"]): row["checksum"] for row in rows}


async def _require_unoccupied(tx: Read) -> None:
    """Raise `SchemaError` if a PostgreSQL database has tables with our names, or a SQLite file has any table."""
    existing = {str(row["name"]) for row in await tx.rows(_RELATIONS)}
    ours = {name for migration in known_migrations() for name in _NAMES.findall(migration.text)}
    taken = sorted(existing & ours if tx.dialect is Dialect.POSTGRESQL else existing)
    if taken:
        shown = ", ".join(taken[:_MAX_SHOWN]) + (", …" if len(taken) > _MAX_SHOWN else "")
        raise SchemaError(f"the database already holds tables of another program ({shown}); {_USE_OWN_DATABASE}")


def _require_compatible(done: dict[int, str]) -> None:
    ours = {migration.version: migration for migration in known_migrations()}
    newer = sorted(set(done) - set(ours))
    if newer:
        message = f"the schema is newer than this release (migration {newer[-1]}); install the release that made it"
        raise SchemaError(message)
    for version, checksum in done.items():
        if ours[version].checksum != checksum:
            message = (
                f"an earlier development build made this database (migration {version} has changed since);"
                " keep using that build, or start this one with a new database"
            )
            raise SchemaError(message)


# -----------------------------------------------------------------------------------------------------------------
# Weekly partitions of messages and attempts on PostgreSQL: created in advance, dropped when they are empty.
#
# A message and its attempts are in partitions of the same week, because both tables are partitioned by the message's
# id. Rows of a week without a partition go to the default partition, which works the same.

WEEK: Final = 7 * DAY
_CREATE_LOCK: Final = 7_251_003
_DROP_LOCK: Final = 7_251_004
_KEYS: Final = {"message": "id", "attempt": "msg_id"}
_PARTITIONS: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relispartition AND pg_table_is_visible(oid)"
_LOCK_MS: Final = 200
"""How long other queries may be blocked by the lock on the partitioned tables, in milliseconds."""


async def create_partitions(db: Database, now: int) -> int:
    """Create the missing partitions of this week and the next; return how many were created."""
    if db.dialect is not Dialect.POSTGRESQL:
        return 0
    created = 0
    this = now - now % WEEK
    for start in (this, this + WEEK):
        try:
            created += await _make_week(db, start)
        except Exception as error:  # noqa: BLE001 - until then the default partition takes the rows
            failure("making partitions", error)
    return created


async def _make_week(db: Database, start: int) -> int:
    week = _name_of(start)
    first, end = ids.first_at(ids.MESSAGE, start), ids.first_at(ids.MESSAGE, start + WEEK)
    async with db.write(advisory_lock=_CREATE_LOCK) as tx:
        existing = await _partitions(tx)
        missing = [table for table in _KEYS if f"{table}_{week}" not in existing]
        if not missing or await _is_in_default(tx, first, end):
            return 0
        for table in missing:
            await tx.run(f"CREATE TABLE {table}_{week} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{end}')")
    return len(missing)


async def _is_in_default(read: Read, first: str, end: str) -> bool:
    """Return whether the default partitions hold rows of a week; PostgreSQL then refuses a partition for it."""
    for table, key in _KEYS.items():
        found = f"SELECT 1 FROM {table}_default WHERE {key} >= :first AND {key} < :end LIMIT 1"
        if await read.row(found, first=first, end=end):
            return True
    return False


async def drop_empty_partitions(db: Database, before: int) -> int:
    """Drop the empty partitions of weeks that ended before a timestamp; return how many were dropped.

    If one cannot be dropped, for example because a long query uses it, the later ones are left to the next call. All
    need the same lock, and each attempt to take it blocks every other query.
    """
    if db.dialect is not Dialect.POSTGRESQL:
        return 0
    async with db.read() as read:
        weeks = _weeks(await _partitions(read))
    dropped = 0
    try:
        for start in weeks:
            if start + WEEK <= before:
                dropped += await _drop_week(db, start)
    except Exception as error:  # noqa: BLE001 - an empty partition that remains is harmless
        failure("dropping partitions", error)
    return dropped


async def _drop_week(db: Database, start: int) -> int:
    # First check without the table lock: the first scan over rows that were just deleted may take long, the second
    # is fast.
    async with db.write(advisory_lock=_DROP_LOCK) as tx:
        if not await _empty_partitions(tx, start):
            return 0
    return await retried(lambda: _drop_locked(db, start))


async def _drop_locked(db: Database, start: int) -> int:
    async with db.write(advisory_lock=_DROP_LOCK, lock_ms=_LOCK_MS) as tx:
        await tx.run(f"SET LOCAL statement_timeout = {_LOCK_MS}")
        # Lock the parent tables before their partitions, in the order in which queries lock them.
        await tx.run(f"LOCK TABLE ONLY {', ONLY '.join(_KEYS)} IN ACCESS EXCLUSIVE MODE")
        empty = await _empty_partitions(tx, start)
        if empty:
            await tx.run(f"DROP TABLE {', '.join(empty)}")
    return len(empty)


async def _empty_partitions(read: Read, start: int) -> list[str]:
    """Return the names of a week's partitions, or an empty list if any of them holds rows."""
    existing = await _partitions(read)
    keys = {f"{table}_{_name_of(start)}": key for table, key in _KEYS.items()}
    found = [name for name in keys if name in existing]
    for name in found:
        if await read.row(f"SELECT 1 FROM {name} ORDER BY {keys[name]} LIMIT 1"):
            return []
    return found


async def _partitions(read: Read) -> set[str]:
    return {row["relname"] for row in await read.rows(_PARTITIONS)}


def _weeks(existing: set[str]) -> list[int]:
    """Return the starting timestamps of the weeks in partition names, the oldest first."""
    starts = (_start_of(name.rpartition("_")[2]) for name in existing)
    return sorted({start for start in starts if start is not None and start % WEEK == 0})


def _name_of(start: int) -> str:
    return datetime.fromtimestamp(start / SECOND, UTC).strftime("%Y%m%d")


def _start_of(name: str) -> int | None:
    try:
        day = datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * SECOND
