# SPDX-License-Identifier: MIT
"""The measured databases: a SQLite file and a private, durable PostgreSQL server."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from bench.interpreters import OWN, Interpreter
from bench.programs import slowed
from postgres import Cluster, find_binaries
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.drivers.server_settings import RECOMMENDED
from tidings.storage.drivers.store import opened

KINDS = ("sqlite", "postgresql")
POSTGRES_SETTINGS = {each.name: each.value for each in RECOMMENDED}
TABLES = ("message", "attempt", "delivery", "idempotency_record")
SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Measured:
    """A fresh database. The service's own storage layer reads it while the service is stopped."""

    kind: str
    dsn: str
    pids: tuple[int, ...]
    environment: dict[str, str] = field(default_factory=dict)
    """The service's environment beside its settings."""
    interpreter: Interpreter = OWN
    """What runs the service."""

    def counts(self) -> dict[str, int]:
        """Return the number of rows in each hot table, and the number of successful attempts (`delivered`)."""
        return self.use(_counts)

    def failures(self) -> list[str]:
        """Return the error texts of failed attempts, the most frequent first."""
        return self.use(_failures)

    def durability(self) -> dict[str, str]:
        """Return the database's durability settings, read on a connection opened as the service opens its own."""
        return self.use(_durability)

    def use(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        """Run a function with the database open."""
        return asyncio.run(_used(self.dsn, work))

    def fill(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        """Run a function that writes rows, and wait until they are on the disk; later, that would delay requests."""
        result = self.use(work)
        self.use(_checkpoint)
        os.sync()
        return result

    def transactions(self) -> int:
        """Return the number of transactions that PostgreSQL has ended in this database, asking in another."""
        dsn, _, name = self.dsn.rpartition("/")
        return asyncio.run(_used(f"{dsn}/postgres", lambda db: _transactions(db, name)))


@contextlib.contextmanager
def fresh(
    kind: str, folder: Path, *, vacuum: bool = True, slow_disk: int = 0, interpreter: Interpreter = OWN
) -> Iterator[Measured]:
    """Create a database, and remove it afterwards.

    Without `vacuum`, autovacuum is off: its transactions would be counted with the service's. `slow_disk` is the extra
    delay of each disk sync in microseconds: in PostgreSQL's processes or, for SQLite, in the service's.
    """
    with slowed(folder, slow_disk) as environment:
        yield from _fresh(kind, folder, environment, interpreter, vacuum=vacuum)


def _fresh(
    kind: str, folder: Path, environment: dict[str, str], interpreter: Interpreter, *, vacuum: bool
) -> Iterator[Measured]:
    if kind == "sqlite":
        path = folder / f"bench-{os.urandom(4).hex()}.db"
        yield Measured(kind, f"sqlite:///{path}", (), environment, interpreter)
        for each in folder.glob(f"{path.name}*"):
            each.unlink()
        return
    binaries = find_binaries()
    if binaries is None:
        raise FileNotFoundError("no PostgreSQL server was found; install one (apt-get install postgresql)")
    cluster = Cluster(binaries, {**POSTGRES_SETTINGS, "autovacuum": "on" if vacuum else "off"})
    with _with(environment), cluster:  # its processes inherit this one's environment
        dsn = cluster.dsn(cluster.create_database())
        postmaster = int((cluster.folder / "data/postmaster.pid").read_text().splitlines()[0])
        yield Measured(kind, dsn, (psutil.Process(postmaster).pid,), interpreter=interpreter)


@contextlib.contextmanager
def _with(environment: dict[str, str]) -> Iterator[None]:
    """Set environment variables of this process for the length of a block."""
    os.environ.update(environment)
    try:
        yield
    finally:
        for name in environment:
            del os.environ[name]


async def _used(dsn: str, work: Callable[[Database], Awaitable[Result]]) -> Result:
    db = await opened(dsn, connections=2)
    try:
        return await work(db)
    finally:
        await db.close()


async def _counts(db: Database) -> dict[str, int]:
    async with db.read() as read:
        found = {table: int((await read.one(f"SELECT count(*) AS n FROM {table}"))["n"]) for table in TABLES}  # noqa: S608
        delivered = await read.one("SELECT count(*) AS n FROM attempt WHERE status = 0")
    return {**found, "delivered": int(delivered["n"])}


async def _failures(db: Database) -> list[str]:
    async with db.read() as read:
        rows = await read.rows(
            "SELECT url, response_status_code, response, count(*) AS n FROM attempt WHERE status <> 0"
            " GROUP BY url, response_status_code, response ORDER BY n DESC LIMIT 20"
        )
    return [f"{row['n']} times {row['response_status_code']} {row['response'][:100]!r} of {row['url']}" for row in rows]


async def _checkpoint(db: Database) -> None:
    """Write all changed pages; SQLite has done so when its last connection was closed."""
    if db.dialect is Dialect.POSTGRESQL:
        async with db.write() as tx:
            await tx.run("CHECKPOINT")


async def _durability(db: Database) -> dict[str, str]:
    async with db.write() as tx:
        if db.dialect is Dialect.SQLITE:
            mode = str((await tx.one("PRAGMA journal_mode"))[0])
            return {"synchronous": SYNCHRONOUS[(await tx.one("PRAGMA synchronous"))[0]], "journal_mode": mode}
        names = ("fsync", "synchronous_commit", "full_page_writes", "server_version")
        return {name: str((await tx.one(f"SHOW {name}"))[0]) for name in names}


async def _transactions(db: Database, name: str) -> int:
    async with db.read() as read:
        row = await read.one(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = :name", name=name
        )
        return int(row[0])
