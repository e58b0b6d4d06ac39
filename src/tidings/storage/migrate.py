# SPDX-License-Identifier: MIT
"""Numbered migrations: each runs once, whole, under a lock, and is remembered with its checksum.

One file serves both databases. `{text}` stands for a text column that sorts bytewise and `{bytes}` for raw bytes; a
line that starts with `--sqlite:` or `--postgresql:` counts for that database only.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Final

from tidings.storage.database import Database, Dialect, Read, StorageError

_GATE: Final = 7_251_001
_WORDS: Final = {
    Dialect.SQLITE: {"{text}": "TEXT", "{bytes}": "BLOB"},
    Dialect.POSTGRESQL: {"{text}": 'TEXT COLLATE "C"', "{bytes}": "BYTEA"},
}
_LEDGER: Final = (
    "CREATE TABLE IF NOT EXISTS schema_migration"
    " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)"
)


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
    async with db.write(gate=_GATE) as tx:
        if db.dialect is Dialect.POSTGRESQL:
            await tx.run("SET LOCAL statement_timeout = 0")  # an index on a big table may take its time
        await tx.run(_LEDGER)
        done = await _applied(tx)
        _refuse_misfits(done)
        for migration in known():
            if migration.version in done:
                continue
            for statement in migration.statements(db.dialect):
                await tx.run(statement)
            await tx.run(
                "INSERT INTO schema_migration (version, name, checksum) VALUES (:version, :name, :checksum)",
                version=migration.version,
                name=migration.name,
                checksum=migration.checksum,
            )
            ran.append(migration)
    return ran


async def require_current(db: Database) -> None:
    """Raise `SchemaError` unless the schema is exactly the one that this release knows."""
    async with db.write(gate=_GATE) as tx:
        await tx.run(_LEDGER)
        done = await _applied(tx)
    _refuse_misfits(done)
    missing = [migration.name for migration in known() if migration.version not in done]
    if missing:
        message = f"the schema is older than this release (missing: {', '.join(missing)}); run `tidings migrate`"
        raise SchemaError(message)


async def _applied(read: Read) -> dict[int, str]:
    rows = await read.rows("SELECT version, checksum FROM schema_migration")
    return {row["version"]: row["checksum"] for row in rows}


def _refuse_misfits(done: dict[int, str]) -> None:
    ours = {migration.version: migration for migration in known()}
    newer = sorted(set(done) - set(ours))
    if newer:
        message = f"the schema is newer than this release (migration {newer[-1]}); install the release that made it"
        raise SchemaError(message)
    for version, checksum in done.items():
        if ours[version].checksum != checksum:
            message = f"migration {version} was edited after it ran; restore its file, then run `tidings migrate`"
            raise SchemaError(message)
