# SPDX-License-Identifier: MIT
"""A command that cannot start explains the reason in one sentence, exits with 2, and hides every password."""

import json
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import asyncpg
import pytest

import live
from cli.command import CommandResult, run_module, tidings
from faults.kit import ended
from live import Live
from postgres import Server

PASSWORD = "hunter2"
COMMANDS = (
    ("serve", "--listen", "127.0.0.1:0"),
    ("serve", "--no-migrate", "--listen", "127.0.0.1:0"),
    ("migrate",),
    ("jwt", "generate"),
    ("wipe", "org_x", "--yes-i-know-what-im-doing"),
    ("prune", "--older-than", "2020-01-01T00:00:00Z", "--yes-i-know-what-im-doing"),
)
names = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))


def refused(result: CommandResult, *words: str) -> None:
    assert (2, "") == (result.code, result.out), result.err
    assert "Traceback" not in result.err
    complaint = [line for line in result.err.splitlines() if line.startswith("tidings: ")]
    assert len(complaint) == 1, result.err
    for word in words:
        assert word in complaint[0]
    assert PASSWORD not in result.err


def _is_garbage(file: Path) -> str:
    file.write_bytes(b"garbage " * 1_000)
    return "is not a SQLite database"


def _is_damaged(file: Path) -> str:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE setting (name, value)")
    other.close()
    damaged = bytearray(file.read_bytes())
    damaged[100:] = b"\xff" * (len(damaged) - 100)
    file.write_bytes(damaged)
    return "is damaged"


def _is_a_folder(file: Path) -> str:
    file.mkdir()
    return f"{file}: Is a directory"


def _is_in_a_file(file: Path) -> str:
    file.parent.joinpath("t.db.lock").mkdir()
    return f"{file}.lock: Is a directory"


def _is_a_device(file: Path) -> str:
    os.mkfifo(file)
    return "is not a regular file"


def _is_of_another_program(file: Path) -> str:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE bookmark (url)")
    other.close()
    return "another program (bookmark)"


def _is_of_a_newer_release(file: Path) -> str:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name, checksum, oldest_release)")
        other.execute("INSERT INTO schema_migration VALUES (1, 'initial', 'x', '0.1.0'), (999, 'later', 'x', '9.8.0')")
    other.close()
    return "needs tidings 9.8.0 or later"


def _is_of_an_earlier_build(file: Path) -> str:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name TEXT, checksum TEXT)")
        other.execute("INSERT INTO schema_migration VALUES (1, 'initial', 'x')")
    other.close()
    return "a development build before 0.1.0 made this database"


def _is_of_another_build(file: Path) -> str:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name, checksum, oldest_release)")
        other.execute("INSERT INTO schema_migration VALUES (1, 'initial', 'x', '0.1.0')")
    other.close()
    return "a development build before 0.1.0 made this database"


def _has_migrations_of_another_program(file: Path) -> str:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE schema_migration (id TEXT)")
    other.close()
    return "schema_migration belongs to another program"


FILES = (
    _is_garbage,
    _is_damaged,
    _is_a_folder,
    _is_in_a_file,
    _is_a_device,
    _is_of_another_program,
    _is_of_a_newer_release,
    _is_of_an_earlier_build,
    _is_of_another_build,
    _has_migrations_of_another_program,
)


@pytest.mark.parametrize("spoil", FILES)
def test_an_unusable_database_file_is_named_with_the_reason(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    result = spoil(tmp_path / "t.db")

    refused(tidings(*COMMANDS[0], folder=tmp_path, db_dsn=f"sqlite:///{tmp_path}/t.db"), result)


@names
def test_an_unwritable_data_folder_is_named_as_the_reason(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "file").touch()

    result = tidings(*command, folder=tmp_path, db_dsn=f"sqlite:///{tmp_path}/file/t.db")

    refused(result, "the database: cannot open", "file")
    assert "listen" not in result.err


def test_a_command_that_needs_a_database_does_not_create_one(tmp_path: Path) -> None:
    result = tidings("migrate", folder=tmp_path, db_dsn=f"sqlite:///{tmp_path}/t.db?mode=rw")

    refused(result, "does not exist")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "word"),
    [
        (f"postgresql://user:{PASSWORD}@127.0.0.1:1/none", "at 127.0.0.1:1: Connection refused"),
        (f"postgresql://user:{PASSWORD}@no-such-host.invalid/none", "does not resolve"),
        (f"postgresql://user:{PASSWORD}@127.0.0.1:1/none?sslmode=maybe", "sslmode must be one of"),
        (f"postgresql://user:{PASSWORD}@127.0.0.1:1/none?sslrootcert=/absent.crt&sslmode=require", "absent.crt"),
        (f"postgresql://user:{PASSWORD}/2@127.0.0.1:1/none", "percent-encode"),
        (f"postgresql://user:{PASSWORD}#2@127.0.0.1:1/none", "percent-encode"),
        (f"postgresql://user:a@{PASSWORD}@127.0.0.1:1/none", "percent-encode"),
        (f"postgresql://user:{PASSWORD}", "port"),
    ],
)
def test_an_unreachable_database_server_is_reported_in_one_sentence(tmp_path: Path, url: str, word: str) -> None:
    refused(tidings("migrate", folder=tmp_path, db_dsn=url), word)


@names
def test_every_command_reports_an_unreachable_server(tmp_path: Path, command: tuple[str, ...]) -> None:
    refused(tidings(*command, folder=tmp_path, db_dsn=f"postgresql://u:{PASSWORD}@127.0.0.1:1/d"), "127.0.0.1:1")


@pytest.fixture
def login(postgres_cluster: Server, postgres_dsn: str) -> Iterator[str]:
    """Create a role without permissions; return a database URL with it as the user."""
    name = f"guest_{os.getpid()}"
    postgres_cluster.run(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    yield postgres_dsn.replace("postgres@", f"{name}:{PASSWORD}@", 1)
    postgres_cluster.run(f"DROP ROLE {name}")


def test_a_refusal_of_the_database_server_is_reported_in_one_sentence(tmp_path: Path, login: str) -> None:
    command = COMMANDS[0]
    base, _, name = login.rpartition("/")

    refused(tidings(*command, folder=tmp_path, db_dsn=f"{base}/absent_{name}"), 'database "absent_', "does not exist")
    refused(tidings(*command, folder=tmp_path, db_dsn=login.replace("guest_", "stranger_")), "stranger_")
    refused(
        tidings(*command, folder=tmp_path, db_dsn=f"{login}?sslmode=require"),
        "does not support TLS, but sslmode requires",
    )
    refused(tidings(*command, folder=tmp_path, db_dsn=f"{login}?target_session_attrs=standby"), "standby")
    refused(tidings(*command, folder=tmp_path, db_dsn=login), "permission denied for schema public")


async def test_conflicting_tables_in_the_database_are_named(tmp_path: Path, postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE TABLE message (id int); CREATE TABLE customer (id int)")
    await connection.close()

    refused(tidings("migrate", folder=tmp_path, db_dsn=postgres_dsn), "another program (message)", "db_schema")


async def test_tables_with_other_names_are_ignored(tmp_path: Path, postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE TABLE customer (id int)")
    await connection.close()

    assert 0 == tidings("migrate", folder=tmp_path, db_dsn=postgres_dsn).code


async def test_a_conflicting_type_is_reported_in_one_sentence(tmp_path: Path, postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE TYPE endpoint AS ENUM ('a')")
    await connection.close()

    refused(tidings("migrate", folder=tmp_path, db_dsn=postgres_dsn), "migration 0001_initial cannot run", "endpoint")


@pytest.mark.parametrize(
    ("listen", "word"),
    [
        ("no-such-host.invalid:80", "the name does not resolve"),
        ("a..b:80", "the name does not resolve"),
        ("203.0.113.1:80", "Cannot assign requested address"),
        ("127.0.0.1:99999", "port of at most 65535"),
        ("nowhere", "address:port"),
    ],
)
def test_an_unusable_listen_address_is_reported_in_one_sentence(tmp_path: Path, listen: str, word: str) -> None:
    refused(tidings("serve", "--listen", listen, folder=tmp_path, db_dsn=f"sqlite:///{tmp_path}/t.db"), word)


def test_the_error_for_a_port_in_use_names_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = tidings("serve", "--listen", f"127.0.0.1:{port}", folder=tmp_path)

    refused(result, f"127.0.0.1:{port}", "in use", "--listen")
    assert not (tmp_path / "tidings.db").exists()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_an_ipv6_address_is_listened_on(tmp_path: Path) -> None:
    port = live.free_port()
    server = Live(f"sqlite:///{tmp_path}/t.db", tmp_path, settings={"listen_address": f"[::]:{port}"}, port=port)
    with ended(server):
        server.start()
        assert 200 == server.call("GET", "/api/v1/app")[0]


def test_an_unusable_config_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text(f'db_dsn = "postgresql://u:{PASSWORD}@h/d')
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for command in (COMMANDS[0], ("config",)):
        for name in ("broken.toml", "binary.toml", "absent.toml", "."):
            refused(tidings(*command, "--config", name, folder=tmp_path), name)


@pytest.mark.parametrize(
    ("settings", "file", "word"),
    [
        ({"log_format": "json", "task_lease": "long"}, "", "task_lease"),
        ({"environment": "prod"}, "", "jwt_secret is missing"),
        ({"log_format": "json"}, "broken =", "tidings.toml"),
        ({}, 'log_format = "json"\ntask_lease = "long"', "task_lease"),
        ({"log_format": "json", "db_dsn": f"postgresql://u:{PASSWORD}@127.0.0.1:1/d"}, "", "127.0.0.1:1"),
        ({"log_format": "json", "db_dsn": f"postgresql://u:{PASSWORD}@127.0.0.1:1/d", "workers": "2"}, "", "127.0.0.1"),
    ],
)
def test_the_reason_is_one_json_line_if_the_log_is_json(
    tmp_path: Path, settings: dict[str, str], file: str, word: str
) -> None:
    (tmp_path / "tidings.toml").write_text(file)

    result = tidings(*COMMANDS[0], folder=tmp_path, **settings)

    lines = [json.loads(line) for line in result.err.splitlines()]
    assert (2, "") == (result.code, result.out)
    [reason] = [line["error"] for line in lines if line["event"] == "command.failed"]
    assert word in reason
    assert PASSWORD not in result.err


def test_the_reason_is_text_if_the_log_is_text(tmp_path: Path) -> None:
    refused(tidings(*COMMANDS[0], folder=tmp_path, environment="prod", log_format="text"), "jwt_secret is missing")


def test_the_demo_names_its_requirements(tmp_path: Path) -> None:
    (tmp_path / "svix.py").write_text("raise ModuleNotFoundError('no svix', name='svix')")

    refused(run_module("demo", folder=tmp_path), "tidings[demo]")


@pytest.mark.parametrize(
    "url", [f"http://user:{PASSWORD}@127.0.0.1:1", f"http://user:{PASSWORD}/@127.0.0.1:1", "http://["]
)
def test_the_url_of_a_server_is_printed_without_its_password(tmp_path: Path, url: str) -> None:
    refused(tidings("tasks", "list", "--url", url, "--token", "t", folder=tmp_path))
    assert PASSWORD not in tidings("healthcheck", url, folder=tmp_path).err


def test_a_token_that_is_no_valid_header_is_not_printed(tmp_path: Path) -> None:
    result = tidings(
        "tasks", "list", "--url", "http://127.0.0.1:1", "--token", f"{PASSWORD}\n{PASSWORD}", folder=tmp_path
    )

    refused(result, "token")


def test_another_kind_of_server_is_reported_in_one_sentence(tmp_path: Path) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        result = tidings("tasks", "list", "--url", url, "--token", "t", folder=tmp_path)
        server.shutdown()

    refused(result, "does not come from a tidings server")
