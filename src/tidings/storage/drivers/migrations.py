# SPDX-License-Identifier: MIT
"""Migrations: numbered files. Each runs once, under a lock, and is recorded with its checksum.

One file serves both databases. `{text}` is the type of a text column that sorts bytewise, `{bytes}` the type of raw
bytes. A line that starts with `--sqlite:` or `--postgresql:` applies to that database only.

A file runs in one transaction, whose statements wait 200 ms for a lock: a longer wait would block every query behind
it. So the whole file is retried until its locks are free. A file with the line `-- Outside a transaction` is for work
that takes long on PostgreSQL. It may be repeated after a kill: an index is built `{concurrently}`, and an UPDATE or a
DELETE, which has a limit, runs until it changes no row.

Every file names the oldest release that may run on its schema. Nodes of that release start beside those of a newer one.
"""

import asyncio
import hashlib
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, TypeAlias

import asyncpg

from tidings import __version__
from tidings.storage.drivers.concurrent_index import build_index
from tidings.storage.drivers.database import (
    Busy,
    Database,
    Dialect,
    Read,
    SchemaError,
    Sql,
    Write,
    retried,
)
from tidings.storage.drivers.postgres import PostgresDatabase

_LOCK: Final = 7_251_001
_TYPES: Final = {
    Dialect.SQLITE: {"{text}": "TEXT", "{bytes}": "BLOB", " {concurrently}": ""},
    Dialect.POSTGRESQL: {"{text}": 'TEXT COLLATE "C"', "{bytes}": "BYTEA", "{concurrently}": "CONCURRENTLY"},
}
_MARKERS: Final = frozenset(f"--{dialect.value}" for dialect in Dialect)
_CREATE_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS schema_migration"
    " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, oldest_release TEXT NOT NULL)"
)
_ADD: Final = (
    "INSERT INTO schema_migration (version, name, checksum, oldest_release)"
    " VALUES (:version, :name, :checksum, :oldest_release)"
)
_TABLE_COLUMNS: Final = Sql(
    sqlite="SELECT name FROM pragma_table_info('schema_migration')",
    postgresql="SELECT attname AS name FROM pg_attribute"
    " WHERE attrelid = to_regclass('schema_migration') AND attnum > 0 AND NOT attisdropped",
)
_RELATIONS: Final = Sql(
    sqlite="SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
    " AND name NOT LIKE 'sqlite_%' AND name <> 'schema_migration'",
    postgresql="SELECT relname AS name FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname = current_schema()",
)
_NAMES: Final = re.compile(r"\bCREATE (?:UNIQUE )?(?:TABLE|INDEX|SEQUENCE|VIEW)(?: IF NOT EXISTS)? (\w+)")
_OLDEST: Final = re.compile(r"^-- Oldest release that may run on this schema: (\d+\.\d+\.\d+)$", re.MULTILINE)
_OUTSIDE: Final = re.compile(r"^-- Outside a transaction\b", re.MULTILINE)
_INDEX: Final = "CREATE INDEX CONCURRENTLY"
_REPEATED: Final = ("UPDATE ", "DELETE ")
_MAX_SHOWN: Final = 5
_SEPARATE: Final = {
    Dialect.SQLITE: "use a separate file for tidings (setting db_dsn)",
    Dialect.POSTGRESQL: "give tidings a schema of its own (setting db_schema), or a database (setting db_dsn)",
}
_EARLIER_BUILD: Final = (
    "a development build before 0.1.0 made this database, and it cannot be upgraded; start with a new database, or"
    " keep that build"
)

_OTHER_BUILD: Final = (
    "an unreleased build made this database: another migration {} ran on it; restore a backup, or keep that build"
)


_Guard: TypeAlias = Write
"""A transaction that is held open on purpose while other connections work: behind PgBouncer no session has a lock."""


@dataclass(frozen=True, slots=True)
class MigrationTuning:
    """How long a migration waits for locks. Tests choose other values."""

    lock_ms: int = 200
    """The time that a statement waits for a lock, while every query behind it waits as well."""
    attempts: int = 300
    pause_seconds: float = 0.1
    """The pause after the first attempt; it doubles up to `longest_pause_seconds`."""
    longest_pause_seconds: float = 0.4


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

    @property
    def oldest_release(self) -> str:
        """The oldest release that may run on the schema."""
        found = _OLDEST.search(self.text)
        if found is None:
            raise ValueError(f"migration {self.title} does not name the oldest release that may run on its schema")
        return found[1]

    @property
    def is_outside(self) -> bool:
        """Whether the file runs outside a transaction on PostgreSQL."""
        return _OUTSIDE.search(self.text) is not None

    @property
    def title(self) -> str:
        """The name of the file without its ending."""
        return f"{self.version:04}_{self.name}"

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
        for placeholder, replacement in _TYPES[dialect].items():
            text = text.replace(placeholder, replacement)
        return text

    def statements(self, dialect: Dialect) -> list[str]:
        """Return the statements for one kind of database, in order."""
        lines = [line for line in self.rendered(dialect).splitlines() if not line.lstrip().startswith("--")]
        return [each.strip().removesuffix(";") for each in _split("\n".join(lines)) if each.strip(" \n;")]


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


@cache
def known_migrations() -> tuple[Migration, ...]:
    """Return the migrations of this release, in order."""
    folder = resources.files("tidings.storage") / "migrations"
    found = []
    for file in folder.iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            found.append(Migration(int(number), name, file.read_text()))
    return tuple(sorted(found, key=lambda migration: migration.version))


# -----------------------------------------------------------------------------------------------------------------
# Running them


async def migrate(
    db: Database, migrations: Sequence[Migration] | None = None, tuning: MigrationTuning = MigrationTuning()
) -> list[Migration]:
    """Bring the schema to this release; return the migrations that ran. Nodes may call this concurrently.

    Raises `SchemaError` if the database belongs to another program or release, or if its locks are not free in time.
    """
    known = known_migrations() if migrations is None else tuple(migrations)
    if isinstance(db, PostgresDatabase):
        await retried(db.create_schema)
    return [each for each in known if await _run_when_free(db, each, known, tuning)]


async def _run_when_free(
    db: Database, migration: Migration, known: Sequence[Migration], tuning: MigrationTuning
) -> bool:
    """Run a migration unless it has run, and retry it while another transaction holds its locks."""
    pause = tuning.pause_seconds
    for _ in range(tuning.attempts - 1):
        try:
            return await _run_once(db, migration, known, tuning)
        except Busy:
            await asyncio.sleep(pause)
            pause = min(2 * pause, tuning.longest_pause_seconds)
    try:
        return await _run_once(db, migration, known, tuning)
    except Busy as error:
        raise SchemaError(
            f"migration {migration.title} found its tables locked in {tuning.attempts} attempts ({error}); end the long"
            " transaction or the other migration, and run `tidings migrate` again"
        ) from error


async def _run_once(db: Database, migration: Migration, known: Sequence[Migration], tuning: MigrationTuning) -> bool:
    async with db.write(advisory_lock=_LOCK, lock_ms=tuning.lock_ms) as tx:
        if db.dialect is Dialect.POSTGRESQL:
            await tx.run("SET LOCAL statement_timeout = 0")  # an index on a new table has no limit like a request
        done = await _applied(tx)
        _require_compatible(done, known)
        if migration.version in done:
            return False
        if not done:
            await _require_unoccupied(tx, known)
            await tx.run(_CREATE_TABLE)
        try:
            if migration.is_outside and isinstance(db, PostgresDatabase):
                await _run_outside(tx, db, migration, tuning)
            else:
                await _run_inside(tx, migration)
        except (asyncpg.PostgresError, sqlite3.Error) as error:
            raise SchemaError(f"migration {migration.title} cannot run: {error}; {_SEPARATE[tx.dialect]}") from error
        await tx.run(
            _ADD,
            version=migration.version,
            name=migration.name,
            checksum=migration.checksum,
            oldest_release=migration.oldest_release,
        )
    return True


async def _run_inside(tx: Write, migration: Migration) -> None:
    for statement in migration.statements(tx.dialect):
        while await tx.run(statement) and migration.is_outside and statement.startswith(_REPEATED):
            pass


async def _run_outside(guard: _Guard, db: PostgresDatabase, migration: Migration, tuning: MigrationTuning) -> None:
    """Run statements that each commit on their own, while `guard` holds the migration lock."""
    # It holds the lock however long that takes. The statement also ends the last query of its connection, whose
    # snapshot would make the build of an index wait for this transaction.
    await guard.run("SET LOCAL idle_in_transaction_session_timeout = 0")
    for statement in migration.statements(Dialect.POSTGRESQL):
        if statement.startswith(_INDEX):
            await build_index(db, statement, lock_ms=tuning.lock_ms)
            continue
        changed = 1
        while changed:
            began = time.monotonic()
            async with db.write(lock_ms=tuning.lock_ms, background=True) as tx:
                changed = (
                    await tx.run(statement) if statement.startswith(_REPEATED) else await _run_plain(tx, statement)
                )
            await asyncio.sleep(time.monotonic() - began)  # half of the time is for the service


async def _run_plain(tx: Write, statement: str) -> int:
    await tx.run(statement)
    return 0


# -----------------------------------------------------------------------------------------------------------------
# Whether the schema and this release fit


@dataclass(frozen=True, slots=True)
class _Applied:
    """A migration that ran."""

    name: str
    checksum: str
    oldest_release: str


async def is_empty(db: Database) -> bool:
    """Return whether no migration has run."""
    async with db.read() as read:
        return not await _applied(read)


async def pending(db: Database) -> list[str]:
    """Return the names of the migrations that have not run; raise `SchemaError` if the database does not fit."""
    async with db.read() as read:
        done = await _applied(read)
    _require_compatible(done, known_migrations())
    return [each.title for each in known_migrations() if each.version not in done]


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """How the schema of a database differs from that of a release."""

    is_empty: bool
    """Whether no migration has run."""
    pending: tuple[str, ...]
    """The titles of the migrations that have not run."""
    newest: int
    """The number of the last migration that ran, 0 without one."""
    fault: str | None
    """Why the release cannot use the database."""


async def schema_difference(read: Read, known: Sequence[Migration]) -> SchemaDifference:
    """Compare the schema of a database with the migrations of a release."""
    try:
        done = await _applied(read)
        _require_compatible(done, known)
    except SchemaError as error:
        return SchemaDifference(is_empty=False, pending=(), newest=0, fault=str(error))
    missing = tuple(each.title for each in known if each.version not in done)
    return SchemaDifference(not done, missing, max(done, default=0), None)


async def require_current(db: Database) -> None:
    """Raise `SchemaError` unless this release may run on the schema, and all of its migrations have run."""
    missing = await pending(db)
    if missing:
        raise SchemaError(
            f"the database lacks migrations of this release ({', '.join(missing)}); run `tidings migrate` with the"
            " settings of the service, then start it again"
        )


async def _applied(read: Read) -> dict[int, _Applied]:
    """Return the migrations that ran, by version; empty if the table does not exist."""
    columns = {row["name"] for row in await read.rows(_TABLE_COLUMNS)}
    if not columns:
        return {}
    if not columns >= {"version", "name", "checksum"}:
        raise SchemaError(f"the table schema_migration belongs to another program; {_SEPARATE[read.dialect]}")
    if "oldest_release" not in columns:
        raise SchemaError(_EARLIER_BUILD)
    rows = await read.rows("SELECT version, name, checksum, oldest_release FROM schema_migration")
    return {int(version): _Applied(name, checksum, oldest) for version, name, checksum, oldest in rows}


async def _require_unoccupied(tx: Read, known: Sequence[Migration]) -> None:
    """Raise `SchemaError` if a PostgreSQL schema has tables with our names, or a SQLite file has any table."""
    existing = {str(row["name"]) for row in await tx.rows(_RELATIONS)}
    ours = {name for migration in known for name in _NAMES.findall(migration.text)}
    taken = sorted(existing & ours if tx.dialect is Dialect.POSTGRESQL else existing)
    if taken:
        shown = ", ".join(taken[:_MAX_SHOWN]) + (", …" if len(taken) > _MAX_SHOWN else "")
        raise SchemaError(f"the database already holds tables of another program ({shown}); {_SEPARATE[tx.dialect]}")


def _require_compatible(done: Mapping[int, _Applied], known: Sequence[Migration]) -> None:
    ours = {migration.version: migration for migration in known}
    needed = [each.oldest_release for version, each in done.items() if version not in ours]
    oldest = max(needed, key=_release, default=__version__)
    if _release(oldest) > _release(__version__):
        raise SchemaError(
            f"a newer release migrated this database, and needs tidings {oldest} or later; this is {__version__}:"
            " install the newer release, or restore a backup from before the migration"
        )
    for version, applied in done.items():
        if version in ours and ours[version].checksum != applied.checksum:
            raise SchemaError(_EARLIER_BUILD if version == 1 else _OTHER_BUILD.format(ours[version].title))


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers of a release, for comparison; a suffix (`.dev1`) does not count."""
    return tuple(int(each) for each in re.findall(r"\d+", text)[:3])
