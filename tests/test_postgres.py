# SPDX-License-Identifier: MIT
"""The server that other tests rely on (scripts/postgres.py)."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
import uvloop

from postgres import Cluster, Server

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
STARTER = """
import postgres, sys, time
with postgres.Cluster(postgres.find_binaries(), durable=False) as cluster:
    print(cluster.server.url, cluster.folder, flush=True)
    time.sleep(60)
"""


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_async_tests_run_on_uvloop() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


async def test_a_database_is_fresh_and_empty(postgres_dsn: str) -> None:
    count = await ask(postgres_dsn, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")

    assert count == 0


def test_each_database_has_a_name_of_its_own(postgres_cluster: Server) -> None:
    names = {postgres_cluster.create_database() for _ in range(3)}

    for name in names:
        postgres_cluster.drop_database(name)
    assert len(names) == 3


def test_the_shared_session_connects_again_after_its_end(postgres_cluster: Server) -> None:
    postgres_cluster.run("SELECT 1")

    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres' AND pid <> pg_backend_pid()"
    )
    Server(postgres_cluster.url).run(others)

    postgres_cluster.drop_database(postgres_cluster.create_database())


def test_an_error_of_a_statement_is_raised_and_leaves_the_shared_session(postgres_cluster: Server) -> None:
    name = postgres_cluster.create_database()

    with pytest.raises(asyncpg.DuplicateDatabaseError):
        postgres_cluster.create_database(name)

    postgres_cluster.drop_database(name)


def test_a_database_url_is_given_for_each_kind(database_url: str, request: pytest.FixtureRequest) -> None:
    assert database_url.startswith(f"{request.node.callspec.params['database_kind']}://")


async def test_a_private_cluster_is_durable_and_listens_on_loopback_only(private_cluster: Cluster) -> None:
    settings = [
        await ask(private_cluster.dsn("postgres"), f"SHOW {name}")
        for name in ("fsync", "synchronous_commit", "listen_addresses", "max_connections")
    ]

    assert settings == ["on", "on", "127.0.0.1", "200"]


@pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
async def test_committed_data_outlives_the_server(private_cluster: Cluster, how: str) -> None:
    dsn = private_cluster.dsn(private_cluster.create_database())
    await ask(dsn, "CREATE TABLE kept AS SELECT 7 AS n")

    if how == "kill":
        private_cluster.kill()
        private_cluster.start()
    else:
        private_cluster.restart("fast" if how == "fast" else "immediate")

    assert await ask(dsn, "SELECT n FROM kept") == 7


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.usefixtures("postgres_binaries")
def test_a_cluster_never_outlives_the_process_that_started_it(how: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as starter:
        assert starter.stdout is not None
        url, folder = starter.stdout.readline().split()
        Server(url).run("SELECT 1")

        starter.send_signal(how)

    deadline = time.monotonic() + 10
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(folder).exists()
    with pytest.raises(ConnectionRefusedError):
        Server(url).run("SELECT 1")
