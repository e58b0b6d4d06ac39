# SPDX-License-Identifier: MIT
"""Notifications by e-mail: gathers changes of the state of endpoints into mails, and sends one mail at a time.

A change is stored in the transaction that makes it. A mail has all changes that wait, and there is at most one a
minute, so an outage of ten thousand endpoints is a few mails. One node sends it, outside of transactions, under a claim
that outlasts the time of the mail server. If the node dies before it reports the result, another one sends the mail
again, with the same Message-ID: it is sent at least once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tidings import ids
from tidings.clock import SECOND, Clock
from tidings.core.tuning import CoreTuning
from tidings.errors import ExternalError
from tidings.failpoint import point
from tidings.logs import log
from tidings.observe import count
from tidings.storage.drivers.database import Database, Write, retried
from tidings.storage.tables import notifications
from tidings.storage.tables.notifications import ClaimedMail, Notification

_DOUBLINGS: Final = 16


class MailError(ExternalError):
    """A mail was not sent; the message has the reason. `is_refusal`: the server will not take it later either."""

    def __init__(self, reason: str, *, is_refusal: bool = False) -> None:
        super().__init__(reason)
        self.is_refusal = is_refusal


@dataclass(frozen=True, slots=True)
class MailContent:
    """What a mail reports: the first changes in the order of their timestamps, and the number of all by type."""

    id: str
    created_at: int
    changes: Sequence[Notification]
    counts: Mapping[str, int]


class MailClient(Protocol):
    """A client of a mail server."""

    @property
    def place(self) -> str:
        """The host and the port of the server."""
        ...

    async def send(self, content: MailContent) -> None:
        """Send a mail. Raises `MailError` unless the server has taken it for at least one recipient."""
        ...

    async def check(self) -> None:
        """Connect and sign in, without a mail. Raises `MailError` with the reason."""
        ...


SendMail = Callable[[MailContent], Awaitable[None]]
"""Sends a mail; raises `MailError`."""


class Mailer:
    """Sends the mails of a database, together with the other nodes."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        send: SendMail,
        tuning: CoreTuning = CoreTuning(),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._db = db
        self._clock = clock
        self._send = send
        self._tuning = tuning
        self._chance = chance

    async def start(self) -> None:
        """Free the claim of an earlier process, if no other process can use the database."""
        if self._db.has_one_writer:
            await self._write(lambda tx: notifications.free_mail(tx, self._clock.now()))

    async def send_due(self) -> bool:
        """Begin a mail if changes wait and it is time, and send the one that is due; return whether one was sent.

        Raises `MailError` if the server did not take it, and `StorageError`.
        """
        async with self._db.read() as read:
            found = await notifications.waiting(read)
        claim = f"{random.getrandbits(64):016x}"
        mail: ClaimedMail | None = None
        if found.due_at is not None and found.due_at <= self._clock.now():
            mail = await retried(lambda: self._claimed(claim))
        elif found.due_at is None and found.has_notifications:
            mail = await retried(lambda: self._begun(claim))
        if mail is None:
            return False
        await self._send_claimed(mail, claim)
        return True

    async def _begun(self, claim: str) -> ClaimedMail | None:
        """Begin a mail that this node sends, unless another one was begun within the last minute."""
        async with self._db.write(background=True) as tx:
            now = self._clock.now()
            if not await notifications.take_turn(tx, now=now, until=now + self._ms(self._tuning.mail_gather_seconds)):
                return None
            mail_id = ids.new(ids.MAIL, now)
            until, limit = now + self._ms(self._tuning.mail_claim_seconds), self._tuning.mail_notifications
            is_begun = await notifications.begin_mail(tx, mail_id, claim, now=now, until=until, limit=limit)
        return ClaimedMail(mail_id, now, 0) if is_begun else None

    async def _claimed(self, claim: str) -> ClaimedMail | None:
        async with self._db.write(background=True) as tx:
            now = self._clock.now()
            until = now + self._ms(self._tuning.mail_claim_seconds)
            return await notifications.claim_mail(tx, claim, now=now, until=until)

    async def _send_claimed(self, mail: ClaimedMail, claim: str) -> None:
        async with self._db.read() as read:
            changes, counts = await notifications.of_mail(read, mail.id, limit=self._tuning.mail_listed)
        try:
            if changes:  # none if their organization was wiped
                async with asyncio.timeout(self._tuning.mail_send_seconds):
                    await self._send(MailContent(mail.id, mail.created_at, changes, counts))
                count("mails.sent")
        except (MailError, TimeoutError) as error:
            found = error if isinstance(error, MailError) else MailError("the mail server did not respond in time")
            count("mails.failed")
            await self._note_failure(mail, claim, found)
            raise found from None
        point("mail.before_record")
        await self._write(lambda tx: notifications.end_mail(tx, mail.id, claim))

    async def _note_failure(self, mail: ClaimedMail, claim: str, error: MailError) -> None:
        now, failures = self._clock.now(), mail.failures + 1
        is_hopeless = error.is_refusal and failures >= self._tuning.mail_refusals
        if is_hopeless or now - mail.created_at >= self._ms(self._tuning.mail_keep_seconds):
            log.error("mail.dropped", "a mail about endpoints could not be sent and is dropped", error=error)
            await self._write(lambda tx: notifications.end_mail(tx, mail.id, claim))
            return
        seconds = self._tuning.mail_pause_seconds * 2 ** min(mail.failures, _DOUBLINGS)
        pause = min(seconds, self._tuning.mail_longest_pause_seconds) * (0.8 + 0.4 * self._chance())
        await self._write(lambda tx: notifications.retry_mail(tx, mail.id, claim, now + self._ms(pause)))

    async def _write(self, work: Callable[[Write], Awaitable[None]]) -> None:
        async def transaction() -> None:
            async with self._db.write(background=True) as tx:
                await work(tx)

        await retried(transaction)

    @staticmethod
    def _ms(seconds: float) -> int:
        return round(seconds * SECOND)
