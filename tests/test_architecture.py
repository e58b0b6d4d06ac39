# SPDX-License-Identifier: MIT
"""The source follows the rules of tests/architecture.py, and each rule is shown to catch a violation."""

import functools
from pathlib import Path

import pytest

import architecture
import source_tree

ROOT = Path(__file__).resolve().parent.parent
package_sources = functools.cache(source_tree.package_sources)
other_sources = functools.cache(source_tree.other_sources)
RULES = {rule.__name__: rule for rule in architecture.PACKAGE_RULES}
RULES_FOR_ALL = {rule.__name__: rule for rule in architecture.RULES_FOR_ALL}


@pytest.mark.parametrize("name", RULES)
def test_the_package_keeps_each_rule(name: str) -> None:
    assert architecture.breaches(RULES[name], package_sources(ROOT), ROOT) == []


@pytest.mark.parametrize("name", RULES_FOR_ALL)
def test_all_python_files_keep_each_rule(name: str) -> None:
    sources = package_sources(ROOT) + other_sources(ROOT)

    assert architecture.breaches(RULES_FOR_ALL[name], sources, ROOT) == []


def test_the_modules_have_no_import_cycle() -> None:
    assert architecture.import_circle(package_sources(ROOT)) == []


def test_the_repository_holds_no_forbidden_text() -> None:
    assert architecture.forbidden_texts(ROOT) == []


def test_the_table_of_imports_has_no_cycle() -> None:
    for room, below in architecture.MAY_IMPORT.items():
        for other in below:
            assert room not in architecture.MAY_IMPORT[other.partition(".")[0]]


def test_the_tables_name_no_module_that_does_not_exist() -> None:
    modules = [source.module for source in package_sources(ROOT)]
    named = {name for room, below in architecture.MAY_IMPORT.items() for name in (room, *below)}
    named |= {*architecture.LATE_IMPORTS, *architecture.SOCKETS, *architecture.SPAWNERS, *architecture.PROCESSES}

    assert [] == [name for name in sorted(named) if not any(source_tree.is_in(module, (name,)) for module in modules)]


SABOTAGE = [
    ("imports_run_down", "core/apps.py", "from tidings.api import routes"),
    ("imports_run_down", "core/apps.py", "import tidings.server"),
    ("imports_run_down", "core/apps.py", "from tidings import delivery"),
    ("imports_run_down", "core/apps.py", "from ..tasks import runner"),
    ("imports_run_down", "delivery/endpoint_queues.py", "from tidings.tasks.pace import Pace"),
    ("imports_run_down", "model/message.py", "from tidings.storage.drivers.store import Store"),
    ("imports_run_down", "api/apps.py", "from tidings.storage.drivers.store import Store"),
    ("imports_run_down", "errors.py", "from tidings import ids"),
    ("imports_run_down", "stray/apps.py", ""),
    ("imports_run_down", "__init__.py", "from tidings.ids import new"),
    ("imports_stand_at_the_top", "core/apps.py", "def f() -> None:\n    import json"),
    ("no_import_only_for_types", "core/apps.py", "import typing\nif typing.TYPE_CHECKING:\n    import json"),
    (
        "no_import_only_for_types",
        "core/apps.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import json",
    ),
    ("sql_only_in_storage", "core/apps.py", "q = 'select id from app'"),
    ("sql_only_in_storage", "core/apps.py", "q = f'SELECT {columns} FROM {table} WHERE id = :id'"),
    ("sql_only_in_storage", "core/apps.py", "q = 'SELECT pg_advisory_xact_lock(1)'"),
    ("sql_only_in_storage", "core/apps.py", "q = 'INSERT INTO app (id) VALUES (1)'"),
    ("sql_only_in_storage", "core/apps.py", "q = '''\nUpdate app\nSET name = 1'''"),
    ("sql_only_in_storage", "core/apps.py", "q = 'DELETE FROM app'"),
    ("sql_only_in_storage", "core/apps.py", "q = 'WITH due AS (SELECT 1) DELETE FROM app'"),
    ("sql_only_in_storage", "core/apps.py", "q = 'CREATE TABLE app (id TEXT)'"),
    ("sql_only_in_storage", "core/apps.py", "q = 'PRAGMA synchronous = OFF'"),
    ("no_database_by_its_brand", "core/apps.py", "is_one = db.kind is Dialect.SQLITE"),
    ("no_database_by_its_brand", "tasks/runner.py", "is_one = read.dialect is Kind.SQLITE"),
    ("no_database_by_its_brand", "server.py", "is_shared = isinstance(db, postgres.PostgresDatabase)"),
    ("environment_only_in_config", "core/apps.py", "import os\nx = os.environ['HOME']"),
    ("environment_only_in_config", "core/apps.py", "from os import getenv"),
    ("wall_clock_only_in_clock", "core/apps.py", "import time\nx = time.time()"),
    ("wall_clock_only_in_clock", "core/apps.py", "import datetime\nx = datetime.datetime.now(datetime.UTC)"),
    ("wall_clock_only_in_clock", "core/apps.py", "from time import time_ns"),
    ("sockets_only_where_listed", "core/apps.py", "import socket"),
    ("sockets_only_where_listed", "delivery/outcome.py", "from ssl import SSLContext"),
    ("spawning_only_where_listed", "core/apps.py", "import asyncio\nasyncio.create_task(f())"),
    ("spawning_only_where_listed", "core/apps.py", "import asyncio\nasyncio.get_running_loop().create_task(f())"),
    ("spawning_only_where_listed", "core/apps.py", "from asyncio import ensure_future"),
    ("processes_only_where_listed", "core/apps.py", "import subprocess"),
    ("processes_only_where_listed", "core/apps.py", "import asyncio\nasyncio.create_subprocess_exec('ls')"),
    ("processes_only_where_listed", "tasks/generator.py", "import os\nos.fork()"),
    (
        "only_the_database_is_awaited_under_a_connection",
        "tasks/kinds/export.py",
        "async def load(read: Read):\n    await asyncio.to_thread(f)",
    ),
    (
        "only_the_database_is_awaited_under_a_connection",
        "core/apps.py",
        "async def f(services):\n    async with services.db.read() as read:\n        await g(services)",
    ),
    ("files_are_short", "core/apps.py", "x = 1\n" * 421),
    ("functions_are_short", "core/apps.py", "def f() -> None:\n" + "    x = 1\n" * 50),
    ("classes_are_short", "core/apps.py", "class A:\n" + "    x = 1\n" * 250),
    ("classes_are_short", "tasks/slice.py", "class Slice:\n" + "    x = 1\n" * 380),
    ("names_say_something", "core/utils.py", ""),
    ("names_say_something", "common/apps.py", ""),
]

HARMLESS = [
    ("core/apps.py", "from tidings import __version__, ids\nfrom tidings.storage.drivers.store import Store"),
    ("core/apps.py", '"""Select one from many."""\nx = "Select an endpoint"\ny = "with an application"'),
    ("core/apps.py", "import time\nx = time.monotonic()"),
    ("core/apps.py", "async def f(group):\n    group.create_task(g())"),
    ("core/apps.py", "x = 1\n" * 420),
    (
        "delivery/endpoint_queues.py",
        "from tidings.core import accept\nfrom tidings.observe import count\nfrom . import claim",
    ),
    ("delivery/client.py", "import socket\nimport ssl"),
    ("storage/tables/apps.py", "q = 'SELECT id FROM app'"),
    ("core/apps.py", "async def f(db):\n    async with db.read() as read:\n        await g(read)\n    await h()"),
    ("config.py", "import os\nx = os.environ"),
    ("clock.py", "import time\nx = time.time_ns()"),
    ("server/node.py", "import asyncio\nfrom tidings import api, core, settings, tasks\nasyncio.create_task(f())"),
]


def plant(root: Path, place: str, text: str) -> list[source_tree.Source]:
    path = root / "src" / "tidings" / place
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return source_tree.package_sources(root)


@pytest.mark.parametrize(("name", "place", "text"), SABOTAGE)
def test_a_planted_violation_is_caught(name: str, place: str, text: str, tmp_path: Path) -> None:
    sources = plant(tmp_path, place, text)

    assert architecture.breaches((RULES | RULES_FOR_ALL)[name], sources, tmp_path)


@pytest.mark.parametrize(("place", "text"), HARMLESS)
def test_allowed_code_passes(place: str, text: str, tmp_path: Path) -> None:
    sources = plant(tmp_path, place, text)

    found = [architecture.breaches(rule, sources, tmp_path) for rule in (RULES | RULES_FOR_ALL).values()]

    assert [breach for breaches in found for breach in breaches] == []


def test_every_rule_has_a_planted_violation() -> None:
    assert {name for name, _, _ in SABOTAGE} == set(RULES | RULES_FOR_ALL)


def test_a_planted_import_cycle_is_caught(tmp_path: Path) -> None:
    plant(tmp_path, "model/app.py", "from tidings.model.endpoint import Endpoint")
    (tmp_path / "src/tidings/model/endpoint.py").write_text("from tidings.model import app")
    (tmp_path / "src/tidings/model/__init__.py").touch()

    assert "model.app" in architecture.import_circle(source_tree.package_sources(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "cd /" + "work/main",
        "# TO" + "DO: later",
        "FIX" + "ME",
        "https://pypi" + ".org/simple",
        "--index-" + "url http://x",
    ],
)
def test_a_planted_text_is_caught(text: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(f"first\n{text}\n")

    found = architecture.forbidden_texts(tmp_path)

    assert [entry for entry in found if entry.startswith("notes.md:2: ")] == found != []
