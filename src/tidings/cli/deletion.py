# SPDX-License-Identifier: MIT
"""The work of `tidings wipe` and `tidings prune` on the database, with a report in words."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tidings.clock import SystemClock
from tidings.core import wiping
from tidings.core.message_retention import return_space
from tidings.core.wiping import PruneCount
from tidings.ids import OrgId
from tidings.server.database import open_database
from tidings.settings import Settings
from tidings.storage.drivers.database import Database

_NAMED_AT_MOST: Final = 20
_KINDS: Final = ("applications", "endpoints", "messages", "attempts", "deliveries", "tasks")
Result = TypeVar("Result")


def wipe(settings: Settings, org_id: OrgId) -> str:
    """Delete an organization; return a line with the counts."""
    deleted = _with_database(settings, lambda database: wiping.wipe(database, org_id, chunk=1_000))
    return f"Deleted from {org_id}: {', '.join(f'{deleted[kind]} {kind}' for kind in _KINDS)}."


def count_prunable(settings: Settings, before: int, *, chunk: int) -> list[str]:
    """Return lines that describe the messages that `prune` would delete and keep."""
    return _count_lines(_with_database(settings, lambda database: wiping.count_prunable(database, before, chunk=chunk)))


def prune(settings: Settings, before: int, *, chunk: int, deliveries: bool) -> list[str]:
    """Delete the messages from before a timestamp; return lines with the counts."""

    async def work(database: Database) -> Counter[str]:
        deleted = await wiping.prune(database, before, SystemClock().now(), chunk=chunk, deliveries=deliveries)
        await return_space(database)
        return deleted

    deleted = _with_database(settings, work)
    lines = [_pruned_text(deleted)]
    if deleted["kept"]:
        lines.append(
            f"Kept: {deleted['kept']} messages with outstanding deliveries; --discard-deliveries deletes them."
        )
    return lines


def _count_lines(old: PruneCount) -> list[str]:
    lines = [f"Messages: {old.messages}, with {old.attempts} attempts."]
    if not old.deliveries:
        return lines
    total, endpoints = old.deliveries.total(), len(old.deliveries)
    lines.append(
        f"Of these, {old.with_deliveries} messages have {total} deliveries (scheduled or in flight) to {endpoints}"
        f" endpoint{'' if endpoints == 1 else 's'}. They are kept, unless --discard-deliveries is given:"
    )
    lines += [f"  {endpoint}: {count}" for endpoint, count in old.deliveries.most_common(_NAMED_AT_MOST)]
    return lines if endpoints <= _NAMED_AT_MOST else [*lines, f"  and {endpoints - _NAMED_AT_MOST} more endpoints"]


def _pruned_text(deleted: Counter[str]) -> str:
    parts = [f"{deleted['messages']} messages", f"{deleted['attempts']} attempts"]
    if deleted["deliveries"]:
        parts.append(f"{deleted['deliveries']} deliveries that were scheduled or in flight")
    ended = f"; {deleted['payloads']} expired payloads" if deleted["payloads"] else ""
    return f"Deleted: {', '.join(parts)}{ended}."


def _with_database(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Open the database, and return the result of some work on it."""

    async def run() -> Result:
        database = await open_database(settings)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
