# SPDX-License-Identifier: MIT
"""From a delivery in memory to a request on the wire, and from the reply to what is settled."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tidings import __version__, ids
from tidings.clock import SECOND, Clock
from tidings.core.ledger import FAILING_AFTER, Sign
from tidings.delivery.client import Client, Reply, Target, compile_target
from tidings.delivery.line import Cancellable
from tidings.delivery.outcome import (
    GONE,
    Refusal,
    Wish,
    is_delivered,
    next_wait_ms,
    response_text,
    troubles_of,
    wish_of,
)
from tidings.delivery.settle import Outcome
from tidings.model.routing import Receiver, Send

_SUCCESS: Final = 0
_FAIL: Final = 2
_COMPILED: Final = 4_096


@dataclass(frozen=True, slots=True)
class Manner:
    """How messages are sent."""

    schedule: tuple[int, ...]
    """Seconds to wait after each failed automatic attempt."""
    whitelabel: bool = False
    gone_disables: bool = True
    """Whether 410 Gone disables the endpoint."""


class _Unsendable:
    """A request that could not even be formed: it has ended before it began."""

    def cancel(self) -> None:
        """Nothing is under way."""


class Courier:
    """Sends one delivery at a time, as often as it is asked to; `ended` is told what came of each."""

    def __init__(
        self, client: Client, clock: Clock, manner: Manner, ended: Callable[[Outcome], None], marked: set[str]
    ) -> None:
        """`marked` is told of endpoints with a record of failures, as they are sent to."""
        self._client = client
        self._clock = clock
        self._manner = manner
        self._ended = ended
        self._marked = marked
        self._targets: dict[Receiver, Target] = {}

    def start(self, send: Send) -> Cancellable:
        """Sign a message and send it; never raises: what cannot be sent is a failed attempt."""
        receiver = send.receiver
        began = self._clock.now()
        timestamp = began // SECOND

        def done(reply: Reply) -> None:
            self._ended(self._outcome(send, receiver, began, reply))

        try:
            target = self._targets.get(receiver) or self._compiled(receiver)
            signed = receiver.ring.sign(send.msg_id, timestamp, send.payload)
            return self._client.send(target, send.msg_id, timestamp, signed, send.payload, done)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this endpoint's, and no other's
            reply = Reply(0, b"", 0, f"error forming request: {error}")
            asyncio.get_running_loop().call_soon(done, reply)
            return _Unsendable()

    def _compiled(self, receiver: Receiver) -> Target:
        if len(self._targets) >= _COMPILED:
            self._targets.clear()
        target = compile_target(
            receiver.url, version=__version__, headers=dict(receiver.headers), whitelabel=self._manner.whitelabel
        )
        self._targets[receiver] = target
        if receiver.is_marked:
            self._marked.add(receiver.id)
        return target

    def _outcome(self, send: Send, receiver: Receiver, began: int, reply: Reply) -> Outcome:
        delivered = is_delivered(reply.status) and not reply.is_invalid
        wish = Wish.NOTHING if reply.webhook_delivery is None else wish_of(reply.webhook_delivery)
        if reply.status == GONE and self._manner.gone_disables and not reply.is_invalid:
            wish |= Wish.GONE
        next_at = None if delivered or wish else self._next_at(send, reply)
        text = response_text(reply.body) if reply.error is None else reply.error
        attempt = (
            send.msg_id,
            ids.new(ids.ATTEMPT, began),
            receiver.id,
            receiver.app_id,
            receiver.org_id,
            receiver.url,
            _SUCCESS if delivered else _FAIL,
            reply.status,
            text.replace("\0", "�"),
            reply.duration_ms,
            int(send.manual),
            next_at if not send.manual or delivered or wish else send.retry_at,
            send.task_id,
        )
        if delivered and not wish and send.attempts < FAILING_AFTER:
            return Outcome(send, attempt, delivered)
        return Outcome(
            send,
            attempt,
            delivered,
            next_at,
            aborted=bool(wish) and not delivered,
            unanswered=reply.status == 0,
            signs=tuple(
                Sign(trouble, receiver, send.msg_id, attempt[1], reply.status)
                for trouble in troubles_of(send, wish, delivered=delivered, is_last=next_at is None)
            ),
        )

    def _next_at(self, send: Send, reply: Reply) -> int | None:
        if send.manual:
            return None
        refusal = Refusal(reply.timed_out, reply.retry_after)
        now = self._clock.now()
        wait = next_wait_ms(self._manner.schedule, send.attempts, refusal, now=now, chance=random.random())  # noqa: S311 - jitter
        return None if wait is None else now + wait
