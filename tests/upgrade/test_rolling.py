# SPDX-License-Identifier: MIT
"""A rolling upgrade: old and new nodes side by side under load, on a schema that is migrated meanwhile."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from delivery.receiver import Receiver
from faults.kit import (
    Senders,
    add_endpoint,
    check_received_once,
    ended,
    node,
    received,
    sending,
    started,
    with_endpoint,
)
from live import SECRET, Live, environment
from tidings.storage.drivers.migrations import known_migrations
from tidings.storage.drivers.store import opened
from upgrade.releases import BREAKING, EXPANDING, NEXT, OLD, entry_of, next_release, old_release

CLIENTS = 2


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return entry_of(old_release(tmp_path_factory.mktemp("old")))


async def command(entry: Sequence[str], url: str, folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *entry,
        *arguments,
        cwd=folder,
        env=environment({"db_dsn": url, "jwt_secret": SECRET}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def migrated(entry: Sequence[str], url: str, folder: Path) -> None:
    process = await command(entry, url, folder, "migrate")
    out, _ = await process.communicate()
    assert 0 == process.returncode, out.decode()


async def replaced(server: Live, entry: Sequence[str]) -> None:
    """Stop a node, and start one of a release on its port."""
    server.entry = entry
    await started(server)


async def releases(url: str) -> set[str]:
    """Return the releases of the nodes."""
    db = await opened(url, connections=1)
    async with db.read() as read:
        found = {row["release"] for row in await read.rows("SELECT release FROM node")}
    await db.close()
    return found


async def upgraded(url: str, folder: Path, old: list[str], new: list[str], *, more: int) -> None:
    """Upgrade two nodes one after the other while clients send through both."""
    folder.joinpath("nodes").mkdir()
    servers = [node(url, folder / f"nodes/{number}", entry=old) for number in range(2)]
    with ended(*servers):
        async with Receiver() as receiver:
            for server in servers:
                await started(server)
            path = await asyncio.to_thread(with_endpoint, servers[0], receiver.url)
            async with sending(path, *servers, clients=CLIENTS) as senders:
                await senders.take(more)
                await migrated(new, url, folder)
                await senders.take(more)
                await asyncio.to_thread(add_endpoint, servers[0], path, receiver.url)  # an old node, on the new schema
                await senders.take(more)
                await replaced(servers[0], old)  # an old node that restarts in the middle
                await replaced(servers[1], new)
                await senders.take(more)
                assert {OLD, NEXT} == await releases(url)
                await replaced(servers[0], new)
                await senders.take(more)
            await check_received_once_by_all(senders, receiver, servers)


async def check_received_once_by_all(senders: Senders, receiver: Receiver, servers: Sequence[Live]) -> None:
    await asyncio.to_thread(servers[1].stop)
    await check_received_once(senders, receiver, servers[0])
    assert senders.ids == set(received(receiver))
    assert not [line for server in servers for line in server.log().splitlines() if "Traceback" in line]


@pytest.mark.timeout(300)
async def test_nodes_of_two_releases_lose_nothing(postgres_dsn: str, tmp_path: Path, old: list[str]) -> None:
    new = entry_of(next_release(tmp_path / "new", EXPANDING))

    await upgraded(postgres_dsn, tmp_path, old, new, more=20)

    db = await opened(postgres_dsn)
    async with db.read() as read:
        [shades] = await read.rows("SELECT count(*), count(shade), count(DISTINCT shade) FROM message")
        [valid] = await read.rows("SELECT bool_and(indisvalid) FROM pg_index")
    await db.close()
    assert (shades[0], 2) == (shades[1], shades[2]), "old rows are filled, and new ones have the default"
    assert valid[0]


@pytest.mark.chaos
@pytest.mark.timeout(300)
async def test_the_check_sees_a_migration_that_breaks_old_nodes(
    postgres_dsn: str, tmp_path: Path, old: list[str]
) -> None:
    new = entry_of(next_release(tmp_path / "new", BREAKING))

    with pytest.raises(ExceptionGroup) as caught:
        await upgraded(postgres_dsn, tmp_path, old, new, more=20)

    assert caught.group_contains(TimeoutError), "an old node refuses each repetition of a message"
    [log] = (tmp_path / "nodes/0").glob("serve-*.log")
    assert 'column "raw" of relation "message" does not exist' in log.read_text()


@pytest.mark.chaos
@pytest.mark.timeout(300)
async def test_the_migrations_of_this_release_alone_lose_nothing(
    postgres_dsn: str, tmp_path: Path, old: list[str]
) -> None:
    new = entry_of(next_release(tmp_path / "new", {}))

    await upgraded(postgres_dsn, tmp_path, old, new, more=60)

    db = await opened(postgres_dsn)
    async with db.read() as read:
        versions = [row["version"] for row in await read.rows("SELECT version FROM schema_migration ORDER BY version")]
        endpoints = [tuple(row) for row in await read.rows("SELECT filter, is_transformed FROM endpoint")]
    await db.close()
    assert [each.version for each in known_migrations()] == versions
    assert [(None, 0)] * 2 == endpoints, "one from before the migration, and one that an old node wrote after it"


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_a_long_upgrade_survives_killed_nodes_and_killed_migrations(
    postgres_dsn: str, tmp_path: Path, old: list[str]
) -> None:
    new = entry_of(next_release(tmp_path / "new", EXPANDING))
    servers = [node(postgres_dsn, tmp_path / f"nodes/{number}", entry=old) for number in range(3)]
    with ended(*servers):
        async with Receiver() as receiver:
            for server in servers:
                await started(server)
            path = await asyncio.to_thread(with_endpoint, servers[0], receiver.url)
            async with sending(path, *servers, clients=4) as senders:
                await senders.take(600)
                for number in range(6):
                    migrating = await command(new, postgres_dsn, tmp_path, "migrate")
                    await asyncio.sleep(0.3 + 0.15 * number)  # anywhere in the run, which is what the kill is about
                    migrating.kill()
                    await migrating.communicate()
                    server = servers[number % 3]
                    server.kill()
                    await started(server)
                await migrated(new, postgres_dsn, tmp_path)
                for server in servers:
                    await senders.take(200)
                    server.kill()
                    await replaced(server, new)
                await senders.take(200)
            await asyncio.to_thread(servers[2].stop)
            await check_received_once_by_all(senders, receiver, servers)


async def test_a_database_in_use_is_migrated_by_the_command_only(postgres_dsn: str, tmp_path: Path) -> None:
    db = await opened(postgres_dsn)
    new = entry_of(next_release(tmp_path / "new", EXPANDING))
    empty = Live(postgres_dsn, tmp_path)
    with ended(empty):
        await asyncio.to_thread(empty.start)  # an empty database gets the schema of this release
    serving = await command(new, postgres_dsn, tmp_path, "serve", "--listen", "127.0.0.1:0")
    out, _ = await serving.communicate()
    await db.close()

    assert 2 == serving.returncode
    assert "run `tidings migrate`" in out.decode()


async def test_a_sqlite_file_is_migrated_by_the_next_start(sqlite_url: str, tmp_path: Path, old: list[str]) -> None:
    new = entry_of(next_release(tmp_path / "new", EXPANDING))
    server = node(sqlite_url, tmp_path / "node", entry=old)
    with ended(server):
        async with Receiver() as receiver:
            await started(server)
            path = await asyncio.to_thread(with_endpoint, server, receiver.url)
            async with sending(path, server, clients=CLIENTS) as senders:
                await senders.take(20)
                await replaced(server, new)
                await senders.take(20)
            await check_received_once(senders, receiver, server)
