# SPDX-License-Identifier: MIT
"""Two installations in one database, one of them behind PgBouncer, take load at once and never meet."""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from delivery.receiver import Receiver
from faults.kit import all_received, ended, eventually, node, received, sending, started, with_endpoint
from live import Live, free_port
from postgres import Cluster

DIRECT, POOLED = "direct hooks", 'pooled "hooks"'
ROLE = "pooled"
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIG = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 10
"""


@contextlib.contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """Run PgBouncer in front of a server; give the URL of the same database behind it, for the role."""
    if PGBOUNCER is None:
        pytest.skip("no PgBouncer: apt-get install pgbouncer")
    parts, port = urlsplit(url), free_port()
    account = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        folder.joinpath("users").write_text(f'"{ROLE}" ""\n')
        folder.joinpath("ini").write_text(CONFIG.format(server=parts.port, port=port, folder=folder))
        process = subprocess.Popen(
            [PGBOUNCER, "-q", str(folder / "ini")],
            user=None if account is None else pwd.getpwnam(account).pw_uid,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"postgresql://{ROLE}@127.0.0.1:{port}{parts.path}"
        finally:
            process.terminate()
            process.wait()


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def load(server: Live) -> tuple[set[str], set[str]]:
    """Send messages through a node that is killed and restarted; return the accepted ids and those received."""
    async with Receiver() as receiver:
        path = await asyncio.to_thread(with_endpoint, server, receiver.url)
        async with sending(path, server, clients=4) as senders:
            await senders.take(60)
            server.kill()
            await started(server)
            await senders.take(60)
        await all_received(senders, receiver)
        return senders.ids, set(received(receiver))


@pytest.mark.timeout(120)
async def test_two_installations_in_one_database_do_not_meet(private_cluster: Cluster, tmp_path: Path) -> None:
    url = private_cluster.dsn(private_cluster.create_database("shared"))
    await run(
        url, f"CREATE ROLE {ROLE} LOGIN", f"GRANT CREATE ON DATABASE shared TO {ROLE}", "CREATE TABLE message (id int)"
    )
    with pgbouncer(url) as pooled_url:
        direct = node(url, tmp_path / "direct", db_schema=DIRECT)
        pooled = node(pooled_url, tmp_path / "pooled", db_schema=POOLED, db_pgbouncer="true")
        with ended(direct, pooled):
            await _refused_without_the_search_path(pooled)
            await run(url, f"ALTER ROLE {ROLE} IN DATABASE shared SET search_path = {_quoted(POOLED)}")
            await run(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")
            await asyncio.gather(started(direct), started(pooled))
            sent = dict(zip((DIRECT, POOLED), await asyncio.gather(load(direct), load(pooled)), strict=True))

    connection = await asyncpg.connect(url)
    for schema, (accepted, arrived) in sent.items():
        stored = {row["id"] for row in await connection.fetch(f"SELECT id FROM {_quoted(schema)}.message")}
        assert stored == accepted == arrived, schema
    await connection.close()


async def _refused_without_the_search_path(server: Live) -> None:
    """The node ends with the command that sets the search path of its role."""
    with pytest.raises(Exception, match="ended with 2"):
        await started(server)
    assert f'ALTER ROLE "{ROLE}" IN DATABASE "shared" SET search_path = {_quoted(POOLED)}' in server.log()
    await eventually(lambda: server.process is None)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
