# SPDX-License-Identifier: MIT
"""Conditions on messages that several lists share; the table must be in the statement as `message`."""

import json
from collections.abc import Sequence
from typing import Final

from tidings.model.message import MessageFilter
from tidings.storage import bucket_index
from tidings.storage.database import Dialect, Value

_EVENT_TYPE: Final = " AND message.event_type = :event_type"
_EVENT_TYPES: Final = {
    Dialect.SQLITE: " AND message.event_type IN (SELECT value FROM json_each(:event_types))",
    Dialect.POSTGRESQL: " AND message.event_type = ANY(CAST(:event_types AS text[]))",
}
# Channels and tags are JSON arrays of texts without quotation marks: one is in there exactly if its quoted form is.
# Most messages have none: those PostgreSQL passes over inside the index, at half the price of looking at them.
_HAS: Final = {
    Dialect.SQLITE: " AND instr(message.{column}, :{name}) > 0",
    Dialect.POSTGRESQL: " AND message.{column} IS NOT NULL AND strpos(message.{column}, :{name}) > 0",
}


def conditions(dialect: Dialect, wanted: MessageFilter) -> str:
    """Return the conditions for what is given."""
    found = ""
    if wanted.event_types:
        found = _EVENT_TYPE if len(wanted.event_types) == 1 else _EVENT_TYPES[dialect]
    if wanted.channel is not None:
        found += _HAS[dialect].format(column="channels", name="channel")
    if wanted.tag is not None:
        found += _HAS[dialect].format(column="tags", name="tag")
    return found


def values_of(wanted: MessageFilter) -> dict[str, Value | Sequence[Value]]:
    """Return the values that go with `conditions`."""
    return {
        "event_type": next(iter(wanted.event_types), None),
        "event_types": list(wanted.event_types),
        "channel": None if wanted.channel is None else json.dumps(wanted.channel),
        "tag": None if wanted.tag is None else json.dumps(wanted.tag),
    }


def names_of(wanted: MessageFilter) -> list[list[str]]:
    """Return the values in the bucket index of the wanted messages: each has one of every list."""
    groups = [[bucket_index.EVENT_TYPE + each for each in wanted.event_types]] if wanted.event_types else []
    if wanted.channel is not None:
        groups.append([bucket_index.channel_value(wanted.channel)])
    if wanted.tag is not None:
        groups.append([bucket_index.tag_value(wanted.tag)])
    return groups
