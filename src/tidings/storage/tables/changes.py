# SPDX-License-Identifier: MIT
"""Versions: short texts that differ after a change, read for many subjects at once.

Live pages compare them, so a subject that does not change costs a few index probes per interval for all of its pages.
"""

from collections.abc import Sequence
from typing import Final

from tidings.storage.drivers.database import Read

ENDPOINTS: Final = 100
"""The endpoints of an application whose attempts count as changes: its newest ones."""
_RUNNING: Final = 1_000
"""The most tasks without an end, of an organization or application, that count as changes: its newest ones."""

_TASKS: Final = (
    "SELECT id, state || ':' || epoch || ':' || updated_at || ':' || done || ':' || skipped || counters"
    # Its deliveries, which continue after its end, are sent in the order of their messages.
    " || coalesce((SELECT min(msg_id) FROM delivery WHERE task_id = task.id), '')"
    " || coalesce((SELECT max(msg_id) FROM attempt WHERE task_id = task.id AND status = 0), '')"
    " || coalesce((SELECT max(msg_id) FROM attempt WHERE task_id = task.id AND status = 2), '') AS version"
    " FROM task WHERE id IN :ids"
)
_OF_ENDPOINTS: Final = (
    "SELECT count(*) || ':' || coalesce(sum(disabled), 0) || ':' || coalesce(max(failing_since), 0) || ':'"
    " || coalesce(max(unreachable_since), 0) || ':' || coalesce(max(last_failure_at), 0) || ':'"
    " || coalesce(max(attempted), '') FROM (SELECT disabled, failing_since, unreachable_since, last_failure_at,"
    " (SELECT max(attempt.id) FROM attempt WHERE attempt.endpoint_id = endpoint.id) AS attempted FROM endpoint"
    f" WHERE app_id = application.id AND deleted_at IS NULL ORDER BY id DESC LIMIT {ENDPOINTS}) AS recent"
)
_APPLICATIONS: Final = (
    "SELECT id, routing_version || ':' || coalesce((SELECT max(message.id) FROM message"
    f" WHERE message.app_id = application.id), '') || ':' || ({_OF_ENDPOINTS}) AS version"
    " FROM application WHERE id IN :ids"
)


def _task_lists(column: str) -> str:
    """Return the statement for lists of tasks. A task that has ended changes no more, but leaves the running ones."""
    ended = "".join(
        " || ':' || coalesce((SELECT max(id) FROM task"
        f" WHERE {column} = requested.id AND wire_status = '{status}'), '')"
        for status in ("finished", "failed")
    )
    return (
        "SELECT requested.id AS id, (SELECT count(*) || ':' || coalesce(max(id), '') || ':'"
        " || coalesce(max(updated_at), 0) || ':' || coalesce(sum(done + skipped), 0)"
        f" FROM (SELECT id, updated_at, done, skipped FROM task WHERE {column} = requested.id"
        f" AND wire_status = 'running' ORDER BY id DESC LIMIT {_RUNNING}) AS running){ended} AS version"
        " FROM rows_of(:ids) AS requested(id)"
    )


_TASKS_OF_APPLICATIONS: Final = _task_lists("app_id")
_TASKS_OF_ORGANIZATIONS: Final = _task_lists("org_id")


async def tasks(read: Read, ids: Sequence[str]) -> dict[str, str]:
    """Return the versions of tasks: state, progress and counters."""
    return await _versions(read, _TASKS, ids)


async def applications(read: Read, ids: Sequence[str]) -> dict[str, str]:
    """Return the versions of applications: messages, attempts, endpoints and their health."""
    return await _versions(read, _APPLICATIONS, ids)


async def tasks_of_applications(read: Read, ids: Sequence[str]) -> dict[str, str]:
    """Return the versions of the lists of tasks of applications."""
    return await _versions(read, _TASKS_OF_APPLICATIONS, ids)


async def tasks_of_organizations(read: Read, ids: Sequence[str]) -> dict[str, str]:
    """Return the versions of the lists of tasks of organizations."""
    return await _versions(read, _TASKS_OF_ORGANIZATIONS, ids)


async def _versions(read: Read, statement: str, ids: Sequence[str]) -> dict[str, str]:
    return {row["id"]: row["version"] for row in await read.rows(statement, ids=list(ids))}
