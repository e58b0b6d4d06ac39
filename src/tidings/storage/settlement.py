# SPDX-License-Identifier: MIT
"""What sends leave behind: attempts, written in bulk."""

from collections.abc import Sequence
from typing import Final

from tidings.storage.database import Sql, Write

AttemptRow = tuple[str, str, str, str, str, str, int, int, str, int, int, int | None, str | None]
"""Columns as in `_COLUMNS`."""

_COLUMNS: Final = (
    "msg_id, id, endpoint_id, app_id, org_id, url, status, response_status_code, response, response_duration_ms,"
    " trigger_type, next_at, task_id"
)
# A batch whose COMMIT was lost on the way is written again: what is there already stays as it is.
_ADD: Final = Sql(
    sqlite=f"INSERT INTO attempt ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    postgresql=(
        f"INSERT INTO attempt ({_COLUMNS}) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],"
        " $5::text[], $6::text[], $7::smallint[], $8::int[], $9::text[], $10::int[], $11::smallint[], $12::bigint[],"
        " $13::text[]) ON CONFLICT DO NOTHING"
    ),
)


_PAIRS: Final = "unnest($1::text[], $2::text[]) AS t(m, e)"
_OF_PAIR: Final = "msg_id = ? AND endpoint_id = ? AND status = 2"
_OF_PAIRS: Final = "msg_id = t.m AND endpoint_id = t.e AND status = 2"
_MADE_GOOD: Final = Sql(
    sqlite=f"UPDATE attempt SET next_at = 0 WHERE {_OF_PAIR} AND next_at IS NULL",
    postgresql=f"UPDATE attempt SET next_at = 0 FROM {_PAIRS} WHERE {_OF_PAIRS} AND next_at IS NULL",
)
_GIVEN_UP: Final = Sql(
    sqlite=f"UPDATE attempt SET next_at = NULL WHERE {_OF_PAIR} AND next_at > 0",
    postgresql=f"UPDATE attempt SET next_at = NULL FROM {_PAIRS} WHERE {_OF_PAIRS} AND next_at > 0",
)


async def make_good(tx: Write, pairs: Sequence[tuple[str, str]]) -> None:
    """Note that messages have got through to endpoints after all: their failures are no more the end of them."""
    await tx.bulk(_MADE_GOOD, sorted(pairs))


async def give_up(tx: Write, pairs: Sequence[tuple[str, str]]) -> None:
    """Note that messages are not tried again at endpoints: what failed before was the end of them."""
    await tx.bulk(_GIVEN_UP, sorted(pairs))


async def add_attempts(tx: Write, rows: Sequence[AttemptRow]) -> None:
    """Add attempts."""
    await tx.bulk(_ADD, rows)
