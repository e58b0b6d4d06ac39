# SPDX-License-Identifier: MIT
"""The open transactions on PostgreSQL. Pages of a list that a client follows end before the oldest of them."""

from dataclasses import dataclass
from typing import Final

from tidings.storage.drivers.database import Read

# A role sees the transaction start of its own sessions only. A single statement counts as a transaction; one that only
# reads delays the list for no longer than it runs.
_OPEN: Final = """
SELECT CAST(ceil(max(extract(epoch FROM clock_timestamp() - xact_start)) * 1000) AS BIGINT) AS age,
  (SELECT count(*) > 1 FROM node) AS has_others
FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class OpenTransactions:
    """The age of the oldest open transaction in milliseconds, and whether other nodes exist."""

    age: int | None
    has_others: bool


async def current(read: Read) -> OpenTransactions:
    """Query the sessions of this database. A transaction that is not found has ended, or starts later."""
    row = await read.one(_OPEN)
    return OpenTransactions(row["age"], bool(row["has_others"]))
