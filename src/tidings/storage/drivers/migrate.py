# SPDX-License-Identifier: MIT
"""Numbered migrations. Each runs once, in one transaction under a lock, and is recorded with its checksum.

One file serves both databases. `{text}` is the type of a text column that sorts bytewise, `{bytes}` the type of raw
bytes. A line that starts with `--sqlite:` or `--postgresql:` applies to that database only.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Final

import asyncpg

from tidings.storage.drivers.database import Database, Dialect, Read, Sql, StorageError, Write

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


def known() -> list[Migration]:
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
        for migration in known():
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
    missing = [migration.name for migration in known() if migration.version not in done]
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
    ours = {name for migration in known() for name in _NAMES.findall(migration.text)}
    taken = sorted(existing & ours if tx.dialect is Dialect.POSTGRESQL else existing)
    if taken:
        shown = ", ".join(taken[:_MAX_SHOWN]) + (", …" if len(taken) > _MAX_SHOWN else "")
        raise SchemaError(f"the database already holds tables of another program ({shown}); {_USE_OWN_DATABASE}")


def _require_compatible(done: dict[int, str]) -> None:
    ours = {migration.version: migration for migration in known()}
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
