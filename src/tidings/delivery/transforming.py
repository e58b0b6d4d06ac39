# SPDX-License-Identifier: MIT
"""Sends of endpoints whose requests a script changes: the script runs first, then the request is sent as any other.

The script is read when the delivery is sent, so the script in force changes it. A wait for a process of the sandbox, or
for memory, is no attempt: it ends in time for the lease, and the delivery goes back to the database unsent. So does a
send whose endpoint is changed, disabled or deleted before its request is made.

A send is without a task or a future once the script is cached: its steps are callbacks.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from tidings.clock import Clock
from tidings.delivery.budget import MemoryBudget
from tidings.delivery.endpoint_queue import Cancellable
from tidings.delivery.outcome import SendResult
from tidings.delivery.parked_sends import ParkedSends
from tidings.delivery.protocols import SendListener
from tidings.delivery.script_cache import ScriptCache
from tidings.delivery.transformed_send import TransformedSend
from tidings.ids import MessageId
from tidings.model.delivery import Delivery
from tidings.model.encryption import DecryptionError, Encryption
from tidings.model.transformation import ScriptError, ScriptFault, Transformed, Webhook
from tidings.observe import count, failure
from tidings.sandbox.pool import MISSING, Sandbox, is_installed
from tidings.sandbox.run_queues import Result
from tidings.storage.drivers.database import Database, StorageError
from tidings.storage.tables import messages, transformations

_OTHER: Final = "the transformation could not run"


@dataclass(frozen=True, slots=True)
class TransformingParts:
    """What transforming needs of the other parts of a process."""

    db: Database
    clock: Clock
    sandbox: Sandbox
    max_wait: float
    """Seconds from the start of a lease within which a script must begin: its run is short against the rest of it."""
    encryption: Encryption = field(default_factory=Encryption)


class Transport(Protocol):
    """Sends transformed requests, and records what became of the others; the sender. Nothing is called in `start`."""

    def send_as_is(self, delivery: Delivery) -> Cancellable:
        """Send a delivery without a transformation; its endpoint has none any more."""
        ...

    def send_transformed(self, delivery: Delivery, request: Transformed) -> Cancellable:
        """Send the request that a script made of a delivery."""
        ...

    def record_canceled(self, delivery: Delivery, took_ms: int) -> None:
        """Record that the script canceled a delivery."""
        ...

    def record_failed(self, delivery: Delivery, reason: str, took_ms: int) -> None:
        """Record a failed attempt without a request."""
        ...


class Transforming:
    """Starts transformed sends."""

    def __init__(
        self, parts: TransformingParts, transport: Transport, listener: SendListener, budget: MemoryBudget
    ) -> None:
        """`budget` counts the payloads that scripts make."""
        self._parts = parts
        self._transport = transport
        self._listener = listener
        self._budget = budget
        self._scripts = ScriptCache(parts.encryption)
        self._sends: dict[str, set[TransformedSend]] = {}
        """The sends whose request is not made yet, by endpoint."""
        self._parked = ParkedSends(budget, self._resume)

    def start(self, delivery: Delivery) -> Cancellable:
        """Start a send; its end is reported once, unless it is canceled. Never raises."""
        send = TransformedSend(self, delivery, self._parts.clock.monotonic())
        self._sends.setdefault(delivery.receiver.id, set()).add(send)
        self._begin(send)
        return send

    def evict(self, endpoint_id: str) -> None:
        """Return the sends of an endpoint unsent whose request is not made, as it was changed, disabled or deleted."""
        for send in tuple(self._sends.get(endpoint_id, ())):
            self._return(send)

    def return_waiting(self) -> None:
        """Return the sends unsent whose script does not run; the process stops."""
        for send in [each for sends in self._sends.values() for each in sends if not each.is_running]:
            self._return(send)

    def _return(self, send: TransformedSend) -> None:
        send.cancel()
        self._listener.ended(SendResult(send.delivery))

    async def _read(self, send: TransformedSend) -> None:
        """Read the script of an endpoint, and the labels of the message if the claim did not find them."""
        delivery = send.delivery
        try:
            _require_interpreter()
            async with self._parts.db.read() as read:
                stored = await transformations.find(read, delivery.receiver.id)
                if delivery.labels is None:
                    found = (await messages.by_ids(read, [delivery.msg_id])).get(MessageId(delivery.msg_id))
                    delivery.labels = ("", None) if found is None else (found.event_type, found.channels)
            self._scripts.keep(delivery.receiver, stored)
        except StorageError:
            self._drop(send)
            self._listener.ended(SendResult(delivery))  # the outage is logged elsewhere, and settling waits for its end
        except Exception as error:  # noqa: BLE001 - any error affects this endpoint only
            self._failed(send, error)
        else:
            send.task = None
            self._begin(send)

    def _begin(self, send: TransformedSend) -> None:
        """Run the script once a process is free; first, read it or let other sends of the endpoint have memory."""
        delivery = send.delivery
        needed = None if send.is_resumed else self._parked.needed(delivery.receiver.id)
        if needed is not None:
            self._park(send, needed)
        elif delivery.labels is None or delivery.receiver not in self._scripts:
            send.task = asyncio.create_task(self._read(send))
        else:
            try:
                self._run(send)
            except Exception as error:  # noqa: BLE001 - any error affects this endpoint only
                send.timer = asyncio.get_running_loop().call_soon(self._failed, send, error)

    def _run(self, send: TransformedSend) -> None:
        delivery = send.delivery
        script = self._scripts.get(delivery.receiver)
        if script is None:
            self._drop(send)
            send.request = self._transport.send_as_is(delivery)
            return
        event_type, channels = delivery.labels or ("", None)
        webhook = Webhook(delivery.receiver.url, event_type, delivery.payload, channels)
        latest = asyncio.get_running_loop().time() + self._seconds_left(delivery)
        done = partial(self._ended, send, webhook)
        send.run = self._parts.sandbox.start(delivery.receiver.id, script.to_run(webhook), latest, done)

    def _seconds_left(self, delivery: Delivery) -> float:
        return delivery.leased_at + self._parts.max_wait - self._parts.clock.monotonic()

    def _ended(self, send: TransformedSend, webhook: Webhook, result: Result) -> None:
        """Take the result of a run: send its request, or record why there is none."""
        try:
            if result is None:
                self._return_unstarted(send)
            elif isinstance(result, ScriptError):
                self._failed(send, result)
            else:
                self._take(send, self._parts.sandbox.checked(result, webhook))
        except Exception as error:  # noqa: BLE001 - any error affects this endpoint only
            self._failed(send, error)

    def _take(self, send: TransformedSend, request: Transformed) -> None:
        delivery, payload = send.delivery, request.payload
        if request.is_canceled:
            self._drop(send)
            count("transformations.canceled")
            self._transport.record_canceled(delivery, send.took_ms(self._parts.clock.monotonic()))
            return
        is_changed = payload is not delivery.payload
        needed = self._budget.add_changed(delivery, len(payload), request.url) if is_changed else 0
        if needed:
            self._park(send, needed)
            return
        self._drop(send)
        count("transformations.sent")
        send.request = self._transport.send_transformed(delivery, request)

    def _park(self, send: TransformedSend, needed: int) -> None:
        """Let a send wait until a payload of its size fits into memory."""
        send.run, send.is_resumed = None, False
        left = max(0.0, self._seconds_left(send.delivery))
        send.timer = asyncio.get_running_loop().call_later(left, self._return_unstarted, send)
        self._parked.add(send, needed)

    def _resume(self, send: TransformedSend) -> None:
        self._stop_timer(send)
        send.is_resumed = True
        self._begin(send)

    def _return_unstarted(self, send: TransformedSend) -> None:
        self._drop(send)
        count("transformations.unstarted")
        self._listener.ended(SendResult(send.delivery))

    def _failed(self, send: TransformedSend, error: Exception) -> None:
        self._drop(send)
        if isinstance(error, ScriptError | DecryptionError):
            reason = f"transformation: {error}"
        else:
            receiver = send.delivery.receiver
            failure("transforming a message", error, endpoint=receiver.id, message_id=send.delivery.msg_id)
            reason = _OTHER
        fault = error.fault if isinstance(error, ScriptError) else ScriptFault.OTHER
        count(f"transformations.{fault.value}")
        self._transport.record_failed(send.delivery, reason, send.took_ms(self._parts.clock.monotonic()))

    def forget(self, send: TransformedSend) -> None:
        """Forget a canceled send."""
        self._drop(send)

    def _drop(self, send: TransformedSend) -> None:
        """Forget a send whose request is made, or is not made any more."""
        self._stop_timer(send)
        self._parked.remove(send)
        send.run = None
        endpoint_id = send.delivery.receiver.id
        sends = self._sends.get(endpoint_id)
        if sends is not None:
            sends.discard(send)
            if not sends:
                del self._sends[endpoint_id]

    def _stop_timer(self, send: TransformedSend) -> None:
        if send.timer is not None:
            send.timer.cancel()
            send.timer = None


def _require_interpreter() -> None:
    if not is_installed():
        raise ScriptError(MISSING, fault=ScriptFault.OTHER)
