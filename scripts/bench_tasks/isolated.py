# SPDX-License-Identifier: MIT
"""Isolated tasks: a runner in this process, without delivery. Each result is checked before it counts."""

import json
from typing import Final

from bench_tasks.seeded_database import NOW, PAYLOAD, SINCE, STEP, Figures, Receiver, SeededDatabase, require
from tidings import ids
from tidings.clock import HOUR
from tidings.ids import DEFAULT_ORG
from tidings.model.message import RETENTION_MS, Draft
from tidings.model.resending import ReplayFilters
from tidings.model.token import Principal
from tidings.tasks.kinds import app_stats as kind_of_app_stats
from tidings.tasks.kinds import broadcast as kind_of_broadcast
from tidings.tasks.kinds import bulk_replay as kind_of_bulk_replay
from tidings.tasks.kinds import recover as kind_of_recover
from tidings.tasks.kinds import replay as kind_of_replay
from tidings.tasks.kinds.app_stats import UsageFilters
from tidings.tasks.resending import ResendWindow

PRINCIPAL: Final = Principal(DEFAULT_ORG)
MESSAGES: Final = 1_000_000
APPLICATIONS: Final = 10_000
ATTEMPTS: Final = 5_000_000


async def recover(seeded: SeededDatabase, to: Receiver, count: int) -> Figures:
    """Recover messages whose one attempt failed."""
    return await _sent(seeded, count, await seeded.work(kind_of_recover.build_task, to.app, _chosen(to)))


async def bulk_replay(seeded: SeededDatabase, to: Receiver, count: int) -> Figures:
    """Replay messages that were attempted, without a filter."""
    return await _sent(
        seeded, count, await seeded.work(kind_of_bulk_replay.build_task, to.app, _chosen(to), ReplayFilters())
    )


async def replay_missing(seeded: SeededDatabase, to: Receiver, count: int) -> Figures:
    """Replay messages that were never sent: all attempts are removed from here on."""
    await seeded.clear("attempt")
    return await _sent(seeded, count, await seeded.work(kind_of_replay.build_task, to.app, _chosen(to)))


async def _sent(seeded: SeededDatabase, count: int, found: Figures) -> Figures:
    """Check that each message has exactly one scheduled send; then undo that for the next task."""
    require(expected=count, found=found["counters"]["messagesSent"])
    require(expected=count, found=await seeded.count("SELECT count(*) FROM delivery WHERE task_id IS NOT NULL"))
    await seeded.clear("delivery")
    return found


def _chosen(to: Receiver) -> ResendWindow:
    return ResendWindow(
        endpoint_ref=to.endpoint_id,
        since=SINCE,
        until=None,
        created_by="bench",
    )


async def spread(seeded: SeededDatabase, applications: int, attempts: int) -> list[Receiver]:
    """Store attempts of many applications, half of them in one application, ten per message."""
    every = await seeded.receivers(applications)
    await seeded.messages(every[0], attempts // 20)
    each = attempts // 20 // (len(every) - 1)
    rows = [
        (ids.new(ids.MESSAGE, SINCE + HOUR), SINCE + HOUR + n * 4, receiver)
        for receiver in every[1:]
        for n in range(each)
    ]
    for start in range(0, len(rows), STEP):
        await seeded.attempts(rows[start : start + STEP])
    await seeded.tenfold()
    return every


async def app_stats(seeded: SeededDatabase, every: list[Receiver]) -> Figures:
    """Count the attempts of every application."""
    total = await seeded.count("SELECT count(*) FROM attempt")
    found = await seeded.work(kind_of_app_stats.build_task, PRINCIPAL, UsageFilters(since=SINCE, until=NOW, refs=None))
    async with seeded.db.read() as read:
        rows = await read.rows("SELECT data FROM task_item WHERE outcome = 'counted'")
    told = [json.loads(row[0])["messageDestinations"] for row in rows]
    require(expected=(len(every), total), found=(len(told), sum(told)))
    return {**found, "attempts": total}


async def broadcast(seeded: SeededDatabase, every: list[Receiver]) -> Figures:
    """Create a message in every application."""
    before = await seeded.count("SELECT count(*) FROM message")
    draft = Draft("order.shipped", PAYLOAD, None, None, RETENTION_MS)
    found = await seeded.work(kind_of_broadcast.build_task, PRINCIPAL, draft)
    require(expected=len(every), found=await seeded.count("SELECT count(*) FROM message") - before)
    require(expected=len(every), found=await seeded.count("SELECT count(*) FROM delivery WHERE lease IS NULL"))
    return found
