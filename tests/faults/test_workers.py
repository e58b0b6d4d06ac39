# SPDX-License-Identifier: MIT
"""`tidings serve --workers`: whole processes on one port, replaced when they end or when the settings change."""

import asyncio
import os
import re
import resource
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from cli.command import tidings
from delivery.receiver import Receiver
from faults import kit
from faults.kit import (
    TRANSACTIONS,
    check_received_once,
    ended,
    node,
    received,
    sending,
    slowly,
    started,
    with_endpoint,
)
from live import Live, free_port
from postgres import Cluster

pytestmark = [
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads the sockets of processes from /proc"),
    pytest.mark.timeout(300),
]

WORKERS = 2
CONNECTIONS = 200
KILLS = 4
MANY_KILLS = 10
LONG = 120.0
"""Seconds, for the starts of processes beside others that work."""
eventually = partial(kit.eventually, seconds=LONG)
ESTABLISHED = "01"


@pytest_asyncio.fixture
async def server(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Live]:
    server = node(postgres_dsn, tmp_path / "server", worker_request_timeout=5, log_level="info")
    server.arguments = ("--workers", str(WORKERS), "--config", "settings.toml")
    server.folder.mkdir()
    settings_file(server).write_text("")
    with ended(server):
        await started(server)
        await eventually(lambda: "supervisor started" in server.log())
        yield server


def settings_file(server: Live) -> Path:
    return server.folder / "settings.toml"


def workers_of(server: Live) -> set[int]:
    """Return the process ids of the workers."""
    return children_of(server.pid)


def children_of(pid: int) -> set[int]:
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def connections_of(pid: int, port: int) -> int:
    """Return how many clients of a port a process is connected to."""
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(str(entry.readlink()))
        except OSError:
            continue
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    local = f":{port:04X}"
    return sum(
        f"socket:[{fields[9]}]" in held for fields in lines if fields[1].endswith(local) and fields[3] == ESTABLISHED
    )


async def test_connections_spread_over_the_workers(server: Live) -> None:
    clients = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(CONNECTIONS)]
    try:
        pids = workers_of(server)
        await eventually(lambda: sum(connections_of(pid, server.port) for pid in pids) == CONNECTIONS)
        shares = sorted(connections_of(pid, server.port) for pid in pids)
    finally:
        for _, writer in clients:
            writer.close()

    assert len(shares) == WORKERS
    assert shares[0] > CONNECTIONS / WORKERS / 2, shares


async def test_a_killed_worker_is_replaced_and_nothing_is_lost(server: Live) -> None:
    async with Receiver() as receiver:
        path = with_endpoint(server, receiver.url)
        async with sending(path, server) as senders:
            for _ in range(KILLS):
                await senders.take(100)
                await kill_one_of(server)

        await check_received_once(senders, receiver, server)

    assert senders.cut, "no request was on the wire of a killed worker, so it proved nothing"


@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("settings", [{}, TRANSACTIONS], ids=["statements", "transactions"])
async def test_workers_that_are_killed_one_by_one_lose_nothing(
    postgres_dsn: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    server = node(postgres_dsn, tmp_path, log_level="info", **settings)
    server.arguments = ("--workers", str(WORKERS))
    async with slowly(0.03) as receiver:
        with ended(server):
            await started(server)
            await eventually(lambda: starts(server) == WORKERS)
            path = with_endpoint(server, receiver.url)
            async with sending(path, server) as senders:
                for kills in range(1, MANY_KILLS + 1):
                    await senders.take(50)
                    await eventually(lambda: senders.on_the_wire and senders.ids - set(received(receiver)))
                    await kill_one_of(server)
                    await eventually(lambda: starts(server) == WORKERS + kills)  # noqa: B023

            await check_received_once(senders, receiver, server)

    assert senders.cut > MANY_KILLS, "few requests were on the wire of a killed worker"


def starts(server: Live) -> int:
    """Return how often a worker has started."""
    return len(re.findall(r"worker \d+ +started ", server.log()))


async def kill_one_of(server: Live) -> None:
    """Kill the oldest worker, and wait until another one has been started."""
    before = workers_of(server)
    os.kill(min(before), signal.SIGKILL)
    await eventually(lambda: len(workers_of(server)) == WORKERS and workers_of(server) - before)


async def test_the_workers_of_a_killed_supervisor_stop_and_nothing_is_lost(server: Live) -> None:
    async with Receiver() as receiver:
        path = with_endpoint(server, receiver.url)
        async with sending(path, server) as senders:
            await senders.take(100)
            pids = workers_of(server)
            server.kill()
            await eventually(lambda: not any(map(is_running, pids)))
            await started(server)
            await senders.take(100)

        await check_received_once(senders, receiver, server)

    assert "the supervisor has ended" in server.log()


async def test_sighup_replaces_the_workers_and_refuses_no_connection(server: Live) -> None:
    before = workers_of(server)
    answers: Counter[str] = Counter()
    settings_file(server).write_text("log_format = 'json'\n")

    server.send(signal.SIGHUP)
    while "all workers were replaced" not in server.log():
        answers[await ping(server)] += 1

    assert set(answers) <= {"204", "closed"}
    assert answers["204"]
    assert len(workers_of(server)) == WORKERS
    assert not workers_of(server) & before
    assert '"event": "started"' in server.log()


async def test_sighup_during_a_replacement_replaces_the_workers_once_more(server: Live) -> None:
    server.send(signal.SIGHUP)
    await eventually(lambda: server.log().count("started ") > WORKERS + 1)

    server.send(signal.SIGHUP)

    await eventually(lambda: server.log().count("all workers were replaced") == 2)
    assert len(workers_of(server)) == WORKERS


async def ping(server: Live) -> str:
    """Make a request on a new connection; return the status, or `closed` if its worker stopped before the request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(b"GET /api/v1/health/ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
    except ConnectionError:
        return "closed"
    finally:
        writer.close()
    return answer.split()[1].decode() if answer else "closed"


async def test_sighup_during_the_start_takes_effect_afterwards(postgres_dsn: str, tmp_path: Path) -> None:
    server = node(postgres_dsn, tmp_path, log_level="info")
    server.arguments = ("--workers", str(WORKERS))
    with ended(server):
        starting = asyncio.create_task(started(server))
        await eventually(lambda: server.process is not None and workers_of(server))
        server.send(signal.SIGHUP)
        await starting

        await eventually(lambda: "all workers were replaced" in server.log())


async def test_sighup_during_the_shutdown_starts_no_worker(server: Live) -> None:
    os.kill(min(workers_of(server)), signal.SIGSTOP)  # the shutdown lasts until this worker is killed
    server.send(signal.SIGTERM)
    await eventually(lambda: "stopped" in server.log())

    server.send(signal.SIGHUP)
    assert server.process is not None
    await asyncio.to_thread(server.process.wait, 30.0)

    assert server.log().count("started ") == WORKERS + 1


def last_descriptor(pid: int) -> int:
    return max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())


async def test_sighup_keeps_the_workers_if_no_process_can_be_started(server: Live) -> None:
    before = workers_of(server)
    files, most = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (last_descriptor(server.pid) + 3, most))
    server.send(signal.SIGHUP)
    await eventually(lambda: "a worker cannot be started" in server.log() and "Too many open files" in server.log())
    assert workers_of(server) == before

    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (files, most))
    server.send(signal.SIGHUP)
    await eventually(lambda: "all workers were replaced" in server.log())


async def test_sighup_with_an_invalid_configuration_keeps_the_workers(server: Live) -> None:
    before = workers_of(server)
    settings_file(server).write_text("task_lease = 'soon'\n")

    server.send(signal.SIGHUP)
    await eventually(lambda: "the configuration is not reloaded" in server.log() and "task_lease" in server.log())

    assert workers_of(server) == before
    assert await asyncio.to_thread(server.call, "GET", "/api/v1/health/ping") == (204, None)


async def test_sighup_with_a_configuration_that_does_not_start_keeps_the_workers(server: Live) -> None:
    before = workers_of(server)
    settings_file(server).write_text("jwt_algorithm = 'RS256'\n")
    server.send(signal.SIGHUP)
    await eventually(lambda: "the old ones are kept" in server.log())

    assert workers_of(server) == before
    assert await asyncio.to_thread(server.call, "GET", "/api/v1/health/ping") == (204, None)


async def test_the_service_ends_with_the_reason_if_no_replacement_starts(server: Live) -> None:
    settings_file(server).write_text("task_lease = 'soon'\n")

    os.kill(min(workers_of(server)), signal.SIGKILL)
    assert server.process is not None
    code = await asyncio.to_thread(server.process.wait, 30.0)

    assert code == 2
    assert "task_lease" in server.log()
    assert "a worker keeps failing to start; stopping" in server.log()


async def test_a_worker_that_ends_during_an_outage_of_the_database_is_replaced_after_it(
    private_cluster: Cluster, tmp_path: Path
) -> None:
    server = node(private_cluster.dsn(private_cluster.create_database()), tmp_path, log_level="info")
    server.arguments = ("--workers", str(WORKERS))
    with ended(server):
        await started(server)
        await eventually(lambda: "supervisor started" in server.log())
        await asyncio.to_thread(private_cluster.stop)
        os.kill(min(workers_of(server)), signal.SIGKILL)
        await eventually(lambda: server.log().count("tidings: the database: cannot connect") == 3)
        await asyncio.to_thread(private_cluster.start)

        await eventually(lambda: server.log().count("started ") == WORKERS + 2)


async def test_sigterm_stops_all_workers(server: Live) -> None:
    pids = workers_of(server)

    assert await asyncio.to_thread(server.stop) == 0

    assert not any(map(is_running, pids))
    assert "did not stop in time" not in server.log()


async def test_connections_are_refused_while_the_workers_stop(server: Live) -> None:
    async with slowly(60.0) as receiver:
        path = with_endpoint(server, receiver.url)
        server.call("POST", path, {"eventType": "a.b", "payload": {}})
        await eventually(lambda: receiver.requests)
        pids = workers_of(server)
        server.send(signal.SIGTERM)  # a worker waits for the response of the receiver

        await eventually(lambda: not accepts_connections(server))

        assert any(map(is_running, pids))


def accepts_connections(server: Live) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port)).close()
    except ConnectionError:
        return False
    return True


def test_a_port_that_another_service_listens_on_is_reported(postgres_dsn: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"

        result = tidings("serve", "--workers", "2", "--listen", address, "--db", postgres_dsn, folder=tmp_path)

    assert result.code == 2
    assert f"cannot listen on {address}" in result.err


def test_more_workers_than_the_database_has_connections_for_are_refused(postgres_dsn: str, tmp_path: Path) -> None:
    result = tidings(
        "serve", "--workers", "200", "--listen", f"127.0.0.1:{free_port()}", "--db", postgres_dsn, folder=tmp_path
    )

    assert result.code == 2
    assert (
        "200 workers with 4 connections each, and one more during a reload, need 804, and PostgreSQL allows"
        in result.err
    )


@pytest.mark.parametrize("given", ["0", "-1", "two", "257", ""])
def test_a_number_of_workers_out_of_range_is_refused(given: str, tmp_path: Path) -> None:
    result = tidings("serve", "--workers", given, "--db", f"sqlite:///{tmp_path}/a.db", folder=tmp_path)

    assert result.code == 2
    assert "workers must be a number from 1 to 256, or auto" in result.err


def test_several_workers_on_sqlite_are_refused(tmp_path: Path) -> None:
    result = tidings("serve", "--workers", "2", "--db", f"sqlite:///{tmp_path}/a.db", folder=tmp_path)

    assert result.code == 2
    assert "workers must be 1 on SQLite" in result.err
