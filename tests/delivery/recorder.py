# SPDX-License-Identifier: MIT
"""The parts around endpoint queues, for tests of the queues alone."""

from collections.abc import Iterable

from tidings.model.delivery import Delivery


class Sending:
    """A send in flight that never ends by itself."""

    def cancel(self) -> None:
        """Cancel nothing: no request is in flight."""


class Recorder:
    """The sender, settle and the claim schedule at once: records what the queues request from them."""

    def __init__(self) -> None:
        self.started: list[Delivery] = []
        self.returned: list[Delivery] = []
        self.claim_requests = 0

    def start(self, delivery: Delivery) -> Sending:
        self.started.append(delivery)
        return Sending()

    def return_unsent(self, deliveries: Iterable[Delivery]) -> None:
        self.returned += deliveries

    def wake(self) -> None:
        self.claim_requests += 1

    def wake_for(self, endpoint_ids: Iterable[str]) -> None:
        del endpoint_ids
        self.claim_requests += 1

    def due_at(self, timestamp: int) -> None:
        del timestamp
        self.claim_requests += 1
