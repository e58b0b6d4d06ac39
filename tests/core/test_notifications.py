# SPDX-License-Identifier: MIT
"""Changes become mails: all of them, few mails, and each at least once, whatever node or mail server fails."""

import asyncio
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from message_path import add_app, add_endpoint
from tidings import ids
from tidings.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from tidings.core import operational, wiping
from tidings.core.notifications import MailContent, Mailer, MailError
from tidings.core.state_changes import StateReporter
from tidings.core.tuning import CoreTuning
from tidings.ids import DEFAULT_ORG, OrgId
from tidings.storage.drivers.database import Database
from tidings.storage.tables import health, notifications

FAILING, RECOVERED, DISABLED = (
    operational.ENDPOINT_FAILING,
    operational.ENDPOINT_RECOVERED,
    operational.ENDPOINT_DISABLED,
)


@dataclass
class Office:
    """Nodes that mail, and what reached the mail server."""

    db: Database
    app: str
    clock: ManualClock = field(default_factory=ManualClock)
    sent: list[MailContent] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    tuning: CoreTuning = CoreTuning()

    def mailer(self) -> Mailer:
        return Mailer(self.db, self.clock, self._send, self.tuning, chance=lambda: 0.5)

    async def _send(self, content: MailContent) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.sent.append(content)

    async def change(self, endpoint: str, type_: str = FAILING, *, org: OrgId = DEFAULT_ORG) -> None:
        self.clock.advance(ids.STEP_MS)
        async with self.db.write() as tx:
            await notifications.add(tx, endpoint, type_, org, {"failSince": None}, self.clock.now())

    async def endpoint(self) -> str:
        return await add_endpoint(self.db, self.app, "https://hooks.example.com/")

    async def rows(self, table: str) -> int:
        async with self.db.read() as read:
            return int((await read.one(f"SELECT count(*) AS n FROM {table}"))["n"])

    async def fails(self) -> MailError:
        with pytest.raises(MailError) as raised:
            await self.mailer().send_due()
        return raised.value

    def reported(self) -> list[list[tuple[str, str]]]:
        return [[(each.endpoint_id, each.type) for each in content.changes] for content in self.sent]


@pytest_asyncio.fixture
async def office(db: Database) -> Office:
    return Office(db, await add_app(db))


async def test_a_change_is_mailed_once(office: Office) -> None:
    endpoint = await office.endpoint()
    await office.change(endpoint)

    assert [True, False] == [await office.mailer().send_due() for _ in range(2)]
    office.clock.advance(HOUR)
    assert not await office.mailer().send_due()

    assert [[(endpoint, FAILING)]] == office.reported()
    assert (0, 0) == (await office.rows("notification"), await office.rows("mail"))


async def test_there_is_one_mail_a_minute_with_all_changes_in_between(office: Office) -> None:
    endpoints = [await office.endpoint() for _ in range(3)]
    await office.change(endpoints[0])
    assert await office.mailer().send_due()
    for each in endpoints[1:]:
        await office.change(each)

    office.clock.advance(59 * SECOND)
    assert not await office.mailer().send_due()
    office.clock.advance(2 * SECOND)
    assert await office.mailer().send_due()

    assert [[(endpoints[0], FAILING)], [(each, FAILING) for each in endpoints[1:]]] == office.reported()


async def test_nodes_that_look_at_the_same_time_send_one_mail(office: Office) -> None:
    for _ in range(5):
        await office.change(await office.endpoint())

    await asyncio.gather(*(office.mailer().send_due() for _ in range(8)))

    assert [5] == [len(each.changes) for each in office.sent]
    assert (0, 0) == (await office.rows("notification"), await office.rows("mail"))


async def test_an_outage_of_many_endpoints_is_one_mail_that_counts_them(office: Office) -> None:
    office.tuning = CoreTuning(mail_listed=10)
    for _ in range(40):
        await office.change(await office.endpoint())

    assert await office.mailer().send_due()

    [content] = office.sent
    assert (10, {FAILING: 40}) == (len(content.changes), content.counts)
    assert 0 == await office.rows("notification")


async def test_more_changes_than_a_mail_takes_follow_in_the_next(office: Office) -> None:
    office.tuning = CoreTuning(mail_notifications=3)
    for _ in range(5):
        await office.change(await office.endpoint())

    for _ in range(3):
        await office.mailer().send_due()
        office.clock.advance(61 * SECOND)

    assert [3, 2] == [len(each.changes) for each in office.sent]


async def test_an_endpoint_that_flaps_waits_in_one_row_for_each_state(office: Office) -> None:
    endpoint = await office.endpoint()
    for _ in range(20):
        await office.change(endpoint, FAILING)
        await office.change(endpoint, RECOVERED)

    assert 2 == await office.rows("notification")
    assert await office.mailer().send_due()
    assert [[(endpoint, FAILING), (endpoint, RECOVERED)]] == office.reported()


async def test_a_node_that_dies_before_it_records_the_mail_sends_it_again_under_its_name(office: Office) -> None:
    endpoint = await office.endpoint()
    await office.change(endpoint)

    async def dies(content: MailContent) -> None:
        office.sent.append(content)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Mailer(office.db, office.clock, dies).send_due()
    office.clock.advance(179 * SECOND)
    early = await office.mailer().send_due()
    office.clock.advance(2 * SECOND)

    assert (False, True, False) == (early, await office.mailer().send_due(), await office.mailer().send_due())
    assert [[(endpoint, FAILING)]] * 2 == office.reported()
    assert 1 == len({each.id for each in office.sent}) == len({each.created_at for each in office.sent})


async def test_the_claim_outlasts_the_time_that_a_mail_server_may_take() -> None:
    assert 2 * CoreTuning().mail_send_seconds < CoreTuning().mail_claim_seconds


async def test_the_only_process_of_a_database_need_not_wait_for_the_claim_of_an_earlier_one(office: Office) -> None:
    await office.change(await office.endpoint())

    async def dies(_content: MailContent) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Mailer(office.db, office.clock, dies).send_due()
    await office.mailer().start()

    assert office.db.has_one_writer == await office.mailer().send_due()


async def test_a_mail_server_that_is_down_gets_the_mail_after_growing_pauses(office: Office) -> None:
    await office.change(await office.endpoint())
    office.faults = [MailError("down")] * 8

    pauses = []
    while office.faults:
        await office.fails()
        before = office.clock.now()
        while not office.sent and office.faults:
            office.clock.advance(MINUTE)
            async with office.db.read() as read:
                due_at = (await notifications.waiting(read)).due_at
            assert due_at is not None
            if due_at <= office.clock.now():
                break
        pauses.append((office.clock.now() - before) // MINUTE)
    office.clock.advance(HOUR)

    assert await office.mailer().send_due()
    assert [1, 2, 4, 8, 16, 30, 30] == pauses[:7]
    assert 1 == len(office.sent)


async def test_changes_during_an_outage_of_the_mail_server_become_one_further_mail(office: Office) -> None:
    first = await office.endpoint()
    await office.change(first)
    office.faults = [MailError("down")]
    await office.fails()
    others = [await office.endpoint() for _ in range(30)]
    for each in others:
        await office.change(each)
        assert 1 == await office.rows("mail")

    office.clock.advance(2 * MINUTE)
    assert [True, True, False] == [await office.mailer().send_due() for _ in range(3)]
    assert [1, 30] == [len(each.changes) for each in office.sent]


async def test_a_change_of_the_type_that_is_being_sent_is_sent_afterwards(office: Office) -> None:
    endpoint = await office.endpoint()
    await office.change(endpoint)

    async def changes(content: MailContent) -> None:
        office.sent.append(content)
        await office.change(endpoint)

    assert await Mailer(office.db, office.clock, changes).send_due()
    office.clock.advance(2 * MINUTE)

    assert await office.mailer().send_due()
    assert 2 == len({each.id for each in office.sent})


async def test_a_mail_that_is_refused_for_good_is_dropped_after_five_attempts(office: Office) -> None:
    await office.change(await office.endpoint())
    office.faults = [MailError("no", is_refusal=True)] * 5
    for _ in range(5):
        await office.fails()
        office.clock.advance(HOUR)

    assert not await office.mailer().send_due()
    assert (0, 0) == (await office.rows("notification"), await office.rows("mail"))


async def test_a_mail_that_nobody_takes_is_dropped_after_three_days(office: Office) -> None:
    await office.change(await office.endpoint())
    office.faults = [MailError("down")] * 2
    await office.fails()
    office.clock.advance(3 * DAY + HOUR)
    await office.fails()

    assert (0, 0) == (await office.rows("notification"), await office.rows("mail"))


async def test_a_mail_server_that_hangs_is_left_after_its_time(office: Office) -> None:
    await office.change(await office.endpoint())

    async def hangs(_content: MailContent) -> None:
        await asyncio.Event().wait()

    with pytest.raises(MailError, match="did not respond in time"):
        await Mailer(office.db, office.clock, hangs, CoreTuning(mail_send_seconds=0.01)).send_due()

    assert 1 == await office.rows("mail")


async def test_a_wipe_takes_the_changes_of_its_organization(office: Office) -> None:
    await office.change(await office.endpoint())
    await wiping.wipe(office.db, DEFAULT_ORG, chunk=100)

    assert 0 == await office.rows("notification")


@pytest.mark.parametrize("mails", [False, True])
async def test_changes_are_stored_for_a_mail_only_if_mails_are_sent(office: Office, mails: bool) -> None:  # noqa: FBT001
    endpoint = await office.endpoint()
    async with office.db.write() as tx:
        now = office.clock.now()
        assert await health.begin(tx, endpoint, now, now + HOUR)
        found = (await health.find(tx, [endpoint]))[endpoint]
        reporter = StateReporter(mails=mails)
        await reporter.report_disabled(tx, found, now)
        await reporter.clear(tx, found, now)
    await reporter.warn_of_disabling(office.db, now)

    assert int(mails) == await office.rows("notification")
    assert 1 == await office.rows("operational_event")
