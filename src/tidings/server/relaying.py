# SPDX-License-Identifier: MIT
"""The loop that passes operational events on: to the relay, or to `operational_webhook_address`."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from tidings.clock import HOUR, Clock
from tidings.core import operational
from tidings.core.access import issue_org_token
from tidings.core.notifier import Notifier
from tidings.core.operational_relay import Relay
from tidings.core.signer import Signer
from tidings.core.tuning import CoreTuning
from tidings.delivery.operational_post import OperationalPoster, PostOptions
from tidings.ids import MANAGEMENT_ORG
from tidings.observe import RepeatedWork
from tidings.settings import Settings
from tidings.storage.drivers.database import Database

_TOKEN_MS: Final = HOUR


class EventSink(Protocol):
    """Takes stored events: the relay, or the poster."""

    async def pass_on(self) -> bool:
        """Take one batch of events; return whether there may be more of them."""
        ...

    async def close(self) -> None:
        """Close the connections, if there are any."""
        ...


class RelayLoop:
    """Passes events on after each commit that stores some, and whenever it is woken."""

    def __init__(self, open_sink: Callable[[], EventSink], tuning: CoreTuning = CoreTuning()) -> None:
        self._open_sink = open_sink
        self._tuning = tuning
        self._woken = asyncio.Event()
        self._work = RepeatedWork("sending operational events")

    def wake(self) -> None:
        """Look for events now."""
        self._woken.set()

    async def run(self) -> None:
        """Pass events on until canceled. The first look finds those that an earlier process left."""
        sink = self._open_sink()
        operational.listeners.add(self.wake)
        try:
            while True:
                await self._drain(sink)
                await self._woken.wait()
                self._woken.clear()
                await asyncio.sleep(self._tuning.relay_linger_seconds)
        finally:
            operational.listeners.discard(self.wake)
            await sink.close()

    async def _drain(self, sink: EventSink) -> None:
        """Pass all events on; after a failure, pause and go on."""
        pause = self._tuning.relay_pause_seconds
        while True:
            try:
                while await sink.pass_on():
                    pause = self._tuning.relay_pause_seconds
            except Exception as error:  # noqa: BLE001 - the events stay stored
                self._work.failed(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._tuning.relay_longest_pause_seconds)
            else:
                self._work.passed()
                return


def relay_loop(
    settings: Settings, db: Database, clock: Clock, notifier: Notifier, *, secret: str, node: int
) -> RelayLoop:
    """Return the loop of a process; `secret` signs tokens, and `node` is the number of the process."""
    address = settings.operational_webhook_address
    if not address:
        return RelayLoop(lambda: Relay(db, clock, notifier))

    def token() -> str:
        return issue_org_token(Signer(secret, settings.jwt_algorithm), MANAGEMENT_ORG, clock.now(), _TOKEN_MS)

    options = PostOptions(
        address=address.rstrip("/"),
        token=token,
        timeout_seconds=settings.worker_request_timeout,
        verify_tls=not settings.dangerous_disable_tls_verification,
        node=node,
    )
    return RelayLoop(lambda: OperationalPoster(db, clock, options))
