# SPDX-License-Identifier: MIT
"""When an endpoint changes, its deliveries in memory are returned unsent, and no others."""

from delivery.recorder import Recorder
from tidings.clock import ManualClock
from tidings.delivery.budget import MemoryLimits
from tidings.delivery.endpoint_queues import EndpointQueues
from tidings.delivery.throttle import Pacer, SendWindow
from tidings.delivery.tuning import DeliveryTuning
from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver
from tidings.model.signature import KeyRing, generate


def receiver(name: str) -> Receiver:
    return Receiver(
        id=EndpointId(name),
        app_id=AppId("app_x"),
        org_id=OrgId("org_x"),
        url="http://example.com/",
        ring=KeyRing(generate()),
        headers=(),
        disabled=False,
        event_types=None,
        channels=None,
    )


def send(to: Receiver, number: int, at: float) -> Delivery:
    return Delivery(to, f"msg_{number}", b"{}", 1, at)


class World:
    """Endpoint queues with the given concurrency and a pacer; records what both start and return unsent."""

    def __init__(self, concurrency: int = 1, tuning: DeliveryTuning = DeliveryTuning()) -> None:
        self.clock = ManualClock()
        self.around = Recorder()
        limits = MemoryLimits(concurrency=concurrency, memory=100, max_wait=10.0)
        self.queues = EndpointQueues(limits, self.clock, self.around, self.around, self.around, tuning)
        self.pacer = Pacer(self.clock, self.queues)

    @property
    def started(self) -> list[str]:
        return [each.msg_id for each in self.around.started]

    @property
    def claim_requests(self) -> int:
        return self.around.claim_requests

    @property
    def returned(self) -> list[str]:
        return [each.msg_id for each in self.around.returned]


async def test_pending_deliveries_are_handed_back_and_sends_in_flight_continue() -> None:
    world = World()
    changed, other = receiver("ep_1"), receiver("ep_2")
    at = world.clock.monotonic()
    world.queues.enqueue([send(changed, 1, at), send(changed, 2, at), send(other, 3, at), send(other, 4, at)])

    world.queues.evict("ep_1")

    assert (["msg_1", "msg_3"], ["msg_2"], 3) == (world.started, world.returned, world.queues.held)
    world.queues.close()


async def test_a_delivery_leased_before_the_change_is_handed_back() -> None:
    world = World()
    before = world.clock.monotonic()
    world.clock.advance(1_000)
    world.queues.evict("ep_1")
    world.clock.advance(1_000)

    world.queues.enqueue([send(receiver("ep_1"), 1, before), send(receiver("ep_2"), 2, before)])
    world.queues.enqueue([send(receiver("ep_1"), 3, world.clock.monotonic())])

    assert (["msg_2", "msg_3"], ["msg_1"]) == (world.started, world.returned)
    assert 0 < world.claim_requests
    world.queues.close()


async def test_a_change_is_remembered_for_one_minute() -> None:
    world = World()
    world.queues.evict("ep_1")
    world.clock.advance(61_000)

    world.queues.enqueue([send(receiver("ep_1"), 1, 0.0)])

    assert (["msg_1"], []) == (world.started, world.returned)
    world.queues.close()


async def test_a_delivery_that_waits_for_its_token_is_handed_back() -> None:
    world = World()
    soon = world.clock.monotonic() + 5
    timestamp = SendWindow(soon, soon + 1)
    paced = [send(receiver(f"ep_{number}"), number, 0.0) for number in (1, 2)]
    for each in paced:
        world.queues.budget.add(each)
    world.pacer.add([(each, timestamp) for each in paced])

    for _ in range(2):
        world.pacer.evict("ep_1")

    assert (["msg_1"], 1, 0) == (world.returned, world.pacer.held, world.pacer.held_for("ep_1"))
    world.pacer.evict("ep_2")
    assert (["msg_1", "msg_2"], 0, 0) == (world.returned, world.pacer.held, world.queues.held)
