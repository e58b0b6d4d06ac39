# SPDX-License-Identifier: MIT
"""The one way to either database: `async with db.write() as tx`, statements with `:named` parameters.

Theory. A statement is one text where both databases read it, and a pair `Sql(sqlite=…, postgresql=…)` where they
cannot. Values are text, integers, bytes and None on both: timestamps are milliseconds, JSON is text, truth is 0 or 1.

A write transaction has one owner. On SQLite there is a single writer connection under a lock, foreground writes
first; from BEGIN until COMMIT has returned nothing else touches it, and the owner awaits nothing but the database.
On PostgreSQL each owner has a connection of its own. What must follow a commit and never precede it (handing work to
memory, waking a runner) is given to `after_commit`.

Errors are mapped at this seam, so that no caller knows a driver: `Unavailable` (for now),
`OutcomeUnknown` (the answer to COMMIT was lost: it may or may not have happened), `Busy` (deadlock, lock or statement
timeout: the transaction is rolled back and may be tried again) and `Duplicate` (a unique index refused).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from tidings.errors import ExternalError, Outage

Value = str | int | float | bytes | None
Result = TypeVar("Result")


class Dialect(Enum):
    """Which database speaks."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class Sql:
    """One statement in two texts, where one text cannot serve both databases."""

    sqlite: str
    postgresql: str


Statement = str | Sql


class Row(Protocol):
    """A row, read by position, by column name or by unpacking."""

    def __getitem__(self, key: int | str) -> Any: ...  # noqa: ANN401 - a column has the type its query gives it
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class StorageError(ExternalError):
    """Something between us and the database; see the subclasses."""


class Unavailable(StorageError, Outage):
    """The database cannot be reached, or refuses to work for now."""


class OutcomeUnknown(Unavailable):
    """The connection was lost while COMMIT was in progress."""


class Busy(StorageError):
    """Deadlock, lock timeout or statement timeout: rolled back, and worth another try."""


class Duplicate(StorageError):
    """A unique index refused a row. Nothing of the transaction remains."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and those of its columns that new rows fill."""

    name: str
    columns: tuple[str, ...]


class Read(Protocol):
    """Statements that change nothing, on one consistent connection."""

    dialect: Dialect

    async def rows(self, sql: Statement, **values: Value | Sequence[Value]) -> list[Row]:
        """Return every row. A list is a PostgreSQL array; SQLite takes it as JSON text, for `json_each`."""
        ...

    async def row(self, sql: Statement, **values: Value | Sequence[Value]) -> Row | None:
        """Return the first row, or None."""
        ...

    async def one(self, sql: Statement, **values: Value | Sequence[Value]) -> Row:
        """Return the first row of a query that always has one."""
        ...


class Write(Read, Protocol):
    """An open write transaction."""

    @property
    def generation(self) -> int:
        """The connection generation: it grows whenever the database may have lost its last commits."""
        ...

    async def run(self, sql: Statement, **values: Value | Sequence[Value]) -> int:
        """Run one statement; return how many rows it wrote."""
        ...

    async def bulk(self, sql: Sql, rows: Sequence[Sequence[Value]]) -> int:
        """Run one statement for many rows; return how many were written in all.

        The SQLite text has a `?` per column and is run once a row; the PostgreSQL text takes each column as an
        array (`$1`, `$2`, …) and is run once.
        """
        ...

    async def add(self, table: Table, rows: Sequence[Sequence[Value]]) -> None:
        """Add many rows by the quickest way there is. `Duplicate` for a row that is there already."""
        ...

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have something called once COMMIT has returned; never if it fails or its outcome is unknown."""
        ...


class Database(Protocol):
    """A database that is open."""

    dialect: Dialect

    @property
    def has_foreground_writes(self) -> bool:
        """Whether background work should leave room: there was a foreground write within the last second."""
        ...

    def read(self) -> AbstractAsyncContextManager[Read]:
        """Open a short read; on SQLite it sees one snapshot, on PostgreSQL each statement sees its own."""
        ...

    def write(
        self, *, advisory_lock: int | None = None, lock_ms: int = 1_000, background: bool = False, synced: bool = True
    ) -> AbstractAsyncContextManager[Write]:
        """Open a write transaction: committed at the end of the block, rolled back by any exception.

        `advisory_lock` numbers a lock that is held until the transaction ends, so that decisions under it are made
        one at a time in the whole cluster; on SQLite every write is alone anyway. `lock_ms` is how long a statement
        waits for a row that another transaction holds. `background` means that no caller waits for this write: on
        SQLite foreground writes go before it. Without `synced` a crash of the machine may lose a commit of the last
        second, which no end of this process can: for work that is then repeated. PostgreSQL, whose processes can
        crash by themselves, always waits for the disk.
        """
        ...

    async def close(self) -> None:
        """Finish what is in progress and let go."""
        ...


_NAME: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@lru_cache(maxsize=1024)
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """Turn `:name` into `$1` form; return the text and the names in order of their numbers."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        name = match[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _NAME.sub(number, sql), tuple(names)


RETRIES: Final = 5


async def retried(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do a whole unit of work again while it ends in `Busy`; never wrap a part of a transaction in this."""
    for turn in range(RETRIES):
        try:
            return await work()
        except Busy:
            if turn == RETRIES - 1:
                raise
            await asyncio.sleep(0.01 * 2**turn)
    raise AssertionError
