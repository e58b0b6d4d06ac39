# SPDX-License-Identifier: MIT
"""Posts operational events to another service of the same API, as svix-server does.

An event becomes a message in the application of the management organization whose uid is the id of the organization.
The id of the event is its `eventId`, so an event that is posted twice makes one message: the second post gets a 409. An
event is deleted once it is posted. One node at a time posts, and the others take over when it stops.
"""

import asyncio
import ipaddress
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from tidings import __version__
from tidings.clock import SECOND, Clock
from tidings.core.tuning import CoreTuning
from tidings.delivery.address import AddressPolicy
from tidings.delivery.client import Client, PoolLimits, Reply, RequestTarget, compile_target
from tidings.delivery.dial import tls_context
from tidings.errors import ExternalError
from tidings.failpoint import point
from tidings.ids import MESSAGE
from tidings.observe import failure
from tidings.storage.drivers.database import Database, StorageError, retried
from tidings.storage.tables import operational_events
from tidings.storage.tables.operational_events import StoredEvent

_EVERYWHERE: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
"""The address comes from the settings, so it may be private."""
_DONE: Final = frozenset((404, 409))
"""No such application: the organization has no operational endpoint. Conflict: the event was posted before."""
_REFUSED: Final = frozenset((400, 413, 422))
"""The service refuses the event for good."""
_CONNECTIONS: Final = 8


class PostError(ExternalError):
    """An event could not be posted; the message has the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostOptions:
    """Where and how to post."""

    address: str
    """The URL of the service, without a trailing slash."""
    token: Callable[[], str]
    """Returns a token of the management organization."""
    timeout_seconds: float
    verify_tls: bool
    node: int


class OperationalPoster:
    """Posts the operational events of the database. Create it on a running event loop."""

    def __init__(self, db: Database, clock: Clock, options: PostOptions, tuning: CoreTuning = CoreTuning()) -> None:
        self._db = db
        self._clock = clock
        self._options = options
        self._tuning = tuning
        self._client = Client(
            AddressPolicy(_EVERYWHERE),
            timeout_seconds=options.timeout_seconds,
            limits=PoolLimits(connections_per_origin=_CONNECTIONS, idle_per_origin=_CONNECTIONS),
            tls=tls_context(verify=options.verify_tls),
        )

    async def pass_on(self) -> bool:
        """Post the oldest events and delete them; return whether there may be more events to post.

        Raises `PostError` if the service did not take some of them, and `StorageError`.
        """
        if not (self._db.has_one_writer or await retried(self._take_turn)):
            return False
        limit = self._tuning.posted_events
        async with self._db.read() as read:
            events = await operational_events.oldest(read, limit)
        if not events:
            return False
        token = self._options.token()
        targets = {org_id: self._target(org_id, token) for org_id in {event.org_id for event in events}}
        replies = await asyncio.gather(*(self._posted(event, targets[event.org_id]) for event in events))
        point("post.before_delete")
        settled = [event.id for event, reply in zip(events, replies, strict=True) if _is_settled(event, reply)]
        if settled:
            await retried(lambda: self._delete(settled))
        if len(settled) < len(events):
            raise PostError(_reason(next(reply for reply in replies if not _is_final(reply.status))))
        return len(events) == limit

    async def close(self) -> None:
        """Close the connections, and let another node post at once."""
        await self._client.close()
        if not self._db.has_one_writer:
            with suppress(StorageError):
                async with self._db.write(background=True) as tx:
                    await operational_events.end_turn(tx, self._options.node)

    async def _take_turn(self) -> bool:
        now = self._clock.now()
        until = now + int(self._tuning.posting_turn_seconds * SECOND)
        async with self._db.write(background=True) as tx:
            return await operational_events.take_turn(tx, self._options.node, now=now, until=until)

    async def _delete(self, event_ids: list[str]) -> None:
        async with self._db.write(background=True) as tx:
            await operational_events.delete(tx, event_ids)

    def _target(self, org_id: str, token: str) -> RequestTarget:
        url = f"{self._options.address}/api/v1/app/{quote(org_id, safe='')}/msg"
        headers = {"authorization": f"Bearer {token}", "user-agent": f"tidings/{__version__}"}
        return compile_target(url, version=__version__, headers=headers)

    async def _posted(self, event: StoredEvent, target: RequestTarget) -> Reply:
        """Post an event; a request that fails is a reply without a status."""
        replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(reply: Reply) -> None:
            if not replied.done():
                replied.set_result(reply)

        request = self._client.send(target, event.id, self._clock.now() // SECOND, b"", _body(event), done)
        try:
            return await replied
        except asyncio.CancelledError:
            request.cancel()
            raise


def _body(event: StoredEvent) -> bytes:
    """Return the message as a request body; an event id of a message may not look like the id of a message."""
    body = {
        "eventType": event.type,
        "eventId": f"operational_{event.id.removeprefix(MESSAGE)}",
        "payload": json.loads(event.payload),
        "payloadRetentionPeriod": 14,
    }
    return json.dumps(body, ensure_ascii=False).encode()


def _is_final(status: int) -> bool:
    return 200 <= status < 300 or status in _DONE or status in _REFUSED  # noqa: PLR2004 - success


def _is_settled(event: StoredEvent, reply: Reply) -> bool:
    """Return whether an event needs no further post; log that the service refused it."""
    if reply.status in _REFUSED:
        failure("posting an operational event", PostError(_reason(reply)), org=event.org_id, event_type=event.type)
    return _is_final(reply.status)


def _reason(reply: Reply) -> str:
    if reply.status:
        return f"operational_webhook_address responded with {reply.status}"
    return f"operational_webhook_address did not respond: {reply.error}"
