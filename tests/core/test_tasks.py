# SPDX-License-Identifier: MIT
"""Task use cases: start one within the limits, list an organization's own, and command it."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.kit import KIND, ORG, new_task, reread, rows, run_sql, services_of, start
from tasks.seed_data import an_endpoint
from tidings.clock import DAY, HOUR, MINUTE, ManualClock
from tidings.core import tasks as use_cases
from tidings.core.notifier import Notifier
from tidings.core.services import Services
from tidings.errors import AppError, ErrorKind, Fault
from tidings.ids import AppId, OrgId
from tidings.model.app import App
from tidings.model.page import Cursor, Order
from tidings.model.task import NewTask, State, Task, TaskPolicy, WireStatus
from tidings.model.token import Principal
from tidings.storage.drivers.database import Database
from tidings.storage.tables import claims, tasks
from tidings.tasks.kinds import recover
from tidings.tasks.resending import ResendWindow

OWNER = Principal(ORG)
NOW = 1_700_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def services(db: Database, clock: ManualClock) -> Services:
    return services_of(db, clock)


async def _run(services: Services) -> Task:
    async with services.db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        task = await claims.claim(tx, TaskPolicy(), [KIND], "w", services.clock.now())
    assert task is not None
    return task


# --- start


async def test_a_started_task_wakes_the_runner_after_the_commit(db: Database, clock: ManualClock) -> None:
    woken: list[str] = []
    services = services_of(db, clock, Notifier(tasks=lambda: woken.append("bell")))
    async with db.write() as tx:
        task = await use_cases.start(services, tx, new_task())
        assert woken == []

    assert woken == ["bell"]
    assert (await reread(db, task.id)).state is State.QUEUED


async def test_a_rolled_back_task_wakes_no_runner(db: Database, clock: ManualClock) -> None:
    woken: list[str] = []
    services = services_of(db, clock, Notifier(tasks=lambda: woken.append("bell")))

    async def taken_back() -> None:
        async with db.write() as tx:
            await use_cases.start(services, tx, new_task())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await taken_back()

    assert woken == []
    assert await rows(db, "SELECT id FROM task") == []


async def test_a_tenant_has_at_most_a_thousand_unfinished_tasks(db: Database, services: Services) -> None:
    async with db.write() as tx:
        for _ in range(1_000):
            await use_cases.start(services, tx, new_task(app="app_1"))
    await run_sql(db, "UPDATE task SET state = 'paused' WHERE fair_round % 2 = 0")

    with pytest.raises(AppError) as refused:
        await start(services, new_task(app="app_1"))
    assert refused.value.kind is ErrorKind.TOO_MANY

    await start(services, new_task(app="app_2"))
    cancelled = (await rows(db, "SELECT id FROM task WHERE tenant = 'app_1' LIMIT 1"))[0][0]
    await use_cases.cancel(services, OWNER, cancelled)
    await start(services, new_task(app="app_1"))


# --- list


def listed(*, kind: str = "message.broadcast", app: str | None = None) -> NewTask:
    """Return a task of a kind that lists show."""
    return replace(new_task(app=app), kind=kind)


async def test_each_caller_sees_its_own_tasks(services: Services) -> None:
    mine = await start(services, listed(app="app_1"))
    theirs = await start(services, listed(app="app_2"))
    portal = Principal(ORG, AppId("app_1"))

    assert (await use_cases.get(services, portal, mine.id)).id == mine.id
    for principal, task in ((portal, theirs), (Principal(OrgId("org_other")), mine)):
        with pytest.raises(AppError) as refused:
            await use_cases.get(services, principal, task.id)
        assert refused.value.kind is ErrorKind.NOT_FOUND
    page = await use_cases.page(services, portal, Cursor(Order.DESCENDING))
    assert [task.id for task in page.items] == [mine.id]


async def test_the_list_pages_both_ways_and_ends_after_ninety_days(services: Services, clock: ManualClock) -> None:
    old = await start(services, listed())
    clock.advance(90 * DAY + MINUTE)
    made = []
    for _ in range(5):
        clock.advance(1_000)
        made.append((await start(services, listed())).id)
    newest = made[::-1]

    async def page(order: Order, limit: int, iterator: str | None) -> tuple[list[str], bool]:
        found = await use_cases.page(services, OWNER, Cursor(order, limit, iterator))
        return [task.id for task in found.items], found.done

    assert await page(Order.DESCENDING, 2, None) == (newest[:2], False)
    assert await page(Order.DESCENDING, 2, newest[1]) == (newest[2:4], False)
    assert await page(Order.DESCENDING, 2, newest[3]) == (newest[4:], True)
    assert await page(Order.DESCENDING, 2, f"-{newest[3]}") == (newest[1:3], False)
    assert await page(Order.ASCENDING, 50, None) == (made, True)
    assert await page(Order.ASCENDING, 2, f"-{made[2]}") == (made[:2], True)
    assert (await use_cases.get(services, OWNER, old.id)).id == old.id


async def test_the_list_is_filtered_by_status_and_kind(services: Services) -> None:
    running = await start(services, listed())
    cancelled = await start(services, listed(kind="sdk.generate"))
    await use_cases.cancel(services, OWNER, cancelled.id)

    async def found(status: WireStatus | None, kind: str | None) -> list[str]:
        page = await use_cases.page(services, OWNER, Cursor(Order.DESCENDING), status=status, kind=kind)
        return [task.id for task in page.items]

    assert await found(WireStatus.RUNNING, None) == [running.id]
    assert await found(WireStatus.FAILED, None) == [cancelled.id]
    assert await found(WireStatus.FINISHED, None) == []
    assert await found(None, "sdk.generate") == [cancelled.id]
    assert await found(WireStatus.FAILED, "message.broadcast") == []


# --- command


async def test_a_pause_takes_the_task_from_its_worker_immediately(services: Services, clock: ManualClock) -> None:
    task = await start(services, new_task())
    running = await _run(services)
    paused = await use_cases.pause(services, OWNER, task.id)
    assert (paused.state, paused.epoch) == (State.PAUSED, running.epoch + 1)
    again = await use_cases.pause(services, OWNER, task.id)
    assert (again.state, again.epoch) == (State.PAUSED, paused.epoch)

    clock.advance(1)
    resumed = await use_cases.resume(services, OWNER, task.id)

    assert (resumed.state, resumed.failed_attempts) == (State.QUEUED, 0)
    assert (await _run(services)).id == task.id


async def test_a_canceled_task_stays_canceled(services: Services) -> None:
    task = await start(services, new_task())
    cancelled = await use_cases.cancel(services, OWNER, task.id)
    again = await use_cases.cancel(services, OWNER, task.id)

    assert cancelled.state is again.state is State.CANCELLED
    assert cancelled.error == use_cases.CANCELLED
    for command in (use_cases.pause, use_cases.resume, use_cases.retry):
        with pytest.raises(AppError) as refused:
            await command(services, OWNER, task.id)
        assert (refused.value.kind, refused.value.code) == (ErrorKind.CONFLICT, "invalid_state")
        assert refused.value.detail.endswith("a task that has been canceled.")


async def test_a_command_to_a_task_of_another_caller_is_not_found(services: Services) -> None:
    task = await start(services, new_task(app="app_1"))
    stranger = Principal(ORG, AppId("app_2"))
    for command in (use_cases.pause, use_cases.resume, use_cases.retry, use_cases.cancel):
        with pytest.raises(AppError) as refused:
            await command(services, stranger, task.id)
        assert refused.value.kind is ErrorKind.NOT_FOUND


async def test_commands_are_recorded_as_task_events(services: Services) -> None:
    task = await start(services, new_task())
    await use_cases.pause(services, OWNER, task.id)
    await use_cases.resume(services, OWNER, task.id)
    await _run(services)
    await use_cases.cancel(services, OWNER, task.id)

    async with services.db.read() as read:
        recorded = [(seq, name) for seq, _, name, _ in await tasks.events(read, task.id)]
    assert recorded == [(1, "created"), (2, "paused"), (3, "resumed"), (4, "cancelled")]


# --- recover


async def _recover(services: Services, app: App, **wanted: object) -> Task:
    given: dict[str, Any] = {"since": NOW - HOUR, "until": None, "created_by": "me", **wanted}
    async with services.db.write() as tx:
        new = await recover.build_task(services, tx, app, ResendWindow(**given))
        return await use_cases.start(services, tx, new)


async def test_a_recovery_belongs_to_its_application_and_locks_its_endpoint(services: Services) -> None:
    seed = await an_endpoint(services.db, NOW - DAY)

    task = await _recover(services, seed.app, endpoint_ref=seed.endpoint_id)

    assert (task.kind, task.app_id, task.tenant) == ("endpoint.recover", seed.app.id, seed.app.id)
    assert (task.lock_key, task.created_by) == (f"endpoint:{seed.endpoint_id}", "me")


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOW - 14 * DAY - 5 * MINUTE, None),
        (NOW - 20 * DAY, NOW - 6 * DAY),
        (NOW - HOUR, NOW + DAY),
        (NOW, None),
        (NOW + 1, None),
        (NOW + 5 * MINUTE, None),
        (NOW + 5 * MINUTE, NOW + HOUR),
    ],
)
async def test_a_range_slightly_over_fourteen_days_may_be_recovered(
    services: Services, since: int, until: int | None
) -> None:
    seed = await an_endpoint(services.db, NOW - DAY)

    assert (await _recover(services, seed.app, endpoint_ref=seed.endpoint_id, since=since, until=until)).id


@pytest.mark.parametrize(
    ("since", "until", "wrong"),
    [
        (NOW - 14 * DAY - 5 * MINUTE - 1, None, "Cannot recover more than 14 days of messages"),
        (NOW - 30 * DAY, NOW - 10 * DAY, "Cannot recover more than 14 days of messages"),
        (NOW - HOUR, NOW - 2 * HOUR, "'since' must not be later than 'until'"),
        (NOW + 5 * MINUTE + 1, None, "'since' must not be in the future"),
        (NOW + 5 * MINUTE + 1, NOW + HOUR, "'since' must not be in the future"),
        (NOW + 2, NOW + 1, "'since' must not be later than 'until'"),
    ],
)
async def test_a_range_that_is_too_long_or_reversed_is_refused(
    services: Services, since: int, until: int | None, wrong: str
) -> None:
    seed = await an_endpoint(services.db, NOW - DAY)

    with pytest.raises(AppError) as refused:
        await _recover(services, seed.app, endpoint_ref=seed.endpoint_id, since=since, until=until)

    assert refused.value.faults == (Fault(("body", "since"), wrong),)
    assert await rows(services.db, "SELECT id FROM task") == []


async def test_an_unknown_endpoint_is_not_found_and_a_disabled_one_refused(services: Services) -> None:
    seed = await an_endpoint(services.db, NOW - DAY)
    disabled = await an_endpoint(services.db, NOW - DAY, disabled=True)

    with pytest.raises(AppError) as unknown:
        await _recover(services, seed.app, endpoint_ref=disabled.endpoint_id)
    with pytest.raises(AppError) as refused:
        await _recover(services, disabled.app, endpoint_ref=disabled.endpoint_id)

    assert unknown.value.kind is ErrorKind.NOT_FOUND
    assert refused.value.kind is ErrorKind.INVALID
    assert "disabled" in refused.value.faults[0].msg
