# SPDX-License-Identifier: MIT
"""Series of totals: closed hours from rollups, later ones from the attempts if there are few."""

import pytest

from tasks.kinds.test_rollup import CLOSED, NOW, add, attempt, run, seeded, truth
from tasks.kit import ORG, services_of
from tasks.seed_data import an_endpoint
from tidings.clock import HOUR, MINUTE, ManualClock
from tidings.core import rollups
from tidings.core.message_retention import delete_old
from tidings.core.rollups import RollupScope, RollupTuning
from tidings.core.services import Services
from tidings.core.wiping import count_prunable, prune
from tidings.model.rollup import NONE, AttemptTotals, HourTotals, Owner, Rollups, Series, hour_of
from tidings.storage.drivers.database import Database

LATER = NOW + 5 * MINUTE
HOURS = range(hour_of(LATER) - 6 * HOUR, LATER, HOUR)
TIGHT = RollupTuning(attempts=2)


@pytest.fixture
def services(db: Database) -> Services:
    return services_of(db, ManualClock(LATER))


def of(found: Rollups, owner: Owner) -> list[AttemptTotals]:
    return [found.get((owner, hour), NONE) for hour in HOURS]


def totals(series: Series) -> list[AttemptTotals]:
    assert list(HOURS) == [each.hour for each in series.hours]
    return [each.totals for each in series.hours]


async def test_a_series_has_the_attempts_up_to_now(db: Database, services: Services) -> None:
    made = await seeded(db)
    await run(db)
    await add(db, [attempt(made[1], LATER - 4), attempt(made[2], LATER - 8, 2)])
    found, app = await truth(db), made[1].app
    scopes = {
        Owner(): RollupScope(),
        Owner(ORG): RollupScope(ORG),
        Owner(ORG, app.id): RollupScope.of_app(app),
        Owner(ORG, app.id, made[1].endpoint_id): RollupScope.of_endpoints(app, [made[1].endpoint_id]),
    }

    for owner, scope in scopes.items():
        series = await rollups.series(services, scope, HOURS.start + 1, LATER)
        assert of(found, owner) == totals(series)
        assert (LATER, LATER) == (series.counted_until, series.exact_until)


async def test_without_any_rollup_a_series_is_counted_from_the_attempts(db: Database, services: Services) -> None:
    await seeded(db)

    series = await rollups.series(services, RollupScope(ORG), HOURS.start, LATER)

    assert of(await truth(db), Owner(ORG)) == totals(series)


@pytest.mark.parametrize("tuning", [TIGHT, RollupTuning(endpoints=2), RollupTuning(hours=0)])
async def test_a_series_with_much_to_count_is_as_old_as_the_last_run(
    db: Database, services: Services, tuning: RollupTuning
) -> None:
    made = await seeded(db)
    await run(db)
    before = await truth(db)
    await add(db, [attempt(made[1], LATER - 4), attempt(made[2], LATER - 8, 2), attempt(made[3], CLOSED + 4)])

    series = await rollups.series(services, RollupScope(ORG), HOURS.start, LATER, tuning)

    assert of(before, Owner(ORG)) == totals(series)
    assert (NOW, CLOSED) == (series.counted_until, series.exact_until)


async def test_the_endpoints_of_a_page_have_a_series_each(db: Database, services: Services) -> None:
    made = await seeded(db)
    await run(db)
    found, app = await truth(db), made[1].app
    page = [made[1].endpoint_id, (await an_endpoint(db, NOW)).endpoint_id]

    several = await rollups.totals_of_endpoints(services, app, page, hours=7)

    assert [(each.delivered, each.failed) for each in of(found, Owner(ORG, app.id, page[0]))] == [
        (each.totals.delivered, each.totals.failed) for each in several[page[0]].hours
    ]
    assert NONE == several[page[1]].sum
    few = await rollups.totals_of_endpoints(services, app, page, hours=7, tuning=RollupTuning(hours=0))
    assert CLOSED == few[page[0]].exact_until
    assert few[page[0]].sum.attempts == several[page[0]].sum.attempts


async def test_another_application_gets_nothing_of_an_endpoint(db: Database, services: Services) -> None:
    """A page passes ids of its own application; a foreign one has no rollups there."""
    made = await seeded(db)
    await run(db)

    found = await rollups.totals_of_endpoints(
        services, made[2].app, [made[1].endpoint_id], hours=7, tuning=RollupTuning(hours=0)
    )

    assert [HourTotals(hour, NONE) for hour in HOURS] == found[made[1].endpoint_id].hours


async def test_messages_stay_until_their_attempts_are_in_rollups(db: Database) -> None:
    await seeded(db)
    await run(db)

    async def messages() -> int:
        async with db.read() as read:
            return int((await read.one("SELECT count(*) AS n FROM message"))["n"])

    made = await an_endpoint(db, NOW)
    made.message(NOW - 4, (NOW - 4, 0))
    await made.write(db)
    assert 1 == (await count_prunable(db, LATER, chunk=10)).messages
    await delete_old(db, LATER + 1, 0)
    await prune(db, LATER, LATER, chunk=10)

    assert 1 == await messages()
