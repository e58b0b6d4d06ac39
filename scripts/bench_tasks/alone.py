# SPDX-License-Identifier: MIT
"""Tasks with nothing beside them: a runner in this process, nobody who delivers. Each is checked before it counts."""

import json
from typing import Final

from bench_tasks.stage import NOW, PAYLOAD, SINCE, STEP, Figures, Receiver, Stage, require
from tidings import ids
from tidings.clock import HOUR
from tidings.core import broadcasts, resending, tasks, usage
from tidings.core.usage import UsageFilters
from tidings.ids import DEFAULT_ORG, EndpointId
from tidings.model.message import RETENTION_MS, MessageDraft
from tidings.model.resending import ReplayFilters, ReplayRequest, ReplayScope
from tidings.model.token import Principal

PRINCIPAL: Final = Principal(DEFAULT_ORG)
MESSAGES: Final = 1_000_000
APPLICATIONS: Final = 10_000
ATTEMPTS: Final = 5_000_000


async def recover(stage: Stage, to: Receiver, count: int) -> Figures:
    """Recover messages whose one attempt failed."""
    endpoint = EndpointId(to.endpoint_id)
    wanted = tasks.Recovery(endpoint_ref=endpoint, since=SINCE, until=None, created_by="bench")
    return await _sent(stage, count, await stage.work(tasks.recover, to.app, wanted))


async def bulk_replay(stage: Stage, to: Receiver, count: int) -> Figures:
    """Replay messages that were attempted, without a filter."""
    return await _sent(stage, count, await stage.work(resending.replay, to.app, _chosen(to, ReplayScope.SENT)))


async def replay_missing(stage: Stage, to: Receiver, count: int) -> Figures:
    """Replay messages that were never sent: there are no attempts from here on."""
    await stage.clear("attempt")
    return await _sent(stage, count, await stage.work(resending.replay, to.app, _chosen(to, ReplayScope.MISSING)))


async def _sent(stage: Stage, count: int, found: Figures) -> Figures:
    """Check that each message is to be sent, once; and take that back, for the next task."""
    require(expected=count, found=found["counters"]["messagesSent"])
    require(expected=count, found=await stage.count("SELECT count(*) FROM delivery WHERE task_id IS NOT NULL"))
    await stage.clear("delivery")
    return found


def _chosen(to: Receiver, which: ReplayScope) -> ReplayRequest:
    return ReplayRequest(
        which=which,
        endpoint_ref=EndpointId(to.endpoint_id),
        since=SINCE,
        until=None,
        filters=ReplayFilters(),
        created_by="bench",
    )


async def spread(stage: Stage, applications: int, attempts: int) -> list[Receiver]:
    """Store attempts of many applications, half of them of one, ten for each message."""
    every = await stage.receivers(applications)
    await stage.messages(every[0], attempts // 20)
    each = attempts // 20 // (len(every) - 1)
    rows = [
        (ids.new(ids.MESSAGE, SINCE + HOUR), SINCE + HOUR + n * 4, receiver)
        for receiver in every[1:]
        for n in range(each)
    ]
    for start in range(0, len(rows), STEP):
        await stage.attempts(rows[start : start + STEP])
    await stage.tenfold()
    return every


async def app_stats(stage: Stage, every: list[Receiver]) -> Figures:
    """Count the attempts of every application."""
    total = await stage.count("SELECT count(*) FROM attempt")
    found = await stage.work(usage.count_attempts, PRINCIPAL, UsageFilters(since=SINCE, until=NOW, refs=None))
    async with stage.db.read() as read:
        rows = await read.rows("SELECT data FROM task_item WHERE outcome = 'counted'")
    told = [json.loads(row[0])["messageDestinations"] for row in rows]
    require(expected=(len(every), total), found=(len(told), sum(told)))
    return {**found, "attempts": total}


async def broadcast(stage: Stage, every: list[Receiver]) -> Figures:
    """Make a message in every application."""
    before = await stage.count("SELECT count(*) FROM message")
    draft = MessageDraft("order.shipped", PAYLOAD, None, None, RETENTION_MS)
    found = await stage.work(broadcasts.broadcast, PRINCIPAL, draft)
    require(expected=len(every), found=await stage.count("SELECT count(*) FROM message") - before)
    require(expected=len(every), found=await stage.count("SELECT count(*) FROM delivery WHERE lease IS NULL"))
    return found
