# SPDX-License-Identifier: MIT
"""The check of `tidings doctor` for transformations: whether scripts can run here, and what confines them."""

import asyncio
from typing import Final

from tidings import terms
from tidings.model.diagnosis import CheckResult, failed, ok, warning
from tidings.model.transformation import ScriptError
from tidings.sandbox.pool import Sandbox, SandboxBusy, is_installed
from tidings.settings import Settings
from tidings.storage.diagnosis import sqlite
from tidings.storage.drivers.database import StorageError
from tidings.storage.drivers.store import opened
from tidings.storage.tables import transformations

_NAME: Final = "transformations"
_SCRIPT: Final = "function handler(webhook) { return webhook }"
_WAIT_SECONDS: Final = 10.0
_WAYS: Final = {
    "seccomp": "without files, network and processes (seccomp)",
    "network namespace": "without network (a namespace of its own) and new descriptors, but without a seccomp filter",
    "limits": "with limits alone: nothing takes files and network away from a script that breaks out",
}


async def check_scripts(settings: Settings) -> list[CheckResult]:
    """Run a script in a child process; without the extra, only look whether an endpoint needs it."""
    if is_installed():
        return [await _tried(settings)]
    used = await _used(settings)
    if not used:
        return []
    text = f"{used:,} endpoint{' has' if used == 1 else 's have'} a script, and the extra `transformations` is missing"
    return [failed(_NAME, text, "install it on every node: until then their messages fail")]


async def _tried(settings: Settings) -> CheckResult:
    options = terms.sandbox(settings)
    sandbox = Sandbox(options)
    try:
        await sandbox.compile("doctor", _SCRIPT, seconds=_WAIT_SECONDS)
    except (ScriptError, SandboxBusy) as error:
        text = f"a script cannot run ({str(error) or 'no child process started in time'})"
        return failed(_NAME, text, "read the log of `serve` for the reason; raise transformation_timeout if it is slow")
    finally:
        await sandbox.close()
    limits = options.limits
    text = f"scripts run in child processes {_WAYS[sandbox.way or 'limits']}"
    text += f"; {limits.time_seconds * 1_000:.0f} ms and {limits.memory_bytes >> 20} MiB for each run"
    if sandbox.way == "seccomp":
        return ok(_NAME, text)
    return warning(_NAME, text, "permit seccomp filters (a kernel or a container profile refuses them)")


async def _used(settings: Settings) -> int:
    """Return the number of endpoints with a script, up to a limit; 0 if the database cannot be read."""
    path = settings.sqlite_path
    if path is not None:
        return await asyncio.to_thread(sqlite.scripts_in_use, path)
    try:
        database = await opened(
            settings.db_dsn, connections=1, pgbouncer=settings.db_pgbouncer, schema=settings.db_schema
        )
    except StorageError:
        return 0  # another check reports it
    try:
        async with database.read() as read:
            return await transformations.count_in_use(read)
    except StorageError:
        return 0
    finally:
        await database.close()
