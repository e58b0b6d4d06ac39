# SPDX-License-Identifier: MIT
"""Transformed sends whose payload did not fit into memory: they wait until a payload of that size fits.

The payload itself is not kept, so the script runs again. Later sends of the endpoint wait behind them, so that their
scripts do not run in vain. Those of other endpoints do not, unless they have large payloads themselves.
"""

from collections import Counter
from collections.abc import Callable

from tidings.delivery.budget import MemoryBudget
from tidings.delivery.payload_waiters import PayloadWaiters
from tidings.delivery.transformed_send import TransformedSend


class ParkedSends:
    """The waiting sends, in order."""

    __slots__ = ("_needed", "_number", "_of_endpoint", "_resume", "_sends", "_waiters")

    def __init__(self, budget: MemoryBudget, resume: Callable[[TransformedSend], None]) -> None:
        """`resume` is called with a send that has stopped waiting, because its payload may fit."""
        self._resume = resume
        self._sends: dict[str, TransformedSend] = {}
        self._of_endpoint = Counter[str]()
        self._needed: dict[str, int] = {}
        """The bytes of the latest payload of each endpoint that did not fit, while sends of it wait."""
        self._number = 0
        self._waiters = PayloadWaiters(budget, self._wake)

    def needed(self, endpoint_id: str) -> int | None:
        """Return the bytes for which the sends of an endpoint wait; None if none waits."""
        return self._needed.get(endpoint_id)

    def add(self, send: TransformedSend, needed: int) -> None:
        """Append a send that needs a number of bytes."""
        endpoint_id = send.delivery.receiver.id
        self._number += 1
        send.parked_as = str(self._number)
        self._sends[send.parked_as] = send
        self._of_endpoint[endpoint_id] += 1
        self._needed[endpoint_id] = needed
        self._waiters.add(send.parked_as, needed)
        self._waiters.check()

    def remove(self, send: TransformedSend) -> None:
        """Remove a send, if it waits."""
        if send.parked_as is None:
            return
        del self._sends[send.parked_as]
        self._waiters.discard(send.parked_as)
        send.parked_as = None
        endpoint_id = send.delivery.receiver.id
        self._of_endpoint[endpoint_id] -= 1
        if not self._of_endpoint[endpoint_id]:
            del self._of_endpoint[endpoint_id], self._needed[endpoint_id]

    def _wake(self, names: list[str]) -> None:
        for name in names:
            send = self._sends.get(name)
            if send is not None:  # the first ones may have ended the others
                self.remove(send)
                self._resume(send)
