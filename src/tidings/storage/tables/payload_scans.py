# SPDX-License-Identifier: MIT
"""Scans of messages whose payload decides: payloads are loaded after the scan, within a number of bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidings.ids import MessageId
from tidings.model.message import Message
from tidings.model.payload_filter import PayloadFilter, document_of
from tidings.storage.drivers.database import Read
from tidings.storage.tables import messages
from tidings.storage.tables.key_ranges import Scanned, ScanVerdict


@dataclass(frozen=True, slots=True)
class Fitting:
    """The first messages of a scan, whose payloads fit in memory, and the id of the first that does not."""

    messages: Sequence[Message]
    end: str | None


async def fitting(read: Read, found: Scanned, payload_bytes: int) -> Fitting:
    """Return the messages to send whose payloads have at most `payload_bytes` together; at least one."""
    to_send = found.to_send
    known = await messages.by_ids(read, to_send)
    total, taken = 0, list[Message]()
    for each in to_send:
        message = known.get(MessageId(each))
        if message is None:  # deleted since the scan
            continue
        total += message.payload_bytes or 0
        if total > payload_bytes and taken:
            return Fitting(taken, each)
        taken.append(message)
    return Fitting(taken, None)


async def filtered(read: Read, found: Scanned, loaded: Fitting, conditions: PayloadFilter) -> Scanned:
    """Return a scan without the messages that a payload filter excludes; `found` ends where `loaded` does."""
    payloads = await messages.payloads(read, loaded.messages)
    verdicts: list[tuple[str, ScanVerdict]] = []
    for msg_id, verdict in found.verdicts:
        payload = payloads.get(MessageId(msg_id))
        if verdict is not ScanVerdict.SEND:
            verdicts.append((msg_id, verdict))
        elif payload is None:  # deleted since the scan
            verdicts.append((msg_id, ScanVerdict.NO_PAYLOAD))
        elif conditions.matches(document_of(payload, (conditions,))):
            verdicts.append((msg_id, verdict))
    return replace(found, verdicts=tuple(verdicts))
