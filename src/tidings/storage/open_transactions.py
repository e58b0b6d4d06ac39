# SPDX-License-Identifier: MIT
"""The open transactions on PostgreSQL, for a list that a caller follows."""

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
class OpenTransactions:
    """How long the oldest open transaction lasts, in milliseconds, and whether other processes write, too."""

    age: int | None
    has_others: bool


async def current(read: Read) -> OpenTransactions:
    """Look at the sessions of this database; a transaction that is not among them has ended, or begins later."""
    row = await read.one(_OPEN)
    return OpenTransactions(row["age"], bool(row["has_others"]))
