# SPDX-License-Identifier: MIT
"""The interface to both databases: `async with db.write() as tx`, and statements with `:named` parameters.

A statement is one text, in which `dialect` replaces what differs. It is a pair `Sql(sqlite=…, postgresql=…)` only if
the two databases need different queries. Values are text, integers, floats, bytes and None on both: timestamps are
milliseconds, JSON is text, booleans are 0 or 1.

A write transaction has one owner. SQLite has a single writer connection under a lock, which foreground writes get
first. From BEGIN until COMMIT has returned, only the owner uses that connection, and it awaits nothing but the
database. On PostgreSQL each owner has its own connection. Work that must follow a commit (enqueuing deliveries in
memory, waking a runner) belongs in `after_commit`.

This interface maps the errors of the drivers, so callers see only these:

- `Unavailable`: the database is temporarily unavailable.
- `OutcomeUnknown`: the connection was lost during COMMIT, so the transaction may or may not be committed.
- `Busy`: a deadlock, a lock timeout or a statement timeout. The transaction is rolled back and may be retried.
- `Duplicate`: a unique index refused a row.
- `Declined`: a batch in one statement was not plain. Nothing is written; a transaction can write it.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from functools import cache
from typing import Any, Final, Protocol, TypeVar, cast, get_type_hints

from tidings.errors import ExternalError, Outage

Value = str | int | float | bytes | None
Result = TypeVar("Result")


class Dialect(Enum):
    """The SQL dialect of a database."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class Sql:
    """A statement that is a different query on each database. The reason is beside it."""

    sqlite: str
    postgresql: str

    def format(self, **parts: "str | int | Sql") -> "Sql":
        """Fill the `{parts}` of both texts. A part that is a pair fills each text with its own."""
        sqlite = {name: part.sqlite if isinstance(part, Sql) else part for name, part in parts.items()}
        postgresql = {name: part.postgresql if isinstance(part, Sql) else part for name, part in parts.items()}
        return Sql(self.sqlite.format(**sqlite), self.postgresql.format(**postgresql))


Statement = str | Sql


def composed(text: Statement, **parts: str | int | Sql) -> Sql:
    """Fill the `{parts}` of a statement, of which some are pairs."""
    return (text if isinstance(text, Sql) else Sql(text, text)).format(**parts)


# -----------------------------------------------------------------------------------------------------------------
# Thresholds: a database gets them when it is opened, and statements read them from it.


@dataclass(frozen=True, slots=True)
class ListTuning:
    """The thresholds of the filtered lists: how much one statement reads.

    A value is rare if one statement can read all of it: then the query looks up its rows one by one. Otherwise it reads
    bucket after bucket, in the order of the list, until the page is full.
    """

    entries: int = 128
    """The bucket-index entries that the first statement reads per value: of frequent values they have the whole page.
    Further statements read 4 and 16 times as many. A value with fewer than 4 times as many is rare."""
    buckets: int = 16
    """The buckets of the first batch. Of frequent values a few have the whole page; each further batch is four times as
    large."""
    rare_messages: int = 300
    """The messages whose attempts are looked up one by one: about two milliseconds."""
    candidates: int = 2_000
    """The attempts or deliveries of an endpoint that are read to find messages: about two milliseconds. An endpoint
    with more of them gets most messages of the application, so the query reads those."""
    undelivered: int = 2_000
    """The deliveries that are read for a page of undelivered messages, of which some may not match."""


@dataclass(frozen=True, slots=True)
class StorageTuning:
    """The thresholds of both drivers, and those of the lists."""

    wal_checkpoint_frames: int = 8_000
    """The number of WAL frames at which a checkpoint starts."""
    wal_restart_frames: int = 16_000
    """The number of WAL frames at which the WAL is restarted. Writers wait briefly for a restart."""
    wal_sync_seconds: float = 0.5
    """How long a commit with `synced=False` may stay unsynced."""
    busy_ms: int = 5_000
    """How long a statement on SQLite waits while another process locks the file."""
    lists: ListTuning = field(default_factory=ListTuning)


# -----------------------------------------------------------------------------------------------------------------
# Rows, and the columns of dataclasses


class Row(Protocol):
    """A result row. Columns are read by position, by name or by unpacking."""

    def __getitem__(self, key: int | str) -> Any: ...  # noqa: ANN401 - a column has the type its query gives it
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


@cache
def _columns_of(kind: type) -> tuple[tuple[str, bool], ...]:
    """Return the fields of a dataclass without a default, each with whether it is a flag, stored as 0 or 1."""
    hints = get_type_hints(kind)
    return tuple(
        (each.name, hints[each.name] is bool)
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    )


def from_row(kind: Callable[..., Result], row: Row, /, **others: object) -> Result:
    """Build a dataclass from the columns that have the names of its fields; `others` are the fields that differ.

    Fields with a default keep it unless `others` has them.
    """
    columns = _columns_of(cast("type", kind))
    found = {name: bool(row[name]) if is_flag else row[name] for name, is_flag in columns if name not in others}
    return kind(**found, **others)


def to_values(stored: object, **others: Value) -> dict[str, Value]:
    """Return the fields of a dataclass without a default as the parameters of its columns; `others` replace some."""
    columns = _columns_of(cast("type", type(stored)))
    found = {name: int(getattr(stored, name)) if is_flag else getattr(stored, name) for name, is_flag in columns}
    return found | others


def names_of(text: str | None) -> tuple[str, ...] | None:
    """Return the names in a stored JSON array; None if the column is NULL."""
    return None if text is None else tuple(json.loads(text))


def names_text(names: Sequence[str] | None) -> str | None:
    """Return names as a stored JSON array; NULL for None."""
    return None if names is None else json.dumps(names)


def named(columns: str) -> str:
    """Return the parameters of columns: `:a, :b` for `a, b`."""
    return ", ".join(f":{column}" for column in columns.split(", "))


def assigned(columns: str) -> str:
    """Return a SET clause: `a = :a, b = :b` for `a, b`."""
    return ", ".join(f"{column} = :{column}" for column in columns.split(", "))


# -----------------------------------------------------------------------------------------------------------------
# The interface, and its errors


class StorageError(ExternalError):
    """An error of the database or of the connection to it; see the subclasses."""


class Unavailable(StorageError, Outage):
    """The database is unreachable, or temporarily refuses to work."""


class OutcomeUnknown(Unavailable):
    """The connection was lost during COMMIT, so the transaction may or may not be committed."""


class Busy(StorageError):
    """A deadlock, a lock timeout or a statement timeout. The transaction is rolled back; a retry may succeed."""


class Declined(StorageError):
    """A statement found that its batch is not plain, and wrote nothing: a transaction has to decide it."""


class SchemaError(StorageError):
    """The schema of the database does not match this release or its settings; the message says what to do."""


class Duplicate(StorageError):
    """A unique index refused a row. The transaction is rolled back."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and the columns that an insert sets."""

    name: str
    columns: tuple[str, ...]


class Read(Protocol):
    """A connection for statements that only read."""

    dialect: Dialect
    has_one_writer: bool
    tuning: StorageTuning

    async def rows(self, sql: Statement, **values: Value | Sequence[Value]) -> list[Row]:
        """Return all rows. A list is passed as an array to PostgreSQL, and as JSON text for `json_each` to SQLite."""
        ...

    async def row(self, sql: Statement, **values: Value | Sequence[Value]) -> Row | None:
        """Return the first row, or None."""
        ...

    async def one(self, sql: Statement, **values: Value | Sequence[Value]) -> Row:
        """Return the first row of a query that always has one."""
        ...


class OneStatement(Protocol):
    """A connection for one statement that is its own transaction: one round trip, whatever it writes."""

    @property
    def generation(self) -> int:
        """The connection generation; see `Write`."""
        ...

    async def call(self, sql: str, *values: object) -> None:
        """Run the statement. A lost connection is always `OutcomeUnknown`: there is no COMMIT to wait for."""
        ...


class Write(Read, Protocol):
    """An open write transaction."""

    @property
    def generation(self) -> int:
        """The connection generation. It increases whenever the database may have lost its latest commits."""
        ...

    async def run(self, sql: Statement, **values: Value | Sequence[Value]) -> int:
        """Run a statement and return the number of rows that it wrote."""
        ...

    async def bulk(self, sql: Statement, rows: Sequence[Sequence[Value]]) -> int:
        """Run a statement for many rows and return the total number of rows that it wrote.

        The text names the rows as `given(…)`; see `dialect`. On SQLite it runs once per row. On PostgreSQL it runs
        once, and takes each column as an array.
        """
        ...

    async def add(self, table: Table, rows: Sequence[Sequence[Value]]) -> None:
        """Insert many rows by the fastest method of the driver; raise `Duplicate` if a row exists."""
        ...

    async def lock(self, number: int) -> None:
        """Hold an advisory lock until the transaction ends; see `Database.write`."""
        ...

    def after_commit(self, call: Callable[[], None]) -> None:
        """Register a call for the time after COMMIT. It is skipped if COMMIT fails or its outcome is unknown."""
        ...


class Database(Protocol):
    """An open database.

    `has_one_writer` says that one process makes all writes, one transaction at a time. So ids become visible in their
    order, the clock of this process is the only one, and no other node exists.
    """

    dialect: Dialect
    has_one_writer: bool
    tuning: StorageTuning

    @property
    def keeps_sessions(self) -> bool:
        """Whether each connection stays on one session of the database. False behind a pooler such as PgBouncer."""
        ...

    @property
    def has_foreground_writes(self) -> bool:
        """Whether there was a foreground write within the last second, so that background work should yield."""
        ...

    def read(self) -> AbstractAsyncContextManager[Read]:
        """Open a short read. On SQLite it sees one snapshot; on PostgreSQL each statement sees its own."""
        ...

    def write(
        self, *, advisory_lock: int | None = None, lock_ms: int = 1_000, background: bool = False, synced: bool = True
    ) -> AbstractAsyncContextManager[Write]:
        """Open a write transaction: it commits at the end of the block, and any exception rolls it back.

        `advisory_lock` is the number of a lock that the transaction holds until it ends. It serializes decisions
        across all nodes on a schema; SQLite serializes all writes anyway. `lock_ms` limits how long a statement waits
        for a row that another transaction has locked. `background` marks a write that no caller waits for: on SQLite,
        foreground writes go first.

        Without `synced`, a crash of the machine may lose commits of the last second; a crash of this process cannot.
        Use that for work that is then repeated. PostgreSQL always waits for the disk, because its processes can
        crash independently of this one.
        """
        ...

    def require_intact(self) -> None:
        """Raise `Unavailable` if the database file was replaced or overwritten. A server is not checked."""
        ...

    def wrote_within(self, seconds: float) -> bool:
        """Return whether this process has committed a change to its file within the last `seconds`.

        False for a server: another one may have taken over since.
        """
        ...

    async def give_way(self, seconds: float) -> None:
        """Wait until no foreground write is open, at most this many seconds: for background work before its write.

        On SQLite it returns immediately, because the writer lock has that effect.
        """
        ...

    async def close(self) -> None:
        """Finish the transactions in progress and close all connections."""
        ...


RETRIES: Final = 5


async def retried(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run a whole unit of work, and retry it while it raises `Busy`. Never wrap a part of a transaction in this."""
    for attempt in range(RETRIES):
        try:
            return await work()
        except Busy:
            if attempt == RETRIES - 1:
                raise
            await asyncio.sleep(0.01 * 2**attempt)
    raise AssertionError


_RECENT_SECONDS: Final = 1.0


def _resolve(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


class ForegroundActivity:
    """The foreground writes of this process: those that are open, and the time of the last one."""

    __slots__ = ("_at", "_open", "_waiting")

    def __init__(self) -> None:
        self._at = float("-inf")
        self._open = 0
        self._waiting: list[asyncio.Future[None]] = []

    def note(self) -> None:
        """Record a foreground write."""
        self._at = time.monotonic()

    @contextmanager
    def write(self, *, background: bool) -> Iterator[None]:
        """Count a foreground write as open for the duration of a block; do nothing for a background write."""
        if background:
            yield
            return
        self.note()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open and self._waiting:
                self._wake()

    async def pause(self, seconds: float) -> None:
        """Wait until no foreground write is open, at most this many seconds.

        A writer that begins its next write as soon as one has ended counts as if it had not stopped.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._open and loop.time() < until:
            waiting = loop.create_future()
            self._waiting.append(waiting)
            timer = loop.call_at(until, _resolve, waiting)
            try:
                await waiting
            finally:
                timer.cancel()
                with suppress(ValueError):  # woken by the end of a write
                    self._waiting.remove(waiting)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            _resolve(each)

    @property
    def is_recent(self) -> bool:
        """Whether the last foreground write was within the last second."""
        return time.monotonic() - self._at < _RECENT_SECONDS
