# SPDX-License-Identifier: MIT
"""The payloads of claimed rows, as far as memory has room for the large ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tidings.delivery.budget import LARGE, MemoryBudget
from tidings.model.routing import Receiver
from tidings.storage import intake
from tidings.storage.database import Row, Write

_ANY_SIZE: Final = 2**62


@dataclass(slots=True)
class Payloads:
    """Payloads by message, and the deliveries (message, endpoint) whose payloads find no room."""

    found: dict[str, bytes] = field(default_factory=dict)
    too_large: set[tuple[str, str]] = field(default_factory=set)
    reserved: int = 0
    """Bytes that were reserved; the caller releases them."""


async def payloads_of(
    tx: Write, budget: MemoryBudget, rows: Sequence[Row], receivers: Mapping[str, Receiver]
) -> Payloads:
    """Return the payloads of rows; small ones always, large ones where they fit, and each once.

    A message whose payload is deleted is in neither collection.
    """
    payloads = Payloads()
    if not rows:
        return payloads
    to: dict[str, list[Receiver]] = {}
    for row in rows:
        to.setdefault(row["msg_id"], []).append(receivers[row["endpoint_id"]])
    large = []
    for msg_id, size, payload in await intake.payloads(tx, list(to), most=LARGE):
        if payload is not None:
            payloads.found[msg_id] = payload
        elif size is not None:
            large.append((msg_id, size))
    fitting = [msg_id for msg_id, size in large if _fits(budget, payloads, msg_id, size, to[msg_id])]
    if fitting:
        try:
            loaded = await intake.payloads(tx, fitting, most=_ANY_SIZE)
        except BaseException:
            budget.release(0, payloads.reserved)
            raise
        payloads.found.update((msg_id, payload) for msg_id, _, payload in loaded if payload is not None)
    return payloads


def _fits(budget: MemoryBudget, payloads: Payloads, msg_id: str, size: int, to: Sequence[Receiver]) -> bool:
    """Reserve room for a large payload and its encrypted copies; return whether the payload has to be loaded.

    It has not if a delivery in memory shares it, or if no delivery fits.
    """
    held = budget.payload(msg_id)
    reserved = 0 if held is not None else budget.reserve_payload(size)
    copies = [None if reserved is None else budget.reserve_copy(size, receiver) for receiver in to]
    payloads.reserved += (reserved or 0) + sum(copy or 0 for copy in copies)
    payloads.too_large |= {(msg_id, receiver.id) for receiver, copy in zip(to, copies, strict=True) if copy is None}
    if held is not None:
        payloads.found[msg_id] = held
    return held is None and any(copy is not None for copy in copies)
