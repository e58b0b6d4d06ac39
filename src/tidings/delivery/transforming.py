# SPDX-License-Identifier: MIT
"""Sends of endpoints whose requests a script changes: the script runs first, then the request is sent as any other.

The script and the message are read when the delivery is sent, so the script in force changes it. A wait for a process
of the sandbox is no attempt: it ends in time for the lease, and the delivery goes back to the database unsent.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Protocol

from tidings.clock import Clock
from tidings.delivery.endpoint_queue import Cancellable
from tidings.delivery.outcome import SendResult
from tidings.delivery.protocols import SendListener
from tidings.ids import MessageId
from tidings.model.delivery import Delivery
from tidings.model.encryption import DecryptionError, Encryption
from tidings.model.routing import Receiver
from tidings.model.transformation import Script, ScriptError, Transformed, Webhook
from tidings.observe import count, failure
from tidings.sandbox.pool import MISSING, Sandbox, is_installed
from tidings.sandbox.requests import Request, run_request
from tidings.sandbox.run_queues import Result
from tidings.storage.drivers.database import Database, StorageError
from tidings.storage.tables import messages, transformations

_SCRIPTS_BYTES: Final = 8 << 20
"""The scripts and variables that are cached, in bytes."""
_OTHER: Final = "the transformation could not run"


@dataclass(frozen=True, slots=True)
class TransformingParts:
    """What transforming needs of the other parts of a process."""

    db: Database
    clock: Clock
    sandbox: Sandbox
    max_wait: float
    """Seconds from the start of a lease within which a send must begin."""
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

    def __init__(self, parts: TransformingParts, transport: Transport, listener: SendListener) -> None:
        self._parts = parts
        self._transport = transport
        self._listener = listener
        self._scripts: OrderedDict[Receiver, Script | None] = OrderedDict()
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, delivery: Delivery) -> Cancellable:
        """Start a send; its end is reported once, unless it is canceled."""
        send = TransformedSend(self._parts.clock.monotonic())
        task = send.task = asyncio.create_task(self._run(delivery, send))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return send

    async def _run(self, delivery: Delivery, send: "TransformedSend") -> None:
        try:
            await self._transform(delivery, send)
        except StorageError:
            self._listener.ended(SendResult(delivery))  # the outage is logged elsewhere, and settling waits for its end
        except (ScriptError, DecryptionError) as error:
            self._failed(delivery, send, f"transformation: {error}")
        except Exception as error:  # noqa: BLE001 - any error affects this endpoint only
            failure("transforming a message", error, endpoint=delivery.receiver.id, message_id=delivery.msg_id)
            self._failed(delivery, send, _OTHER)

    async def _transform(self, delivery: Delivery, send: "TransformedSend") -> None:
        if not is_installed():
            raise ScriptError(MISSING)
        script, webhook = await self._read(delivery)
        if script is None:
            send.request = self._transport.send_as_is(delivery)
            return
        result = await self._result(delivery, run_request(script, webhook))
        if result is None:
            count("transformations.unstarted")
            self._listener.ended(SendResult(delivery))
            return
        if isinstance(result, ScriptError):
            raise result
        transformed = self._parts.sandbox.checked(result, webhook)
        if transformed.is_canceled:
            count("transformations.canceled")
            self._transport.record_canceled(delivery, send.took_ms(self._parts.clock.monotonic()))
            return
        count("transformations.done")
        send.request = self._transport.send_transformed(delivery, transformed)

    async def _result(self, delivery: Delivery, request: Request) -> Result:
        """Run a script once a process is free; return None if none is in time."""
        loop = asyncio.get_running_loop()
        left = delivery.leased_at + self._parts.max_wait - self._parts.clock.monotonic()
        future: asyncio.Future[Result] = loop.create_future()
        run = self._parts.sandbox.start(delivery.receiver.id, request, loop.time() + left, future.set_result)
        try:
            return await future
        finally:
            run.cancel()

    async def _read(self, delivery: Delivery) -> tuple[Script | None, Webhook]:
        """Return the script of an endpoint, None if it has none any more, and the input of the script."""
        receiver, labels = delivery.receiver, delivery.labels
        if labels is None or receiver not in self._scripts:
            async with self._parts.db.read() as read:
                message = (await messages.by_ids(read, [delivery.msg_id])).get(MessageId(delivery.msg_id))
                stored = await transformations.find(read, receiver.id)
            labels = ("", None) if message is None else (message.event_type, message.channels)
            self._keep(receiver, self._opened(stored))
        self._scripts.move_to_end(receiver)
        event_type, channels = labels
        return self._scripts[receiver], Webhook(receiver.url, event_type, delivery.payload, channels)

    def _opened(self, stored: transformations.StoredTransformation | None) -> Script | None:
        if stored is None or stored.code is None or not stored.enabled:
            return None
        return Script(stored.code, self._parts.encryption.decode_headers(stored.variables))

    def _keep(self, receiver: Receiver, script: Script | None) -> None:
        """Cache a script. A changed endpoint is another receiver, so a cached script is never outdated for long."""
        if receiver in self._scripts:
            self._bytes -= _size(self._scripts[receiver])
        self._scripts[receiver] = script
        self._bytes += _size(script)
        while self._bytes > _SCRIPTS_BYTES and len(self._scripts) > 1:
            _, dropped = self._scripts.popitem(last=False)
            self._bytes -= _size(dropped)

    def _failed(self, delivery: Delivery, send: "TransformedSend", reason: str) -> None:
        count("transformations.failed")
        self._transport.record_failed(delivery, reason, send.took_ms(self._parts.clock.monotonic()))


class TransformedSend:
    """A send in flight: first its script, then its request."""

    __slots__ = ("request", "started_at", "task")

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        """On the monotonic clock."""
        self.task: asyncio.Task[None] | None = None
        self.request: Cancellable | None = None

    def took_ms(self, now: float) -> int:
        """Return the milliseconds since the start."""
        return max(0, round((now - self.started_at) * 1_000))

    def cancel(self) -> None:
        """Cancel the send; its result is never reported."""
        if self.request is not None:
            self.request.cancel()
        elif self.task is not None:
            self.task.cancel()


def _size(script: Script | None) -> int:
    """Return the bytes that a cached script takes, roughly."""
    if script is None:
        return 256
    return 512 + 4 * len(script.code) + sum(4 * (len(name) + len(value)) for name, value in script.variables.items())
