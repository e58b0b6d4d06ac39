# SPDX-License-Identifier: MIT
"""One assembled process, and its duties to other nodes under any roles."""

import gc
from collections.abc import Iterator

import pytest

from tasks.kit import database, new_task, reread, rows, run_sql, services_of, start
from tidings.core.access import TokenSecrets
from tidings.model.lease import new_node
from tidings.model.task import State, TaskPolicy
from tidings.process.stopping import Stop
from tidings.server.node import Node, Roles
from tidings.settings import Settings
from tidings.storage.drivers.database import Database
from tidings.storage.tables import claims, tasks

REMEMBER = """
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NEW; END $$
"""


def _server(db: Database, roles: Roles) -> Node:
    return Node(Settings(), roles, db, TokenSecrets("a secret"))


async def test_a_process_without_the_task_role_requeues_the_tasks_of_a_dead_one(postgres_dsn: str) -> None:
    async with database(postgres_dsn) as db:
        task = await start(services_of(db), new_task())
        async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
            assert await claims.claim(tx, TaskPolicy(lease_ms=3_600_000), ["test.count"], "dead", None) is not None
        server = _server(db, Roles(api=False, tasks=False))

        nodes = server._nodes  # noqa: SLF001
        assert nodes is not None
        dead = {new_node(): "dead"}

        for _ in range(3):
            await nodes.check(dead, is_known=True)
        await nodes.leave()

        assert (await reread(db, task.id)).state is State.QUEUED


@pytest.fixture
def usual_collector() -> Iterator[None]:
    """Restore the garbage collector's settings: a server changes them for a process of its own."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("usual_collector")
async def test_a_process_takes_its_liveness_lock_before_its_first_lease(postgres_dsn: str) -> None:
    async with database(postgres_dsn) as db:
        for sql in (
            "CREATE TABLE seen (id BIGINT)",
            REMEMBER,
            "CREATE TRIGGER remember AFTER INSERT ON node FOR EACH ROW EXECUTE FUNCTION remember()",
        ):
            await run_sql(db, sql)
        stop = Stop(0.0)
        stop.requested.set()  # it runs for no time: it does this before its work

        await _server(db, Roles(api=False)).run(stop, None)

        assert len(await rows(db, "SELECT id FROM seen")) == 1
        assert await rows(db, "SELECT id FROM node") == []
