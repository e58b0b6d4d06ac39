# SPDX-License-Identifier: MIT
"""Numbered migrations: each runs once, whole, under a lock, and is remembered with its checksum.

One file serves both databases. `{text}` stands for a text column that sorts bytewise and `{bytes}` for raw bytes; a
line that starts with `--sqlite:` or `--postgresql:` counts for that database only.
"""

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from importlib import resources
from typing import Final

import asyncpg

from tidings.storage.database import Database, Dialect, Read, Sql, StorageError, Write

_MIGRATION_LOCK: Final = 7_251_001
_WORDS: Final = {
    Dialect.SQLITE: {"{text}": "TEXT", "{bytes}": "BLOB"},
    Dialect.POSTGRESQL: {"{text}": 'TEXT COLLATE "C"', "{bytes}": "BYTEA"},
}
_LEDGER: Final = (
    "CREATE TABLE IF NOT EXISTS schema_migration"
    " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)"
)


_LEDGER_COLUMNS: Final = Sql(
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
_SHOWN: Final = 5
_ELSEWHERE: Final = "give tidings a database of its own (setting db_dsn)"


class SchemaError(StorageError):
    """The database's schema and this release do not fit; the message names the command that mends it."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """What tells an edited file from the one that was run."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, dialect: Dialect) -> list[str]:
        """Return the statements for one database, in order."""
        lines = []
        for line in self.text.splitlines():
            marker, _, rest = line.partition(":")
            if marker == f"--{dialect.value}":
                lines.append(rest)
            elif not line.lstrip().startswith("--"):
                lines.append(line)
        text = "\n".join(lines)
        for word, meaning in _WORDS[dialect].items():
            text = text.replace(word, meaning)
        return [statement.strip() for statement in text.split(";\n") if statement.strip(" \n;")]


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
    """Bring the schema to this release; return what was run. Any number of nodes may call this at once."""
    ran = []
    async with db.write(advisory_lock=_MIGRATION_LOCK) as tx:
        if db.dialect is Dialect.POSTGRESQL:
            await tx.run("SET LOCAL statement_timeout = 0")  # an index on a big table may take its time
        done = await _applied(tx)
        _refuse_misfits(done)
        if not done:
            await _refuse_others(tx)
            await tx.run(_LEDGER)
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
        raise SchemaError(f"migration {migration.version} cannot run: {error}; {_ELSEWHERE}") from error


async def require_current(db: Database) -> None:
    """Raise `SchemaError` unless the schema is exactly the one that this release knows."""
    async with db.read() as read:
        done = await _applied(read)
    _refuse_misfits(done)
    missing = [migration.name for migration in known() if migration.version not in done]
    if missing:
        message = f"the schema is older than this release (missing: {', '.join(missing)}); run `tidings migrate`"
        raise SchemaError(message)


async def _applied(read: Read) -> dict[int, str]:
    """Return the checksums of the migrations that ran, by number; none where their table is not there."""
    columns = {row["name"] for row in await read.rows(_LEDGER_COLUMNS)}
    if not columns:
        return {}
    if not columns >= {"version", "name", "checksum"}:
        raise SchemaError(f"the table schema_migration belongs to another program; {_ELSEWHERE}")
    rows = await read.rows("SELECT version, checksum FROM schema_migration")
    return {int(row["version"]): row["checksum"] for row in rows}


async def _refuse_others(tx: Read) -> None:
    """Refuse a database in which another program has tables of our names, or a file that is another program's."""
    there = {str(row["name"]) for row in await tx.rows(_RELATIONS)}
    ours = {name for migration in known() for name in _NAMES.findall(migration.text)}
    taken = sorted(there & ours if tx.dialect is Dialect.POSTGRESQL else there)
    if taken:
        shown = ", ".join(taken[:_SHOWN]) + (", …" if len(taken) > _SHOWN else "")
        raise SchemaError(f"the database already holds tables of another program ({shown}); {_ELSEWHERE}")


def _refuse_misfits(done: dict[int, str]) -> None:
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
