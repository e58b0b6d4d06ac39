# SPDX-License-Identifier: MIT
"""The status of an organization: its own deliveries, endpoints and tasks, and nothing of another one."""

import asyncio

from api.kit import ORG, Api, Json
from tidings.clock import DAY, MINUTE
from tidings.core import status
from tidings.core.access import issue_org_token
from tidings.core.status import StatusReader
from tidings.ids import OrgId
from tidings.model.api_key import KeyScope
from tidings.model.health import EndpointDisabledReason
from tidings.model.status import Count, DatabaseState, EndpointCounts, NodeState, QueueDepth
from tidings.model.task import State
from tidings.storage.tables import health, queue_depth
from tidings.storage.tables.queue_depth import OwnLimits

OTHER = OrgId("org_23rb8YdGqMT0qIzpgGwdXfHirZZ")
NONE = Count(0)


async def fresh(api: Api) -> Json:
    """Return the status as a node returns it that has not read it before."""
    return await api.tuned().read("/status")


async def test_a_new_organization_is_healthy(api: Api) -> None:
    found = await api.read("/status")

    assert found["healthy"]
    assert "Healthy." == found["verdict"]
    assert [] == found["faults"]
    assert found["oldestOverdue"] is None
    assert found["installation"] is None
    assert {"count": 0, "isExact": True} == found["deliveries"]["scheduled"]


async def test_an_organization_sees_its_own_part_only(api: Api) -> None:
    app = await api.app()
    first, silent = await api.endpoint(app), await api.endpoint(app, url="https://user:pw@silent.example:8443/x")
    gone = await api.endpoint(app)
    await api.message(app)
    async with api.db.write() as tx:
        await health.unreachable(tx, silent, api.clock.now())
        await health.disable(tx, gone, api.clock.now(), EndpointDisabledReason.GONE)
        await tx.run("UPDATE delivery SET lease = NULL, lease_until = NULL")
    api.clock.advance(4 * MINUTE)

    found = await fresh(api)

    assert not found["healthy"]
    assert "2 endpoints need attention; the oldest overdue delivery is 4 min late." == found["verdict"].lower()
    assert (3, 2) == tuple(found["deliveries"][name]["count"] for name in ("overdue", "heldBack"))
    assert (first, app, 240) == tuple(found["oldestOverdue"][name] for name in ("endpointId", "appId", "ageSeconds"))
    assert (1, 1, 1) == tuple(found["endpoints"][name]["count"] for name in ("healthy", "unreachable", "disabled"))
    assert {(silent, "silent.example:8443", True), (gone, "example.com", False)} == {
        (each["endpointId"], each["host"], each["isUnreachable"]) for each in found["endpoints"]["worst"]
    }
    token = issue_org_token(api.context.gatekeeper.signer, OTHER, api.clock.now())
    foreign = (await api.get("/status", token=token)).json()
    assert foreign["healthy"]
    assert app not in str(foreign)
    api.clock.advance(2 * DAY)
    assert (await fresh(api))["verdict"].startswith("1 endpoint needs attention")


async def test_an_application_token_is_refused(api: Api) -> None:
    app = await api.app()
    token = (await api.made(f"/auth/app-portal-access/{app}", {}))["token"]

    assert 403 == (await api.get("/status", token=token)).status_code
    assert 401 == (await api.get("/status", token="x")).status_code


async def test_active_tasks_are_listed_with_their_progress(api: Api) -> None:
    app = await api.app()
    await api.message(app)
    task = await api.made("/stats/usage/app", {"since": "2020-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z"})

    tasks = (await api.read("/status"))["tasks"]

    assert 1 == tasks["queued"]["count"]
    assert [(task["id"], "queued", ORG)] == [(each["id"], each["state"], each["orgId"]) for each in tasks["first"]]


async def test_a_count_that_ends_at_a_limit_is_not_exact(api: Api) -> None:
    app = await api.app()
    for _ in range(2):
        await api.endpoint(app)
    await api.message(app)
    async with api.db.write() as tx:
        await tx.run("UPDATE delivery SET lease = NULL, lease_until = NULL")
    for limits in (OwnLimits(endpoints=1), OwnLimits(deliveries=1)):
        async with api.db.read() as read:
            depth, _ = await queue_depth.own_queue_depth(read, ORG, api.clock.now(), limits=limits)
        assert not depth.overdue.is_exact


async def test_callers_at_the_same_time_share_one_reading(lite: Api) -> None:
    reader, now = lite.context.status, lite.clock.now()

    first, *others = await asyncio.gather(*(reader.read(now, ORG) for _ in range(5)))

    assert all(each is first for each in others)
    assert first is not await reader.read(now, None)
    assert first is not await StatusReader(lite.db).read(now, ORG)


async def test_an_operators_key_shows_the_whole_service(api: Api) -> None:
    await api.endpoint(await api.app())
    token = issue_org_token(api.context.gatekeeper.signer, OTHER, api.clock.now())
    other = (await api.made("/app", {"name": "other"}, token=token))["id"]
    await api.made(f"/app/{other}/endpoint", {"url": "https://example.com/"}, token=token)
    operator, reader = (await api.key(KeyScope.OPERATOR)).text, (await api.key(read_only=True)).text

    whole = (await api.get("/status", token=operator)).json()
    own = (await api.get("/status", token=reader)).json()

    assert (2, 1) == tuple(each["endpoints"]["healthy"]["count"] for each in (whole, own))
    assert {"nodes", "database", "tenants", "tenantsOf"} == whole["installation"].keys()
    assert own["installation"] is None


async def test_an_operator_sees_nodes_database_and_tenants(api: Api) -> None:
    app = await api.app()
    await api.endpoint(app)
    await api.message(app)
    now = api.clock.now()
    async with api.db.write() as tx:
        await tx.run("UPDATE delivery SET lease = NULL, lease_until = NULL")
        await tx.run("INSERT INTO setting (name, value) VALUES ('heartbeat:3', :at)", at=str(now - 1_000))

    found = (await status.read_status(api.db, now, None)).installation

    assert found is not None
    assert [(ORG, 1)] == [(each.org_id, each.outstanding) for each in found.tenants]
    assert [now - 1_000] == [each.heartbeat_at for each in found.nodes]
    assert found.database.product in ("SQLite", "PostgreSQL")
    assert found.database.bytes > 100_000
    async with api.db.write() as tx:
        await tx.run("INSERT INTO node (id, worker, release) VALUES (19, 'host:1:13', '0.1.0')")
    named = (await status.read_status(api.db, now, None)).installation
    assert named is not None
    assert [NodeState("host:1:13", "0.1.0", now - 1_000)] == named.nodes


def _status(nodes: list[NodeState], now: int = MINUTE) -> status.Status:
    database = DatabaseState("SQLite", "3", 1, 0, 0)
    counts = EndpointCounts(NONE, NONE, NONE, NONE, NONE)
    depth = QueueDepth(NONE, NONE, NONE, NONE)
    tasks = dict.fromkeys((State.RUNNING, State.QUEUED, State.PAUSED), NONE)
    return status.Status(now, depth, None, counts, [], tasks, [], status.Installation(nodes, database, [], 0))


def test_a_missing_or_silent_node_needs_attention() -> None:
    assert "No node is running." == _status([]).verdict
    assert (
        "1 of 2 nodes cannot write to the database."
        == _status([NodeState("a", "1", 0), NodeState("b", "1", MINUTE)]).verdict
    )
    assert "Healthy." == _status([NodeState("a", "1", MINUTE), NodeState("new", "1", None)]).verdict
