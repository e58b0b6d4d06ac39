# SPDX-License-Identifier: MIT
"""Load the payloads of claimed rows; large ones only within the memory budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tidings.delivery.budget import LARGE, MemoryBudget, copy_bytes
from tidings.model.routing import Receiver
from tidings.storage.drivers.database import Row, Write
from tidings.storage.tables import intake

_ANY_SIZE: Final = 2**62


@dataclass(slots=True)
class Payloads:
    """Payloads by message id, and the deliveries (message, endpoint) whose payloads do not fit into memory."""

    found: dict[str, bytes] = field(default_factory=dict)
    too_large: dict[tuple[str, str], int] = field(default_factory=dict)
    """The bytes that each of these deliveries needs."""
    reserved: int = 0
    """The reserved bytes, which the caller releases."""


async def payloads_of(
    tx: Write, budget: MemoryBudget, rows: Sequence[Row], receivers: Mapping[str, Receiver]
) -> Payloads:
    """Return the payloads of rows: all small ones, and the large ones that fit into memory.

    A message whose payload was deleted is in neither collection.
    """
    payloads = Payloads()
    if not rows:
        return payloads
    to: dict[str, list[Receiver]] = {}
    for row in rows:
        to.setdefault(row["msg_id"], []).append(receivers[row["endpoint_id"]])
    fitting: list[str] = []
    for each in await intake.payloads(tx, list(to), limit=LARGE):
        if each.payload is not None:
            payloads.found[each.msg_id] = each.payload
        elif each.size is not None and reserve(budget, payloads, each.msg_id, each.size, to[each.msg_id]):
            fitting.append(each.msg_id)
    if fitting:
        try:
            loaded = await intake.payloads(tx, fitting, limit=_ANY_SIZE)
        except BaseException:
            budget.release(0, payloads.reserved)
            raise
        payloads.found.update((each.msg_id, each.payload) for each in loaded if each.payload is not None)
    return payloads


def reserve(budget: MemoryBudget, payloads: Payloads, msg_id: str, size: int, to: Sequence[Receiver]) -> bool:
    """Reserve memory for a large payload and its encrypted copies; return whether the payload must be loaded.

    It need not be loaded if a delivery in memory already has it, or if no delivery fits.
    """
    held = budget.payload(msg_id)
    reserved = 0 if held is not None else budget.reserve_payload(size)
    copies = [None if reserved is None else budget.reserve_copy(size, receiver) for receiver in to]
    is_any = any(copy is not None for copy in copies)
    if reserved and not is_any:  # the next message of this claim may use the bytes
        budget.release(0, reserved)
        reserved = 0
    payloads.reserved += (reserved or 0) + sum(copy or 0 for copy in copies)
    for receiver, copy in zip(to, copies, strict=True):
        if copy is None:
            own = 0 if held is not None or is_any else size
            payloads.too_large[msg_id, receiver.id] = own + copy_bytes(size, receiver)
    if held is not None:
        payloads.found[msg_id] = held
    return held is None and is_any
