# SPDX-License-Identifier: MIT
"""Fixtures for the tests of every layer: the event loop, databases and the contract's files."""

import asyncio
import contextlib
import functools
import inspect
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio

from loop import Loop
from postgres import MEMORY, Cluster, Server, Session, find_binaries, given_server
from tasks import chaos_report
from tidings import observe
from tidings.storage.drivers.database import Database
from tidings.storage.drivers.store import migrate, opened

# No example may fail because the machine is slow, and no run because of its luck: examples are the same in each run.
# `make chaos` tries others, with the profile `random`.
STEADY = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=True, database=None
)
hypothesis.settings.register_profile("tidings", STEADY)
hypothesis.settings.register_profile("random", STEADY, derandomize=False, max_examples=300, print_blob=True)
hypothesis.settings.load_profile("tidings")

pytest_terminal_summary = chaos_report.pytest_terminal_summary
CHECKOUT = Path(__file__).resolve().parent.parent
NO_POSTGRES = "no PostgreSQL: set TIDINGS_TEST_PG to a server's URL, or install one (apt-get install postgresql)"
LONGEST = (
    "tests/faults/test_workers.py",
    "tests/demo",
    "tests/tasks/kinds/test_export.py",
    "tests/api/test_document.py",
    "tests/api/test_stateful.py",
    "tests/tasks/test_runner.py",
    "tests/codegen",
    "tests/faults",
    "tests/tasks",
    "tests/sdk",
    "tests/deploy",
    "tests/storage/tables/test_delivery_state_machine.py",
    "tests/storage/tables/test_task_plans.py",
    "tests/api/test_lists.py",
    "tests/api/test_attempt",
    "tests/delivery",
    "tests/cli",
)
"""Files and folders in the order of their duration. A worker that began one of these last would delay the whole run."""
POSTGRES_FIXTURES = {"postgres_binaries", "postgres_cluster", "private_cluster", "postgres_dsn", "postgres_template"}
ROOM = 4 << 30
"""The bytes that files of tests and PostgreSQL servers may need in memory at a time; one test needs a megabyte."""
SECONDS_FOR_AN_ASYNC_TEST = 60.0  # half of pytest's timeout, as for a test with a timeout marker


def pytest_configure(config: pytest.Config) -> None:
    """Keep the files of tests in memory if there is room, and restore the default SIGINT handler.

    On a disk, each commit of SQLite waits for it. The long runs may write more than a memory holds. Background
    processes and their children inherit SIGINT as ignored.
    """
    has_long_runs = "not chaos" not in config.option.markexpr
    if not has_long_runs and _has_room():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _has_room() -> bool:
    """Return whether memory holds the files of all tests, some of which are programs; containers may refuse those."""
    if not MEMORY.is_dir() or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(MEMORY).free >= ROOM


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every async test on the event loop that the service runs on."""
    return {"uvloop": Loop}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, mark tests that need PostgreSQL, and end a hanging async test at its await.

    pytest's own timeout, the last resort, ends the whole process.
    """
    items.sort(key=_place)
    for item in items:
        if isinstance(item, pytest.Function) and _needs_postgres(item):
            item.add_marker(pytest.mark.postgres)
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            marker = item.get_closest_marker("timeout")
            item.obj = _limited(item.obj, marker.args[0] / 2 if marker else SECONDS_FOR_AN_ASYNC_TEST)


def _place(item: pytest.Item) -> int:
    return next((place for place, folder in enumerate(LONGEST) if item.nodeid.startswith(folder)), len(LONGEST))


def _needs_postgres(item: pytest.Function) -> bool:
    """Return whether a test uses a PostgreSQL server: by a fixture, or by its kind of database."""
    callspec = getattr(item, "callspec", None)
    kinds = () if callspec is None else callspec.params.values()
    return not POSTGRES_FIXTURES.isdisjoint(item.fixturenames) or any(kind == "postgresql" for kind in kinds)


def _limited(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*args: object, **arguments: object) -> None:
        async with asyncio.timeout(seconds):
            await test(*args, **arguments)

    return limited


@pytest.fixture(autouse=True)
def _no_outage() -> None:
    """Clear the outage and the limits of log lines that an earlier test may have left."""
    observe.outage.is_on = False
    observe.repeats.clear()


@pytest.fixture(scope="session")
def postgres_binaries() -> Path:
    """Give the folder of the server binaries. Without them a test skips on a developer's machine, but fails in CI."""
    binaries = find_binaries()
    if binaries is not None:
        return binaries
    if os.environ.get("CI") == "true":
        pytest.fail(NO_POSTGRES)
    pytest.skip(NO_POSTGRES)


@pytest.fixture(scope="session")
def postgres_cluster(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Give the one server that all tests share. Never stop it: use `private_cluster` for that."""
    with contextlib.ExitStack() as stack:
        server = given_server()
        if server is None:
            binaries = request.getfixturevalue("postgres_binaries")
            server = stack.enter_context(Cluster(binaries, durable=False)).server
        session = stack.enter_context(Session(server.url))
        yield replace(server, session=session)


@pytest.fixture
def private_cluster(postgres_binaries: Path) -> Iterator[Cluster]:
    """Give a durable server for one test to stop, kill and restart."""
    with Cluster(postgres_binaries) as cluster:
        yield cluster


@pytest.fixture
def postgres_dsn(postgres_cluster: Server) -> Iterator[str]:
    """Give the URL of a fresh, empty PostgreSQL database."""
    name = postgres_cluster.create_database()
    yield postgres_cluster.dsn(name)
    postgres_cluster.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give the URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/t.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Give a kind of database, once each: tests that use this are conformance tests."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str) -> str:
    """Give the URL of an empty database, once of each kind."""
    url: str = request.getfixturevalue("sqlite_url" if database_kind == "sqlite" else "postgres_dsn")
    return url


async def _migrated(url: str) -> None:
    database = await opened(url)
    await migrate(database)
    await database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file with the current schema, to be copied: a migration for each test would take most of the time."""
    path = tmp_path_factory.mktemp("template") / "t.db"
    asyncio.run(_migrated(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: Server) -> str:
    """Give the name of a database with the current schema, to be copied."""
    name = postgres_cluster.create_database()
    asyncio.run(_migrated(postgres_cluster.dsn(name)))
    return name


@pytest.fixture
def migrated_sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the URL of an empty SQLite file with the current schema."""
    shutil.copy(sqlite_template, tmp_path / "m.db")
    return f"sqlite:///{tmp_path}/m.db"


@pytest.fixture
def migrated_url(request: pytest.FixtureRequest, database_kind: str) -> Iterator[str]:
    """Give the URL of an empty database with the current schema, once of each kind."""
    if database_kind == "sqlite":
        yield request.getfixturevalue("migrated_sqlite_url")
        return
    template = request.getfixturevalue("postgres_template")
    server: Server = request.getfixturevalue("postgres_cluster")
    name = server.create_database(template=template)
    yield server.dsn(name)
    server.drop_database(name)


@pytest_asyncio.fixture
async def db(migrated_url: str) -> AsyncIterator[Database]:
    """Give an open database with the current schema, once of each kind."""
    database = await opened(migrated_url)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Give the folder beside the checkout that holds the recorded contract, or skip if it is absent."""
    folder = CHECKOUT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the recorded contract is not here: {folder} is absent")
    return folder
