# SPDX-License-Identifier: MIT
"""Triggers that record every committed effect and chunk, and the audit of these records.

They record the statements of any process and depend on no part of the engine. Their tables have no unique columns: a
doubled effect has two rows. Rolled-back effects have none.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.kit import rows
from tidings.model.task import Task
from tidings.storage.drivers.database import Database, Dialect, Sql

_TABLES = (
    "CREATE TABLE audit_effect (what TEXT NOT NULL, owner TEXT NOT NULL, item TEXT NOT NULL)",
    Sql(
        sqlite="CREATE TABLE audit_chunk (seq INTEGER PRIMARY KEY, task_id TEXT NOT NULL, at_epoch BIGINT NOT NULL,"
        " from_place TEXT, to_place TEXT, before BIGINT NOT NULL, after BIGINT NOT NULL, worker TEXT)",
        postgresql="CREATE TABLE audit_chunk (seq BIGSERIAL PRIMARY KEY, task_id TEXT NOT NULL,"
        " at_epoch BIGINT NOT NULL, from_place TEXT, to_place TEXT, before BIGINT NOT NULL, after BIGINT NOT NULL,"
        " worker TEXT)",
    ),
)
_SENT = "('sent', NEW.task_id, NEW.msg_id)"
_HEARD = "('heard', NEW.task_id, NEW.app_id)"
# Name, event, table, condition, target table, values.
_TRIGGERS = (
    ("sent", "INSERT", "delivery", "NEW.task_id IS NOT NULL", "audit_effect", f"{_SENT}, {_HEARD}"),
    ("sent_again", "UPDATE", "delivery", "NEW.task_id IS NOT NULL", "audit_effect", f"{_SENT}, {_HEARD}"),
    (
        "purged",
        "UPDATE",
        "message",
        "OLD.payload IS NOT NULL AND NEW.payload IS NULL",
        "audit_effect",
        "('purged', NEW.app_id, NEW.id)",
    ),
    ("reported", "INSERT", "task_item", "NEW.outcome <> ''", "audit_effect", "(NEW.outcome, NEW.task_id, NEW.key)"),
    ("made", "INSERT", "export", "NEW.part > 0", "audit_effect", "('part', NEW.id, CAST(NEW.part AS TEXT))"),
    (
        "chunk",
        "UPDATE",
        "task",
        "NEW.chunks <> OLD.chunks",
        "audit_chunk (task_id, at_epoch, from_place, to_place, before, after, worker)",
        "(NEW.id, NEW.epoch, OLD.cursor, NEW.cursor, OLD.chunks, NEW.chunks, NEW.worker)",
    ),
)


async def install(db: Database) -> None:
    """Install the triggers."""
    async with db.write() as tx:
        for table in _TABLES:
            await tx.run(table)
        for name, event, table, condition, into, values in _TRIGGERS:
            insert = f"INSERT INTO {into} VALUES {values};"
            head = f"CREATE TRIGGER audit_{name} AFTER {event} ON {table} FOR EACH ROW WHEN"
            if db.dialect is Dialect.SQLITE:
                await tx.run(f"{head} {condition} BEGIN {insert} END")
                continue
            body = f"BEGIN {insert} RETURN NULL; END"
            await tx.run(f"CREATE FUNCTION audit_{name}() RETURNS trigger LANGUAGE plpgsql AS '{_quoted(body)}'")
            await tx.run(f"{head} ({condition}) EXECUTE FUNCTION audit_{name}()")


def _quoted(text: str) -> str:
    return text.replace("'", "''")


async def effects(db: Database, what: str, owner: str) -> list[str]:
    """Return the item of each effect, repeated if the effect is."""
    sql = "SELECT item FROM audit_effect WHERE what = :what AND owner = :owner ORDER BY item"
    return [item for (item,) in await rows(db, sql, what=what, owner=owner)]


async def broken_links(db: Database, task: Task) -> list[str]:
    """I2: the chunks of a task are a chain from place to place, and epochs never fall."""
    sql = "SELECT at_epoch, from_place, to_place, before, after FROM audit_chunk WHERE task_id = :id ORDER BY seq"
    found: list[str] = []
    place: str | None = None
    number = epoch = 0
    for at_epoch, first, last, before, after in await rows(db, sql, id=task.id):
        if number and first != place:
            found.append(f"chunk {after} begins at {first}, not at {place}")
        if (before, after) != (number, number + 1):
            found.append(f"chunk {after} follows chunk {number}")
        if at_epoch < epoch:
            found.append(f"epoch {at_epoch} after {epoch}")
        place, number, epoch = last, after, at_epoch
    if (place, number) != (task.cursor, task.chunks):
        found.append(f"the last chunk was {number}, the task reports {task.chunks}")
    return found


@dataclass
class Audit:
    """The audit of the items of tasks."""

    chunks: int = 0
    items: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)
    """Faults other than lost and doubled items."""

    def add(self, task: Task, wanted: Sequence[str], got: Sequence[str], reported: int) -> None:
        """Add a task: its expected items, its effects, and the counts that clients read."""
        missing, repeated = set(wanted) - set(got), sum(count - 1 for count in Counter(got).values())
        self.chunks += task.chunks
        self.items += len(wanted)
        self.lost += max(len(missing), len(wanted) - reported)
        self.doubled += max(repeated, reported - len(wanted))
        if strange := set(got) - set(wanted):
            self.wrong.append(f"{task.id} did {len(strange)} unexpected items: {sorted(strange)[:3]}")
