# SPDX-License-Identifier: MIT
"""The settings of a PostgreSQL server that the service recommends, and which of them a server does not have."""

from enum import StrEnum
from typing import Final, NamedTuple

from tidings.storage.drivers.database import Read


class Bound(StrEnum):
    """How a value compares with the recommended one."""

    ON = "not off"
    AT_LEAST = "at least"
    AT_MOST = "at most"


class ServerSetting(NamedTuple):
    """A recommended setting of the server."""

    name: str
    bound: Bound
    value: str
    """As in `postgresql.conf`."""
    amount: int
    """The value in bytes or milliseconds; 0 for a word."""
    reason: str


_GB: Final = 1 << 30
_UNITS: Final = {"8kB": 8192, "kB": 1024, "MB": 1 << 20, "ms": 1, "s": 1000, "min": 60_000}
"""The units of `pg_settings`, in bytes and milliseconds."""
_DURABLE: Final = "Without it, a message that was answered with 202 may be lost when the machine fails."
_CHECKPOINTS: Final = (
    "The first change to a page after a checkpoint logs the whole page, and idempotency keys arrive in no order: just"
    " after a checkpoint each message writes two to three times as much log."
)
RECOMMENDED: Final = (
    ServerSetting("fsync", Bound.ON, "on", 0, _DURABLE),
    ServerSetting("full_page_writes", Bound.ON, "on", 0, _DURABLE),
    ServerSetting("synchronous_commit", Bound.ON, "on", 0, _DURABLE),
    ServerSetting(
        "autovacuum", Bound.ON, "on", 0, "Each delivered message leaves a dead row, whose place others take."
    ),
    ServerSetting(
        "shared_buffers",
        Bound.AT_LEAST,
        "1GB",
        _GB,
        "A quarter of the memory. The index of the idempotency keys of 12 hours, about 50 bytes for each, should fit:"
        " otherwise each message reads a page and writes another.",
    ),
    ServerSetting("max_wal_size", Bound.AT_LEAST, "8GB", 8 * _GB, _CHECKPOINTS),
    ServerSetting("checkpoint_timeout", Bound.AT_LEAST, "15min", 900_000, _CHECKPOINTS),
)


class UnmetSetting(NamedTuple):
    """A setting of the server that differs from the recommended one."""

    setting: ServerSetting
    current: str
    """The value of the server, as `SHOW` prints it."""


_CURRENT: Final = "SELECT name, setting, unit, current_setting(name) AS shown FROM pg_settings WHERE name IN :names"


async def unmet_settings(read: Read) -> list[UnmetSetting]:
    """Return the recommended settings that a PostgreSQL server does not have, in their order."""
    rows = {row["name"]: row for row in await read.rows(_CURRENT, names=[each.name for each in RECOMMENDED])}
    return [
        UnmetSetting(each, str(row["shown"]))
        for each in RECOMMENDED
        if (row := rows.get(each.name)) is not None and not _is_met(each, str(row["setting"]), row["unit"])
    ]


def _is_met(wanted: ServerSetting, setting: str, unit: str | None) -> bool:
    if wanted.bound is Bound.ON:
        return setting != "off"
    amount = int(setting) * _UNITS[str(unit)]
    return amount >= wanted.amount if wanted.bound is Bound.AT_LEAST else amount <= wanted.amount
