# SPDX-License-Identifier: MIT
"""The queue depth, the oldest overdue delivery, and the endpoints by health, from rows of each sort."""

import re
from collections.abc import Sequence

import asyncpg
import pytest

from tasks.kit import explained
from tidings.ids import EndpointId, OrgId
from tidings.model.health import EndpointDisabledReason
from tidings.model.status import Count
from tidings.storage.drivers import postgres_connect
from tidings.storage.drivers.database import Database, Dialect, Statement, Write
from tidings.storage.drivers.dialect import for_postgres
from tidings.storage.tables import queue_depth, unhealthy_endpoints

NOW = 1_800_000_000_000
AGO = NOW - 60_000
LATER = NOW + 60_000
ORG, OTHER = OrgId("org_1"), OrgId("org_2")
_APP = (
    "INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)"
    " VALUES (:id, :org, :id, '{}', 0, 0, 0)"
)
_ENDPOINT = (
    "INSERT INTO endpoint (id, app_id, org_id, url, description, metadata, headers, secret, created_at, updated_at,"
    " disabled, failing_since, unreachable_since, disabled_at, disabled_reason, deleted_at) VALUES (:id, :app, :org,"
    " 'https://example.com/', '', '{}', '{}', :secret, 0, 0, :disabled, :failing, :unreachable, :disabled_at, :reason,"
    " :deleted)"
)
_DELIVERY = (
    "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, lane, due_at, lease, lease_until) VALUES"
    " (:msg, :endpoint, 'app_1', :org, :lane, :due, :lease, :until)"
)
_LIMIT = "INSERT INTO throttle (key, tat_us, limited_since) VALUES (:key, :tat, :since)"


async def _endpoint(  # noqa: PLR0913 - one for each column
    tx: Write,
    name: str,
    *,
    app: str = "app_1",
    org: str = ORG,
    failing: int | None = None,
    unreachable: int | None = None,
    disabled_at: int | None = None,
    reason: EndpointDisabledReason | None = None,
    deleted: int | None = None,
) -> None:
    await tx.run(
        _ENDPOINT,
        id=name,
        app=app,
        org=org,
        secret=b"\x01",
        disabled=int(disabled_at is not None),
        failing=failing,
        unreachable=unreachable,
        disabled_at=disabled_at,
        reason=None if reason is None else reason.value,
        deleted=deleted,
    )


async def _deliveries(
    tx: Write, endpoint: str, due_ats: Sequence[int], *, lane: int = 0, until: int | None = None, org: str = ORG
) -> None:
    lease = None if until is None else 1
    for number, due in enumerate(due_ats):
        msg = f"msg_{endpoint}_{lane}_{until}_{number}"
        await tx.run(_DELIVERY, msg=msg, endpoint=endpoint, org=org, lane=lane, due=due, lease=lease, until=until)


async def _apps(tx: Write) -> None:
    for app, org in (("app_1", ORG), ("app_2", OTHER)):
        await tx.run(_APP, id=app, org=org)


async def test_each_delivery_has_one_state(db: Database) -> None:
    async with db.write() as tx:
        await _apps(tx)
        await _endpoint(tx, "ep_1")
        await _deliveries(tx, "ep_1", [LATER] * 3)
        await _deliveries(tx, "ep_1", [AGO] * 2, until=LATER)
        await _deliveries(tx, "ep_1", [AGO], until=NOW)
        await _deliveries(tx, "ep_1", [AGO, NOW], lane=1)
        depth = await queue_depth.queue_depth(tx, NOW)
    assert (Count(3), Count(2), Count(3), Count(0)) == (
        depth.scheduled,
        depth.in_flight,
        depth.overdue,
        depth.held_back,
    )


async def test_a_count_ends_at_its_limit_and_says_so(db: Database) -> None:
    assert Count(5) == queue_depth.count_of(5, 5)
    assert Count(5, is_exact=False) == queue_depth.count_of(6, 5)
    assert Count(8, is_exact=False) == Count(5, is_exact=False) + Count(3)
    async with db.write() as tx:
        await _endpoint(tx, "ep_1", unreachable=AGO)
        await _deliveries(tx, "ep_1", [AGO, AGO, AGO])
        depth = await queue_depth.queue_depth(tx, NOW, most=2)
    assert Count(2, is_exact=False) == depth.overdue == depth.held_back


async def test_the_oldest_overdue_delivery_is_neither_held_back_nor_a_replay(db: Database) -> None:
    async with db.write() as tx:
        await _apps(tx)
        for name in ("ep_1", "ep_2"):
            await _endpoint(tx, name)
        await _endpoint(tx, "ep_9", failing=AGO)
        await _endpoint(tx, "ep_3", unreachable=AGO)
        await _endpoint(tx, "ep_4", disabled_at=AGO)
        await _endpoint(tx, "ep_5", app="app_2")
        await _endpoint(tx, "ep_6")
        await _endpoint(tx, "ep_7", deleted=AGO)
        for key in ("app_2", "ep_6"):
            await tx.run(_LIMIT, key=key, tat=NOW * 1_000, since=AGO)
        held = ("ep_3", "ep_4", "ep_5", "ep_6")
        for number, name in enumerate((*held, "ep_7"), 1):
            await tx.run(
                _DELIVERY.replace("'app_1'", f"'app_{2 if name == 'ep_5' else 1}'"), **_row(name, AGO - number)
            )
        await _deliveries(tx, "ep_2", [AGO - 10], lane=1)
        assert await queue_depth.oldest_overdue(tx, NOW) is None
        assert Count(len(held)) == (await queue_depth.queue_depth(tx, NOW)).held_back

        await _deliveries(tx, "ep_9", [NOW])
        await _deliveries(tx, "ep_1", [NOW - 5])
        oldest = await queue_depth.oldest_overdue(tx, NOW)
        assert oldest is not None
        assert (NOW - 5, "ep_1", "app_1", ORG) == (oldest.since, oldest.endpoint_id, oldest.app_id, oldest.org_id)
        # Behind more held back deliveries than are read, the endpoints are visited.
        assert oldest == await queue_depth.oldest_overdue(tx, NOW, limits=queue_depth.OldestLimits(deliveries=1))
        few = queue_depth.OldestLimits(deliveries=1, endpoints=0)
        assert await queue_depth.oldest_overdue(tx, NOW, limits=few) is not None

        await _deliveries(tx, "ep_1", [AGO], until=NOW - 7)
        expired = await queue_depth.oldest_overdue(tx, NOW)
        assert expired is not None
        assert NOW - 7 == expired.since


def _row(endpoint: str, due: int) -> dict[str, int | str | None]:
    return {
        "msg": f"msg_{endpoint}",
        "endpoint": endpoint,
        "org": ORG,
        "lane": 0,
        "due": due,
        "lease": None,
        "until": None,
    }


async def test_a_rate_limit_that_is_no_longer_reached_holds_nothing_back(db: Database) -> None:
    async with db.write() as tx:
        await _endpoint(tx, "ep_1")
        await _deliveries(tx, "ep_1", [AGO])
        await tx.run(_LIMIT, key="ep_1", tat=(NOW - 3_600_000) * 1_000, since=AGO)
        assert await queue_depth.oldest_overdue(tx, NOW) is not None
        assert Count(0) == (await queue_depth.queue_depth(tx, NOW)).held_back


async def test_endpoints_are_counted_by_health_for_one_organization_or_all(db: Database) -> None:
    async with db.write() as tx:
        await _apps(tx)
        await _endpoint(tx, "ep_1")
        await _endpoint(tx, "ep_2", failing=AGO)
        await _endpoint(tx, "ep_3", failing=NOW, unreachable=AGO)
        await _endpoint(tx, "ep_4", disabled_at=NOW, reason=EndpointDisabledReason.GONE)
        await _endpoint(tx, "ep_5", disabled_at=NOW)
        await _endpoint(tx, "ep_6", disabled_at=AGO, reason=EndpointDisabledReason.GONE)
        await _endpoint(tx, "ep_7", unreachable=AGO, deleted=NOW)
        await _endpoint(tx, "ep_8", org=OTHER, app="app_2", failing=AGO - 1)
        own = await unhealthy_endpoints.count(tx, ORG, recent=NOW)
        every = await unhealthy_endpoints.count(tx, None, recent=NOW)
        worst = await unhealthy_endpoints.worst(tx, None, recent=NOW, limit=3)
        own_worst = await unhealthy_endpoints.worst(tx, ORG, recent=NOW, limit=9)
    assert [6, 3, 1, 1, 1, 1, 3] == [
        each.count
        for each in (
            own.total,
            own.disabled,
            own.disabled_lately,
            own.unreachable,
            own.failing,
            own.healthy,
            own.need_attention,
        )
    ]
    assert (7, 2) == (every.total.count, every.failing.count)
    assert [("ep_8", AGO - 1), ("ep_2", AGO), ("ep_3", AGO)] == [(each.id, each.since) for each in worst]
    assert [EndpointId("ep_2"), "ep_3", "ep_4"] == [each.id for each in own_worst]
    assert EndpointDisabledReason.GONE is own_worst[-1].record.disabled_reason


_STATEMENTS: dict[str, Statement] = {
    "depth": queue_depth._DEPTH,  # noqa: SLF001
    "held back": queue_depth._HELD_BACK,  # noqa: SLF001
    "oldest": queue_depth._OLDEST_DUE,  # noqa: SLF001
    "expired": queue_depth._OLDEST_EXPIRED,  # noqa: SLF001
    "visited": queue_depth._OLDEST_OF_ENDPOINTS,  # noqa: SLF001
    "endpoints": unhealthy_endpoints.count_statement(None),
    "own deliveries": queue_depth._OWN,  # noqa: SLF001
    "own endpoints": unhealthy_endpoints.count_statement(ORG),
}


@pytest.mark.parametrize("name", _STATEMENTS)
async def test_no_statement_reads_a_whole_table(db: Database, migrated_url: str, name: str) -> None:
    values: dict[str, int | str] = {
        "now": NOW,
        "tat": 0,
        "most": 10,
        "endpoints": 10,
        "read": 10,
        "org": ORG,
        "recent": 0,
    }
    if db.dialect is Dialect.SQLITE:
        plan = await explained(db, _STATEMENTS[name], **values)
        scans = [line for line in plan.splitlines() if re.search(r"SCAN (delivery|endpoint|throttle)\b", line)]
        assert all("INDEX" in line for line in scans), plan
        return
    text, names = for_postgres(_STATEMENTS[name])
    connection = await asyncpg.connect(migrated_url, server_settings=postgres_connect.SESSION)
    try:
        literals = [f"'{values[each]}'" if isinstance(values[each], str) else str(values[each]) for each in names]
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE kept AS {text}")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE kept({', '.join(literals)})"))
    finally:
        await connection.close()
    assert "Seq Scan on delivery" not in plan
    assert "Seq Scan on endpoint" not in plan
    if name in (
        "held back",
        "own deliveries",
        "visited",
    ):  # an endpoint may have a million deliveries, and the plan is kept
        assert "delivery_due" in plan
        assert "delivery_next" not in plan
