# SPDX-License-Identifier: MIT
"""Conditions on messages that several lists share; the table must be in the statement as `message`."""

from typing import Final

from tidings.storage.database import Dialect

EVENT_TYPES: Final = {
    Dialect.SQLITE: " AND message.event_type IN (SELECT value FROM json_each(:event_types))",
    Dialect.POSTGRESQL: " AND message.event_type = ANY(CAST(:event_types AS text[]))",
}
# Channels are a JSON array of texts that need no escaping, so a channel is in it exactly if its quoted form is.
CHANNEL: Final = {
    Dialect.SQLITE: " AND instr(message.channels, :channel) > 0",
    Dialect.POSTGRESQL: " AND strpos(message.channels, :channel) > 0",
}


def conditions(dialect: Dialect, event_types: tuple[str, ...], channel: str | None) -> str:
    """Return the conditions for what is given."""
    return (EVENT_TYPES[dialect] if event_types else "") + (CHANNEL[dialect] if channel is not None else "")


def quoted(channel: str | None) -> str | None:
    """Return a channel as it stands in the array."""
    return None if channel is None else f'"{channel}"'
