# SPDX-License-Identifier: MIT
"""What a node does once an hour: partitions, expired rows and payloads, and the janitor."""

import asyncio
from collections.abc import Coroutine
from typing import Final

from tidings import terms
from tidings.clock import HOUR, MINUTE, SECOND, Clock
from tidings.core import (
    api_keys,
    health,
    message_retention,
    operational,
    operational_endpoints,
    retention,
    sessions,
)
from tidings.core.keyring import Keyring
from tidings.core.notifier import Notifier
from tidings.core.signing import encrypt_stored_secrets
from tidings.core.state_changes import EVENTS_ONLY, StateReporter
from tidings.core.tuning import CoreTuning
from tidings.logs import log
from tidings.model.encryption import Encryption
from tidings.observe import RepeatedWork, count, counters, failure
from tidings.settings import Settings
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Database
from tidings.storage.tables import idempotency
from tidings.tasks.kinds import janitor, rollup
from tidings.tasks.registry import KINDS

_EXPIRE_CHUNK: Final = 1_000


def _settled() -> int:
    """Return the number of attempts that this process has settled."""
    return sum(number for name, number in counters.items() if name.startswith(("attempts.", "deliveries.delivered")))


class Housekeeping:
    """Work at the start and once an hour, on each node. All of it is idempotent."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        notifier: Notifier,
        encryption: Encryption,
        message_retention: int | None = None,
        reporter: StateReporter = EVENTS_ONLY,
    ) -> None:
        """`message_retention` is the age in milliseconds at which messages are deleted; None if they are kept."""
        self._db = db
        self._clock = clock
        self._notifier = notifier
        self._encryption = encryption
        self._message_retention = message_retention
        self._reporter = reporter

    def loops(self, keyring: Keyring) -> list[Coroutine[object, object, None]]:
        """Return the loops beside the roles of the node, to be canceled at its stop."""
        return [
            self.run_hourly(),
            self.roll_up(),
            self.warn_of_disabling(),
            self.record_key_uses(keyring),
            self.encrypt_older_secrets(),
        ]

    async def encrypt_older_secrets(self) -> None:
        """Encrypt the secrets, headers and variables that were stored before there was a main secret."""
        try:
            count = await encrypt_stored_secrets(self._db, self._encryption)
            if count:
                log.info("secrets.encrypted", "older secrets, headers and variables are encrypted", endpoints=count)
        except Exception as error:  # noqa: BLE001 - the next start continues; clear text stays readable
            failure("encrypting older secrets", error)

    async def run_hourly(self) -> None:
        """Run housekeeping once an hour. The only writer skips it if there was no activity since.

        What expires with time starts at once: a node may never run for an hour.
        """
        while True:
            await self._expire_payloads()
            await self._delete_old_messages()
            before = counters.total()
            await asyncio.sleep(HOUR / SECOND)
            if counters.total() != before or not self._db.has_one_writer:
                await self.run_once()

    async def record_key_uses(self, keyring: Keyring) -> None:
        """Record once a minute when API keys were last used, and at the end."""
        work = RepeatedWork("recording the uses of API keys")
        while True:
            try:
                await asyncio.sleep(CoreTuning().key_use_seconds)
                await keyring.record_uses()
            except Exception as error:  # noqa: BLE001 - the next run is in a minute
                work.failed(error)
            else:
                work.passed()

    async def roll_up(self) -> None:
        """Look once a minute whether attempts have to be counted, and start the task that does."""
        work = RepeatedWork("starting the rollup")
        while True:
            before = _settled()
            await asyncio.sleep(MINUTE / SECOND)
            try:
                is_active = _settled() != before
                await rollup.start_if_due(self._db, self._clock, self._notifier, KINDS, is_active=is_active)
            except Exception as error:  # noqa: BLE001 - the next look is in a minute
                work.failed(error)
            else:
                work.passed()

    async def warn_of_disabling(self) -> None:
        """Look once a minute for endpoints that will be disabled, and report them."""
        work = RepeatedWork("warning of endpoints that will be disabled")
        while True:
            try:
                await self._reporter.warn_of_disabling(self._db, self._clock.now())
            except Exception as error:  # noqa: BLE001 - the next look is in a minute
                work.failed(error)
            else:
                work.passed()
            await asyncio.sleep(MINUTE / SECOND)

    async def _expire_payloads(self) -> None:
        """Delete expired payloads. They expire with time, so this runs without activity, too."""
        try:
            count("payloads.expired", await retention.expire(self._db, self._clock.now()))
        except Exception as error:  # noqa: BLE001 - the next run is in an hour
            failure("expiring payloads", error)

    async def _delete_old_messages(self) -> None:
        """Delete the messages that are older than their retention, after their payloads."""
        if self._message_retention is None:
            return
        try:
            await message_retention.delete_old(self._db, self._clock.now(), self._message_retention)
        except Exception as error:  # noqa: BLE001 - the next run is in an hour
            failure("deleting old messages", error)

    async def run_once(self) -> None:
        """Create partitions and event types in advance, start the janitor, and delete expired records in chunks."""
        try:
            await store.create_partitions(self._db, self._clock.now())
            await operational_endpoints.register_types(self._db, self._clock.now())
            await operational.prune(self._db, self._clock.now())
            await health.prune_idle_limits(self._db, self._clock.now())
            await sessions.prune_revocations(self._db, self._clock.now())
            await api_keys.prune(self._db, self._clock.now())
            await janitor.start_if_due(self._db, self._clock, self._notifier, KINDS)
            expired = _EXPIRE_CHUNK
            while expired == _EXPIRE_CHUNK:
                async with self._db.write() as tx:
                    expired = await idempotency.expire(tx, now=self._clock.now(), limit=_EXPIRE_CHUNK)
        except Exception as error:  # noqa: BLE001 - the next run is in an hour
            failure("housekeeping", error)


def housekeeping_of(
    settings: Settings, db: Database, clock: Clock, notifier: Notifier, encryption: Encryption
) -> Housekeeping:
    """Return the housekeeping of a process."""
    reporter = StateReporter(mails=bool(settings.notify_email))
    return Housekeeping(db, clock, notifier, encryption, terms.message_retention(settings), reporter)
