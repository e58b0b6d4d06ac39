# SPDX-License-Identifier: MIT
"""The operator's basic commands: serve, migrate, jwt generate, healthcheck."""

import signal
from pathlib import Path

import jwt
import pytest

import live
from cli.command import tidings
from live import SECRET, serving
from tidings import __version__
from tidings.ids import DEFAULT_ORG

PREFIX = "Token (Bearer): "


def token_in(text: str) -> str:
    assert text.startswith(PREFIX)
    assert text.count("\n") == 1
    return text.removeprefix(PREFIX).strip()


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert f"tidings {__version__}\n" == tidings("--version", folder=tmp_path).out


def test_migrate_prints_the_line_that_scripts_await_on_each_run(tmp_path: Path, database_url: str) -> None:
    result = [tidings("migrate", folder=tmp_path, db_dsn=database_url) for _ in range(2)]

    assert [(0, "Migrations: success\n")] * 2 == [(each.code, each.out) for each in result]


@pytest.mark.parametrize(("arguments", "org"), [((), DEFAULT_ORG), (("org_mine",), "org_mine")])
def test_a_token_needs_no_database_if_the_secret_is_given(tmp_path: Path, arguments: tuple[str, ...], org: str) -> None:
    result = tidings("jwt", "generate", *arguments, folder=tmp_path, jwt_secret=SECRET)

    claims = jwt.decode(token_in(result.out), SECRET, algorithms=["HS256"])
    assert (0, org, 315_360_000) == (result.code, claims["sub"], claims["exp"] - claims["iat"])
    assert list(tmp_path.iterdir()) == []


def test_a_token_is_for_one_organization(tmp_path: Path) -> None:
    result = tidings("jwt", "generate", "app_mine", folder=tmp_path, jwt_secret=SECRET)

    assert (2, "") == (result.code, result.out)
    assert "must start with org_" in result.error_line


def test_a_token_generated_beside_a_running_server_is_accepted(tmp_path: Path, database_url: str) -> None:
    with serving(database_url, tmp_path, jwt_secret="") as server:
        result = tidings("jwt", "generate", folder=tmp_path, db_dsn=database_url)

        assert result.code == 0, result.err
        assert 200 == server.call("GET", "/api/v1/app", token=token_in(result.out))[0]


def test_a_token_made_before_the_first_start_is_accepted(tmp_path: Path, sqlite_url: str) -> None:
    result = tidings("jwt", "generate", folder=tmp_path, db_dsn=sqlite_url)

    with serving(sqlite_url, tmp_path, jwt_secret="") as server:
        assert 200 == server.call("GET", "/api/v1/app", token=token_in(result.out))[0]


def test_a_server_with_a_configured_secret_needs_it_for_a_token(tmp_path: Path, sqlite_url: str) -> None:
    with serving(sqlite_url, tmp_path):
        result = tidings("jwt", "generate", folder=tmp_path, db_dsn=sqlite_url)

    assert (2, "") == (result.code, result.out)
    assert "TIDINGS_JWT_SECRET" in result.error_line


def test_in_production_no_secret_is_generated(tmp_path: Path) -> None:
    for command in (("jwt", "generate"), ("serve",)):
        result = tidings(*command, folder=tmp_path, environment="prod")

        assert result.code == 2
        assert "TIDINGS_JWT_SECRET" in result.error_line


def test_the_exit_code_of_health_is_the_state_of_the_server(tmp_path: Path, sqlite_url: str) -> None:
    with serving(sqlite_url, tmp_path) as server:
        well = tidings("healthcheck", server.url, folder=tmp_path)
        elsewhere = tidings("healthcheck", f"{server.url}/nowhere", folder=tmp_path)
    gone = tidings("healthcheck", server.url, folder=tmp_path)

    assert [0, 1, 1] == [well.code, elsewhere.code, gone.code]
    assert ("", "") == (well.out, well.err)
    assert "404" in elsewhere.error_line
    assert server.url in gone.error_line


def test_a_second_server_on_a_sqlite_file_is_refused(tmp_path: Path, sqlite_url: str) -> None:
    with serving(sqlite_url, tmp_path):
        result = tidings("serve", "--listen", "127.0.0.1:0", "--db", sqlite_url, folder=tmp_path, jwt_secret=SECRET)

    assert result.code == 2
    assert "in use by another process" in result.error_line


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    result = tidings("serve", "--db", "postgresql://nobody@127.0.0.1:1/none", folder=tmp_path)

    assert result.code == 2
    assert result.error_line.startswith("the database: ")


def test_a_port_in_use_is_named(tmp_path: Path, sqlite_url: str) -> None:
    with serving(sqlite_url, tmp_path) as server:
        listen = f"127.0.0.1:{server.port}"
        result = tidings("serve", "--listen", listen, "--db", f"{sqlite_url}.other", folder=tmp_path)

    assert result.code == 2
    assert listen in result.error_line


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"retry_schedule": "[soon]"}, "retry_schedule"),
        ({"db_dsn": "mysql://somewhere"}, "db_dsn"),
        ({"listen_address": "nowhere"}, "listen_address"),
    ],
)
def test_an_invalid_setting_is_named(tmp_path: Path, settings: dict[str, str], names: str) -> None:
    result = tidings("serve", folder=tmp_path, **settings)

    assert result.code == 2
    assert names in result.error_line


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    result = tidings("serve", "--config", "absent.toml", folder=tmp_path)

    assert result.code == 2
    assert "absent.toml" in result.error_line


def test_a_missing_schema_is_not_created_without_permission(tmp_path: Path, database_url: str) -> None:
    listen = f"127.0.0.1:{live.free_port()}"
    result = tidings("serve", "--no-migrate", "--listen", listen, folder=tmp_path, db_dsn=database_url)

    assert result.code == 2
    assert "tidings migrate" in result.error_line


def test_a_missing_database_is_reported_in_a_line(tmp_path: Path) -> None:
    dsn = f"postgresql://nobody@127.0.0.1:{live.free_port()}/nothing"
    result = tidings("migrate", folder=tmp_path, db_dsn=dsn)

    assert result.code == 2
    assert result.error_line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_gets_a_stop_signal_ends_cleanly(tmp_path: Path, sqlite_url: str, number: signal.Signals) -> None:
    with serving(sqlite_url, tmp_path) as server:
        server.send(number)
        assert server.process is not None
        assert 0 == server.process.wait(10)


def test_flags_override_settings_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "tidings.toml").write_text(f'jwt_secret = "{SECRET}"\ndb_dsn = "sqlite:///of-the-file.db"\n')

    tidings("migrate", folder=tmp_path)
    tidings("migrate", "--db", "sqlite:///of-the-flag.db", folder=tmp_path)

    assert (tmp_path / "of-the-file.db").exists()
    assert (tmp_path / "of-the-flag.db").exists()
