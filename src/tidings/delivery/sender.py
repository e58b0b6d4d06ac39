# SPDX-License-Identifier: MIT
"""Sign and send one delivery, and turn the reply into a result to settle."""

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from tidings import __version__, ids, measures
from tidings.clock import SECOND, Clock
from tidings.core.health_recorder import FAILING_AFTER, HealthEvent
from tidings.delivery.client import Client, Reply, RequestTarget, compile_target
from tidings.delivery.endpoint_queue import Cancellable
from tidings.delivery.outcome import (
    GONE,
    ReceiverDirective,
    RetryHint,
    SendResult,
    failed_class,
    health_event_kinds,
    is_delivered,
    next_wait_ms,
    parse_directive,
    recorded_headers,
    response_text,
)
from tidings.delivery.protocols import SendListener
from tidings.delivery.transforming import Transforming
from tidings.model.attempt import MessageStatus
from tidings.model.attempt_headers import configured
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver
from tidings.model.transformation import Transformed
from tidings.storage.tables.settlement import AttemptRow

_NO_DIRECTIVE: Final = ReceiverDirective.NONE
_CANCELED: Final = "canceled by the transformation; no request was made"
_MAX_COMPILED: Final = 4_096
"""Request targets that are cached."""
_MAX_CHANGED: Final = 256
"""The same of scripts, which may have other headers for each message."""
_ChangedKey = tuple[Receiver, str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class SendOptions:
    """The retry schedule, and the settings that change a request or its effect."""

    schedule: tuple[int, ...]
    """Seconds to wait after each failed automatic attempt."""
    whitelabel: bool = False
    gone_disables: bool = True
    """Whether 410 Gone disables the endpoint."""
    attempt_headers: bool = False
    """Whether the headers of successful attempts are recorded, too."""


class _Unsendable:
    """A send whose request could not be formed."""

    def cancel(self) -> None:
        """Do nothing: no request was sent."""


class Sender:
    """Signs and sends deliveries."""

    def __init__(
        self, client: Client, clock: Clock, options: SendOptions, listener: SendListener, failing: set[str]
    ) -> None:
        """`failing` receives the ids of endpoints with a failure record when a request to them starts."""
        self._client = client
        self._clock = clock
        self._options = options
        self._listener = listener
        self._failing = failing
        self._family = "webhook" if options.whitelabel else "svix"
        self._records_every = options.attempt_headers
        self.transforming: Transforming | None = None
        """Runs the scripts of endpoints that have one."""
        self._targets: dict[Receiver, RequestTarget] = {}
        self._changed_targets: dict[_ChangedKey, RequestTarget] = {}

    def start(self, delivery: Delivery) -> Cancellable:
        """Sign a message and send it; never raises, because a request that cannot be formed is a failed attempt."""
        if delivery.receiver.is_transformed and self.transforming is not None:
            return self.transforming.start(delivery)
        return self.send_as_is(delivery)

    def send_as_is(self, delivery: Delivery) -> Cancellable:
        """Send a delivery without a transformation."""
        return self._send(delivery, None)

    def send_transformed(self, delivery: Delivery, request: Transformed) -> Cancellable:
        """Send the request that a script made of a delivery."""
        return self._send(delivery, request)

    def record_canceled(self, delivery: Delivery, took_ms: int) -> None:
        """Record that a script canceled a delivery."""
        attempt = AttemptRow.of(
            delivery,
            ids.new(ids.ATTEMPT, self._clock.now()),
            delivered=True,
            code=0,
            response=_CANCELED,
            duration_ms=took_ms,
            next_at=None,
        )
        attempt = attempt._replace(status=int(MessageStatus.CANCELED))
        self._listener.ended(SendResult(delivery, attempt, delivered=True, canceled=True))

    def record_failed(self, delivery: Delivery, reason: str, took_ms: int) -> None:
        """Record a failed attempt without a request: its script failed. The receiver is not to blame."""
        result = self._result(delivery, self._clock.now(), b"", Reply(0, b"", took_ms, reason))
        result.unanswered, result.outcome = False, "transformation"
        self._listener.ended(result)

    def _send(self, delivery: Delivery, changed: Transformed | None) -> Cancellable:
        receiver = delivery.receiver
        began = self._clock.now()
        timestamp = began // SECOND
        signed = b""

        def done(reply: Reply) -> None:
            self._listener.ended(self._result(delivery, began, signed, reply, changed))

        try:
            target = self._targets.get(receiver) or self._compiled(receiver)
            payload = delivery.payload
            if changed is not None:
                target, payload = self._changed(target, receiver, changed), changed.payload
            signed = receiver.ring.sign(delivery.msg_id, timestamp, payload)
            request = self._client.send(target, delivery.msg_id, timestamp, signed, payload, done)
            if not (delivery.attempts or delivery.manual or receiver.limits or receiver.is_failing):
                measures.first_attempt.add(request.started_at - (delivery.due_since or delivery.leased_at))
        except Exception as error:  # noqa: BLE001 - any error affects this endpoint only
            reply = Reply(0, b"", 0, f"error forming request: {error}")
            asyncio.get_running_loop().call_soon(done, reply)
            return _Unsendable()
        else:
            return request

    def _changed(self, target: RequestTarget, receiver: Receiver, changed: Transformed) -> RequestTarget:
        """Return the target of a transformed request; that of the endpoint if only the payload changed."""
        if changed.method == "POST" and changed.url == receiver.url and not changed.headers:
            return target
        key = receiver, changed.method, changed.url, changed.headers
        found = self._changed_targets.get(key)
        if found is None:
            if len(self._changed_targets) >= _MAX_CHANGED:
                self._changed_targets.clear()
            found = self._changed_targets[key] = compile_target(
                changed.url,
                version=__version__,
                headers=dict((*receiver.headers, *changed.headers)),
                whitelabel=self._options.whitelabel,
                method=changed.method,
            )
        return found

    def _compiled(self, receiver: Receiver) -> RequestTarget:
        if len(self._targets) >= _MAX_COMPILED:
            self._targets.clear()
        target = compile_target(
            receiver.url, version=__version__, headers=dict(receiver.headers), whitelabel=self._options.whitelabel
        )
        self._targets[receiver] = target
        if receiver.is_failing:
            self._failing.add(receiver.id)
        return target

    def _result(
        self, delivery: Delivery, began: int, signed: bytes, reply: Reply, changed: Transformed | None = None
    ) -> SendResult:
        delivered = is_delivered(reply.status) and not reply.is_invalid
        directive = self._directive(reply)
        is_normal = directive is _NO_DIRECTIVE
        next_at = None if delivered or not is_normal else self._next_at(delivery, reply)
        text = response_text(reply.body) if reply.error is None else reply.error
        attempt = AttemptRow.of(
            delivery,
            ids.new(ids.ATTEMPT, began),
            delivered=delivered,
            code=reply.status,
            response=text.replace("\0", "�"),
            duration_ms=reply.duration_ms,
            next_at=next_at if not delivery.manual or delivered or not is_normal else delivery.retry_at,
        )
        if changed is not None:
            attempt = attempt._replace(url=changed.url)
        if (not delivered or delivery.manual or self._records_every or _has_other_method(changed)) and signed:
            attempt = attempt.with_headers(self._recorded(delivery.receiver, began // SECOND, signed, reply, changed))
        if delivered and is_normal and delivery.attempts < FAILING_AFTER:
            return SendResult(delivery, attempt, delivered)
        kinds = health_event_kinds(delivery, directive, delivered=delivered, is_last=next_at is None)
        return SendResult(
            delivery,
            attempt,
            delivered,
            next_at,
            aborted=not (delivered or is_normal),
            unanswered=reply.status == 0,
            outcome=failed_class(reply.status, timed_out=reply.timed_out, is_invalid=reply.is_invalid),
            health_events=tuple(
                HealthEvent(kind, delivery.receiver, delivery.msg_id, attempt.id, reply.status) for kind in kinds
            ),
        )

    def _recorded(
        self, receiver: Receiver, timestamp: int, signed: bytes, reply: Reply, changed: Transformed | None
    ) -> str:
        if changed is None or not (changed.headers or _has_other_method(changed)):
            return recorded_headers(configured(receiver.headers), timestamp, signed, reply, self._family)
        own = configured.__wrapped__((*receiver.headers, *changed.headers))  # not cached: they may differ each time
        return recorded_headers(own, timestamp, signed, reply, self._family, method=changed.method)

    def _directive(self, reply: Reply) -> ReceiverDirective:
        """Return what the receiver requests, also by the status 410."""
        header = reply.webhook_delivery
        directive = _NO_DIRECTIVE if header is None else parse_directive(header)
        if reply.status == GONE and self._options.gone_disables and not reply.is_invalid:
            directive |= ReceiverDirective.GONE
        return directive

    def _next_at(self, delivery: Delivery, reply: Reply) -> int | None:
        if delivery.manual:
            return None
        hint = RetryHint(reply.timed_out, reply.retry_after)
        now = self._clock.now()
        wait = next_wait_ms(self._options.schedule, delivery.attempts, hint, now=now, chance=random.random())  # noqa: S311 - jitter
        return None if wait is None else now + wait


def _has_other_method(changed: Transformed | None) -> bool:
    return changed is not None and changed.method != "POST"
