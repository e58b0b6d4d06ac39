# SPDX-License-Identifier: MIT
"""Sends that a task asks for while somebody else asks for them, too: on PostgreSQL the two write at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tasks.kit import ORG, database, rows
from tidings.clock import SystemClock
from tidings.model.delivery import Lane, Mode
from tidings.storage import deliveries, replays
from tidings.storage.database import Database, Write
from tidings.storage.deliveries import Again
from tidings.storage.replays import Target

NOW = SystemClock().now()
MESSAGES = [f"msg_{number:02}" for number in range(20)]
THEIRS = MESSAGES[10]
TARGET = Target("ep_1", "app_1", ORG, "qtask_1", NOW)
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
Send = Callable[[Write, Target, Sequence[str]], Awaitable[int]]
CASES: dict[str, tuple[Send, int, str | None]] = {
    "missing": (replays.send_missing, 19, None),
    "failed": (replays.send_failed, 20, "qtask_1"),
    "any": (lambda tx, target, msgs: replays.send_any(tx, target, msgs, None), 20, "qtask_1"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_another_asks_for_between_the_look_and_the_write_is_met(
    postgres_dsn: str, case: tuple[Send, int, str | None]
) -> None:
    """Nothing is outstanding when it is looked for, and something is when it is written: each message has one row."""
    send, count, task = case
    again = Again(THEIRS, "ep_1", "app_1", ORG, Lane.LIVE, Mode.ALWAYS, None)
    async with database(postgres_dsn) as db:
        async with db.write() as other:
            await deliveries.send_again(other, [again], NOW)
            sending = asyncio.create_task(_sent(db, send))
            await _blocked(db)
        assert await sending == count

        assert await rows(db, "SELECT msg_id FROM delivery ORDER BY msg_id") == [(each,) for each in MESSAGES]
        assert await rows(db, f"SELECT lane, task_id FROM delivery WHERE msg_id = '{THEIRS}'") == [(0, task)]


async def _sent(db: Database, send: Send) -> int:
    async with db.write() as tx:
        return await send(tx, TARGET, MESSAGES)


async def _blocked(db: Database) -> None:
    async with asyncio.timeout(10):
        while await rows(db, _WAITING) != [(1,)]:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
