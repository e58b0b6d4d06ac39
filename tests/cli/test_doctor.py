# SPDX-License-Identifier: MIT
"""Each check of `tidings doctor` is made to fail by the fault that it looks for."""

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

import live
from cli.command import CommandResult, tidings
from delivery.mail_server import PASSWORD, serving_mail
from delivery.test_transforming import transform
from live import SECRET, serving
from message_path import add_app, add_endpoint
from tidings.clock import HOUR, MINUTE, SECOND, ManualClock, SystemClock
from tidings.model.diagnosis import CheckLevel, CheckResult
from tidings.sandbox.pool import Sandbox
from tidings.sandbox.process import SandboxProcess
from tidings.server.doctor import DoctorLimits, examine
from tidings.server.script_check import check_scripts
from tidings.settings import Settings
from tidings.storage.diagnosis import postgres, sqlite
from tidings.storage.drivers.migrations import Migration, known_migrations
from tidings.storage.drivers.store import create_partitions, migrate, opened

STRONG = "s" * 32


def levels(results: list[CheckResult], name: str) -> list[str]:
    return [each.level.value for each in results if each.name == name]


def texts(results: list[CheckResult], name: str) -> str:
    return "; ".join(f"{each.found}; {each.remedy}" for each in results if each.name == name)


async def examined(settings: Settings, **given: object) -> list[CheckResult]:
    return [each async for each in examine(settings, **given)]  # type: ignore[arg-type]


def doctor(folder: Path, *arguments: str, **settings: object) -> tuple[CommandResult, dict[str, list[str]]]:
    """Run the command, and return the levels of each check too."""
    result = tidings("doctor", "--json", *arguments, folder=folder, **settings)
    found: dict[str, list[str]] = {}
    for each in json.loads(result.out):
        found.setdefault(each["check"], []).append(each["level"])
    return result, found


def free() -> str:
    return f"127.0.0.1:{live.free_port()}"


def test_a_sound_installation_passes_and_nothing_is_written(tmp_path: Path) -> None:
    given = {"jwt_secret": SECRET, "main_secret": STRONG, "db_dsn": f"sqlite:///{tmp_path}/new.db"}

    shown = tidings("doctor", "--listen", free(), folder=tmp_path, **given, max_connections=10, delivery_in_flight=10)

    assert 0 == shown.code, shown.out
    assert all(line.startswith("ok ") for line in shown.out.splitlines()[:-2]), shown.out
    assert ", 0 warning, 0 failed." in shown.out.splitlines()[-1]
    assert not (tmp_path / "new.db").exists()


async def test_a_script_is_tried_and_what_confines_it_is_named(sqlite_url: str) -> None:
    pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")
    [found] = await check_scripts(Settings(db_dsn=sqlite_url, transformation_timeout=1_000))
    assert "scripts run in child processes" in found.found
    assert "1000 ms and 16 MiB" in found.found
    assert (found.level is CheckLevel.OK) == ("(seccomp)" in found.found)


async def test_a_sandbox_without_a_filter_warns(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")
    monkeypatch.setattr(Sandbox, "process_ready", _ready_without_filter)
    [found] = await check_scripts(Settings(db_dsn=sqlite_url, transformation_timeout=1_000))
    assert CheckLevel.WARNING is found.level
    assert "with limits alone" in found.found


def _ready_without_filter(sandbox: Sandbox, process: SandboxProcess) -> None:
    process.way = sandbox.way = "limits"
    sandbox._release(process)  # noqa: SLF001 - a child that reports another way


async def test_endpoints_with_a_script_fail_without_the_extra(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.server.script_check.is_installed", lambda: False)
    db = await opened(migrated_url)
    try:
        app = await add_app(db)
        endpoint = await add_endpoint(db, app, "http://example.com/")
        assert [] == await check_scripts(Settings(db_dsn=migrated_url))
        await transform(db, app, endpoint, "function handler(w) { return w }")
    finally:
        await db.close()
    [found] = await check_scripts(Settings(db_dsn=migrated_url))
    assert CheckLevel.FAILED is found.level
    assert "1 endpoint has a script" in found.found


async def test_a_database_that_cannot_be_read_is_the_matter_of_another_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.server.script_check.is_installed", lambda: False)
    (tmp_path / "no.db").write_text("no database")
    for dsn in (f"sqlite:///{tmp_path}/no.db", f"sqlite:///{tmp_path}/absent.db", f"postgresql://u:p@{free()}/db"):
        assert [] == await check_scripts(Settings(db_dsn=dsn))


def test_an_invalid_setting_fails_and_a_useless_one_warns(tmp_path: Path) -> None:
    invalid, found = doctor(tmp_path, workers="x")
    assert (1, {"configuration": ["failed"]}) == (invalid.code, found)
    useless, found = doctor(tmp_path, "--listen", free(), typo="1")
    assert (0, ["ok", "warning"]) == (useless.code, found["configuration"])


async def test_weak_secrets_and_too_few_open_files_warn(sqlite_url: str) -> None:
    settings = Settings(db_dsn=sqlite_url, listen_address=free(), jwt_secret="short", max_connections=1_000_000)
    found = await examined(settings)
    assert ["warning", "warning"] == levels(found, "secrets")
    assert "short" not in texts(found, "secrets").replace("shorter", "")
    assert ["warning"] == levels(found, "open files")


def test_a_port_in_use_fails_unless_tidings_uses_it(tmp_path: Path, sqlite_url: str) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        result, found = doctor(tmp_path, "--listen", place, "--db", sqlite_url)
        assert (1, ["failed"]) == (result.code, found["address"])
    with serving(sqlite_url, tmp_path) as server:
        place = server.url.removeprefix("http://")
        result, found = doctor(tmp_path, "--listen", place, "--db", sqlite_url)
    assert (0, ["ok"]) == (result.code, found["address"])
    assert ["ok"] == found["journal mode"]


async def test_the_mail_server_is_tried_without_a_mail(sqlite_url: str) -> None:
    given: dict[str, Any] = {"db_dsn": sqlite_url, "listen_address": free(), "notify_email": ("ops@example.com",)}
    async with serving_mail(needs_login=True) as server:
        place = f"127.0.0.1:{server.port}"
        right = await examined(Settings(**given, smtp_url=f"smtp://relay:{quote(PASSWORD, safe='')}@{place}"))
        wrong = await examined(Settings(**given, smtp_url=f"smtp://relay:hunter2@{place}"))
    absent = await examined(Settings(**given, smtp_url="smtp://127.0.0.1:1"))

    assert [["ok"], ["failed"], ["failed"]] == [levels(each, "mail") for each in (right, wrong, absent)]
    assert [] == server.mails
    assert "hunter2" not in str(wrong)
    assert "smtp_url" in texts(absent, "mail")
    assert [] == levels(await examined(Settings(db_dsn=sqlite_url, listen_address=free())), "mail")


async def test_names_proxy_and_endpoint_are_checked_without_a_request(sqlite_url: str) -> None:
    proxy = Settings(db_dsn=sqlite_url, listen_address=free(), proxy_addr="http://user:hunter2@absent.invalid:1")
    found = await examined(proxy, endpoint="http://127.0.0.1:9/x", limits=DoctorLimits(connect=1.0))
    assert [["failed"]] * 3 == [levels(found, name) for name in ("names", "proxy", "endpoint")]
    assert "hunter2" not in str(found)
    assert "TIDINGS_WHITELIST_SUBNETS" in texts(found, "endpoint")

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        open_ = Settings(db_dsn=sqlite_url, listen_address=free(), proxy_addr=f"http://127.0.0.1:{port}")
        found = await examined(open_, endpoint="http://93.184.216.34/x")
    assert [["ok"]] * 3 == [levels(found, name) for name in ("names", "proxy", "endpoint")]
    secure = Settings(db_dsn=sqlite_url, listen_address=free(), endpoint_https_only=True)
    for url in ("http://93.184.216.34/", "https://169.254.169.254/", "ftp://x", "https://[", "nothing"):
        assert ["failed"] == levels(await examined(secure, endpoint=url), "endpoint"), url


async def test_a_check_that_takes_too_long_fails() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        dsn = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d"
        settings = Settings(db_dsn=dsn, listen_address=free())
        found = await examined(settings, limits=DoctorLimits(check=0.5))
    assert "no result within 0.5 s" in texts(found, "database")
    refused = await examined(Settings(db_dsn=f"postgresql://u:hunter2@{free()}/d", listen_address=free()))
    assert ["failed"] == levels(refused, "database")
    assert "hunter2" not in str(refused)


# -----------------------------------------------------------------------------------------------------------------
# SQLite


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """Give a table of mounts in which the folder of the test is on NFS."""
    table = tmp_path / "mounts"
    lines = (
        "1 0 0:1 / / rw - ext4 /dev/x",
        f"2 1 0:2 / {tmp_path} rw - nfs4 h:/x",
        f"3 1 0:3 / {tmp_path}x rw - xfs y",
    )
    table.write_text("\n".join(lines))
    return table


def test_a_network_file_system_fails(tmp_path: Path, mounts: Path) -> None:
    found = sqlite.check(tmp_path / "t.db", mounts=mounts)

    assert ["failed"] == levels(found, "file system")
    assert "nfs4" in texts(found, "file system")
    assert ["ok"] == levels(sqlite.check(Path("/t.db"), mounts=mounts), "file system")


def test_a_file_of_an_older_kind_or_open_to_others_warns(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE t (a)")
    path.chmod(0o644)

    found = sqlite.check(path)

    assert [["warning"]] * 3 == [levels(found, name) for name in ("database file", "journal mode", "auto_vacuum")]
    assert "VACUUM" in texts(found, "auto_vacuum")
    path.write_bytes(b"no database at all" * 100)
    assert ["failed"] == levels(sqlite.check(path), "database")
    assert ["failed"] == levels(sqlite.check(tmp_path), "database file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_without_permission_fails(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert ["failed"] == levels(sqlite.check(tmp_path / "t.db"), "database file")


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system, and not in every container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails(tiny: Path) -> None:
    assert ["failed"] == levels(sqlite.check(tiny / "t.db"), "disk")


# -----------------------------------------------------------------------------------------------------------------
# PostgreSQL


async def test_an_empty_database_and_missing_partitions_warn(postgres_dsn: str) -> None:
    settings = Settings(db_dsn=postgres_dsn, listen_address=free())
    assert ["warning"] == levels(await examined(settings), "schema")

    db = await opened(postgres_dsn)
    await migrate(db)
    assert ["warning"] == levels(await examined(settings), "partitions")
    await create_partitions(db, SystemClock().now())
    found = await examined(settings)
    assert [["ok"]] * 4 == [
        levels(found, name) for name in ("schema", "partitions", "default partitions", "database privileges")
    ]
    async with db.write() as tx:
        await tx.run("INSERT INTO message (id, app_id, org_id, event_type) VALUES ('msg_0', 'app_1', 'org_1', 'x')")
    await db.close()
    assert "message_default has rows" in texts(await examined(settings), "default partitions")


async def test_pending_new_and_changed_migrations_are_told_apart(postgres_dsn: str) -> None:
    db = await opened(postgres_dsn)
    await migrate(db)
    [first, *_] = known = known_migrations()
    edited = Migration(first.version, first.name, f"{first.text}--")
    async with db.read() as read:
        pending = await postgres.migrations(read, [*known, Migration(9_999, "synthetic", "")])
        changed = await postgres.migrations(read, [edited, *known[1:]])
    async with db.write() as tx:
        await tx.run("UPDATE schema_migration SET oldest_release = '99.0.0'")
    async with db.read() as read:
        newer = await postgres.migrations(read, [])
    await db.close()
    assert (CheckLevel.WARNING, "pending migrations: 9999_synthetic") == (pending.level, pending.found)
    assert (CheckLevel.FAILED, True) == (newer.level, "a newer release" in newer.found)
    assert CheckLevel.FAILED is changed.level


async def test_a_role_that_may_only_read_fails(postgres_dsn: str) -> None:
    db = await opened(postgres_dsn)
    await migrate(db)
    await db.close()
    role = f"reader_{os.getpid()}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM public")
    await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    place = postgres_dsn.partition("@")[2]
    try:
        reader = Settings(db_dsn=f"postgresql://{role}@{place}", listen_address=free())
        lacks_create = texts(await examined(reader), "database privileges")
        await connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
        lacks_write = await examined(reader)
    finally:
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await connection.close()
    assert f"GRANT USAGE, CREATE ON SCHEMA public TO {role}" in lacks_create
    assert ["failed"] == levels(lacks_write, "database privileges")
    assert "does not own or write attempt, delivery, message" in texts(lacks_write, "database privileges")


async def test_a_read_only_database_and_unsafe_settings_fail(postgres_dsn: str) -> None:
    name = postgres_dsn.rpartition("/")[2].partition("?")[0]
    connection = await asyncpg.connect(postgres_dsn)
    for setting in ("synchronous_commit = off", "default_transaction_read_only = on"):
        await connection.execute(f"ALTER DATABASE {name} SET {setting}")
    await connection.close()

    # The service refuses such a server unless the URL permits it.
    settings = Settings(db_dsn=f"{postgres_dsn}?target_session_attrs=any", listen_address=free())
    found = await examined(settings)

    assert ["failed"] == levels(await examined(Settings(db_dsn=postgres_dsn, listen_address=free())), "database")
    assert "the server is read-only" in texts(found, "database writes")
    assert "synchronous_commit is off; recommended: on. Without it" in texts(found, "database settings")
    assert "shared_buffers is 256MB; recommended: at least 1GB." in texts(found, "database settings")
    assert {"failed", "warning"} == set(levels(found, "database settings"))


@pytest.mark.parametrize(
    ("skew", "level"), [(0, "ok"), (-10 * SECOND, "warning"), (HOUR, "failed"), (-16 * MINUTE, "failed")]
)
async def test_a_clock_that_differs_from_the_databases_is_reported(postgres_dsn: str, skew: int, level: str) -> None:
    clock = ManualClock(SystemClock().now() + skew)
    found = await examined(Settings(db_dsn=postgres_dsn, listen_address=free()), clock=clock)
    assert [level] == levels(found, "clock")


async def test_more_connections_than_the_server_grants_fail(postgres_dsn: str) -> None:
    settings = Settings(db_dsn=postgres_dsn, listen_address=free(), db_pool_max_size=1_000)
    assert ["failed"] == levels(await examined(settings), "database connections")
    pooled = Settings(db_dsn=postgres_dsn, listen_address=free(), db_pgbouncer=True)
    assert "no liveness locks" in texts(await examined(pooled), "pooler")
