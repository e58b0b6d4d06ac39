# SPDX-License-Identifier: MIT
"""SQL conditions for the message filters. The statement must name the table, or an alias, `message`."""

import json
from collections.abc import Sequence
from typing import Final

from tidings.model.message import MessageFilter
from tidings.storage.drivers.database import Value
from tidings.storage.tables import bucket_index

_EVENT_TYPE: Final = " AND message.event_type = :event_type"
_EVENT_TYPES: Final = " AND message.event_type IN :event_types"
# Channels and tags are JSON arrays of strings without quotation marks, so an array contains a string if and only if its
# text contains the quoted string. Most messages have neither. IS NOT NULL lets PostgreSQL skip those within the index,
# at half the cost.
_HAS: Final = " AND message.{column} IS NOT NULL AND strpos(message.{column}, :{name}) > 0"


def conditions(filters: MessageFilter) -> str:
    """Return the SQL conditions for the filters that are set, each with a leading AND."""
    found = ""
    if filters.event_types:
        found = _EVENT_TYPE if len(filters.event_types) == 1 else _EVENT_TYPES
    if filters.channel is not None:
        found += _HAS.format(column="channels", name="channel")
    if filters.tag is not None:
        found += _HAS.format(column="tags", name="tag")
    return found


def values_of(filters: MessageFilter) -> dict[str, Value | Sequence[Value]]:
    """Return the parameters of `conditions`."""
    return {
        "event_type": next(iter(filters.event_types), None),
        "event_types": list(filters.event_types),
        "channel": None if filters.channel is None else json.dumps(filters.channel),
        "tag": None if filters.tag is None else json.dumps(filters.tag),
    }


def names_of(filters: MessageFilter) -> list[list[str]]:
    """Return lists of bucket-index names; a matching message has an entry for one name of each list."""
    groups = [[bucket_index.EVENT_TYPE + each for each in filters.event_types]] if filters.event_types else []
    if filters.channel is not None:
        groups.append([bucket_index.channel_value(filters.channel)])
    if filters.tag is not None:
        groups.append([bucket_index.tag_value(filters.tag)])
    return groups
