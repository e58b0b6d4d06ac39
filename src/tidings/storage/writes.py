# SPDX-License-Identifier: MIT
"""Which writes are open on PostgreSQL, as far as they matter to whoever follows a list."""

from dataclasses import dataclass
from typing import Final

from tidings.storage.database import Read

# A role sees when its own sessions began a transaction. A single statement is a transaction, too: one that only reads
# holds nothing up for longer than it runs.
_OPEN: Final = """
SELECT CAST(ceil(max(extract(epoch FROM clock_timestamp() - xact_start)) * 1000) AS BIGINT) AS age,
  (SELECT count(*) > 1 FROM node) AS has_others
FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Open:
    """How long the oldest open transaction lasts, in milliseconds, and whether other processes write, too."""

    age: int | None
    has_others: bool


async def open_now(read: Read) -> Open:
    """Look at the sessions of this database; a transaction that is not among them has ended, or begins later."""
    row = await read.one(_OPEN)
    return Open(row["age"], bool(row["has_others"]))
