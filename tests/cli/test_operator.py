# SPDX-License-Identifier: MIT
"""The operator's commands: config, asymmetric-key, wipe, prune; and the conditions of a start."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import live
from cli.command import CommandResult, run_in, tidings
from live import SECRET, serving
from tidings.model.signature import parse_secret

SURE = "--yes-i-know-what-im-doing"
OTHER = "org_other"
MAIN = "open sesame, and stay open for all"


def test_settings_are_reported_with_their_source(tmp_path: Path) -> None:
    (tmp_path / "tidings.toml").write_text("max_body_bytes = 5\n")

    result = tidings("config", "--db", "sqlite:///x.db", folder=tmp_path, jwt_secret=SECRET, main_secret="sesame")

    lines = dict(line.split(" = ", 1) for line in result.out.splitlines())
    assert 0 == result.code
    assert "sqlite:///x.db  (a flag)" == lines["db_dsn"]
    assert "5  (tidings.toml)" == lines["max_body_bytes"]
    assert "********  (TIDINGS_JWT_SECRET)" == lines["jwt_secret"]
    assert "30  (default)" == lines["worker_request_timeout"]
    assert SECRET not in result.out
    assert "sesame" not in result.out
    assert "" == result.err


def test_svix_servers_environment_is_accepted_and_settings_without_effect_are_reported(tmp_path: Path) -> None:
    given = {"SVIX_RETRY_SCHEDULE": "1,2", "SVIX_REDIS_DSN": "redis://x", "SVIX_QUEUE_TYPE": "redis", "SVIX_TYPO": "1"}

    result = run_in({**given, "DATABASE_URL": "sqlite:///d.db"}, "config", folder=tmp_path)

    assert "retry_schedule = (1, 2)  (SVIX_RETRY_SCHEDULE)" in result.out
    assert "db_dsn = sqlite:///d.db  (DATABASE_URL)" in result.out
    assert ["SVIX_QUEUE_TYPE", "SVIX_REDIS_DSN", "SVIX_TYPO"] == [line.split()[0] for line in result.err.splitlines()]


def test_a_key_pair_is_generated(tmp_path: Path) -> None:
    result = tidings("asymmetric-key", "generate", folder=tmp_path)

    secret, public = result.out.splitlines()
    assert parse_secret(secret.removeprefix("Secret key: ")).public_text == public.removeprefix("Public key: ")


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"jwt_algorithm": "none"}, "jwt_algorithm"),
        ({"jwt_algorithm": "RS256"}, "jwt_secret"),
        ({"default_signature_type": "rsa"}, "default_signature_type"),
        ({"log_level": "loud"}, "log_level"),
        ({"app_portal_url": "portal"}, "app_portal_url"),
    ],
)
def test_an_invalid_setting_stops_the_start_and_is_named(tmp_path: Path, settings: dict[str, str], names: str) -> None:
    result = tidings("serve", folder=tmp_path, **settings)

    assert 2 == result.code
    assert names in result.error_line


def test_a_key_of_another_kind_ends_the_start(tmp_path: Path, sqlite_url: str) -> None:
    listen = f"127.0.0.1:{live.free_port()}"
    given = {"jwt_algorithm": "EdDSA", "jwt_secret": SECRET, "db_dsn": sqlite_url, "listen_address": listen}

    for command in (("serve",), ("jwt", "generate")):
        result = tidings(*command, folder=tmp_path, **given)
        assert 2 == result.code
        assert result.err.splitlines()[-1].startswith("tidings: jwt_algorithm EdDSA needs a key")
    assert not Path(sqlite_url.removeprefix("sqlite://")).exists(), (
        "the database is not migrated before the key is checked"
    )


def test_a_token_is_signed_with_the_algorithm_of_the_server(tmp_path: Path, sqlite_url: str) -> None:
    with serving(sqlite_url, tmp_path, jwt_algorithm="HS512") as server:
        result = tidings("jwt", "generate", folder=tmp_path, jwt_algorithm="HS512", jwt_secret=SECRET)
        token = result.out.removeprefix("Token (Bearer): ").strip()

        assert 200 == server.call("GET", "/api/v1/app", token=token)[0]
        assert 401 == server.call("GET", "/api/v1/app")[0]


def test_a_main_secret_cannot_be_removed_or_changed(tmp_path: Path, database_url: str) -> None:
    with serving(database_url, tmp_path) as server:
        path = f"/api/v1/app/{server.call('POST', '/api/v1/app', {'name': 'a'})[1]['id']}/endpoint"
        first = server.call("POST", path, {"url": "http://example.com"})[1]["id"]
        key = server.call("GET", f"{path}/{first}/secret")[1]["key"]
        server.restart(main_secret=MAIN)
        second = server.call("POST", path, {"url": "http://example.com"})[1]["id"]
        assert key == server.call("GET", f"{path}/{first}/secret")[1]["key"]
        server.restart()
        assert 200 == server.call("GET", f"{path}/{second}/secret")[0]
    listen = f"127.0.0.1:{live.free_port()}"

    for given, words in (({}, "main_secret is not set"), ({"main_secret": MAIN[::-1]}, "main_secret is not the one")):
        result = tidings("serve", folder=tmp_path, db_dsn=database_url, listen_address=listen, **given)
        assert 2 == result.code
        assert words in result.error_line


def test_svix_servers_switches_set_the_roles_of_a_process(tmp_path: Path, sqlite_url: str) -> None:
    with serving(sqlite_url, tmp_path, worker_enabled="false") as server:
        app = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]
        server.call("POST", f"/api/v1/app/{app}/endpoint", {"url": "http://127.0.0.1:9/"})
        server.call("POST", f"/api/v1/app/{app}/msg", {"eventType": "a", "payload": {}})
        server.restart(worker_enabled="true")
        deadline = datetime.now(UTC) + timedelta(seconds=10)
        listed: list[object] = []
        while not listed and datetime.now(UTC) < deadline:
            endpoint = server.call("GET", f"/api/v1/app/{app}/endpoint")[1]["data"][0]["id"]
            listed = server.call("GET", f"/api/v1/app/{app}/attempt/endpoint/{endpoint}")[1]["data"]

    assert 1 == len(listed)


def _filled(server: live.Live, org: str) -> str:
    """Create a resource of every kind for an organization; return its application."""
    token = server.token_of(org)
    app = str(server.call("POST", "/api/v1/app", {"name": "a", "uid": "a"}, token=token)[1]["id"])
    server.call("POST", f"/api/v1/app/{app}/endpoint", {"url": "http://127.0.0.1:9/"}, token=token)
    server.call("POST", "/api/v1/event-type", {"name": "a", "description": ""}, token=token)
    for n in range(3):
        message = {"eventType": "a", "payload": {}, "eventId": f"e{n}"}
        assert 202 == server.call("POST", f"/api/v1/app/{app}/msg", message, token=token)[0]
    return app


def test_only_the_given_organization_is_wiped(tmp_path: Path, database_url: str) -> None:
    with serving(database_url, tmp_path, worker_enabled="false") as server:
        _filled(server, OTHER)
        kept = _filled(server, "org_kept")
    params = tidings("wipe", OTHER, folder=tmp_path, db_dsn=database_url)
    result = tidings("wipe", OTHER, SURE, folder=tmp_path, db_dsn=database_url)
    again = tidings("wipe", OTHER, SURE, folder=tmp_path, db_dsn=database_url)

    assert 1 == params.code
    assert SURE in params.err
    counts = "{0} applications, {0} endpoints, {1} messages, 0 attempts, {1} deliveries, 0 tasks."
    assert f"Deleted from {OTHER}: {counts.format(1, 3)}\n" == result.out
    assert f"Deleted from {OTHER}: {counts.format(0, 0)}\n" == again.out
    with serving(database_url, tmp_path, worker_enabled="false") as server:
        theirs, mine = server.token_of(OTHER), server.token_of("org_kept")
        for path in ("app", "event-type"):
            assert [] == server.call("GET", f"/api/v1/{path}", token=theirs)[1]["data"]
            assert 1 == len(server.call("GET", f"/api/v1/{path}", token=mine)[1]["data"])
        assert 3 == len(server.call("GET", f"/api/v1/app/{kept}/msg", token=mine)[1]["data"])


def test_an_invalid_organization_id_is_not_wiped(tmp_path: Path, sqlite_url: str) -> None:
    result = tidings("wipe", "app_x", SURE, folder=tmp_path, db_dsn=sqlite_url)

    assert 2 == result.code
    assert "org_" in result.error_line


def test_messages_older_than_the_timestamp_are_pruned(tmp_path: Path, database_url: str) -> None:
    with serving(database_url, tmp_path, worker_enabled="false") as server:
        app = _filled(server, OTHER)

    def prune(timestamp: datetime, *more: str) -> tuple[int, str]:
        body = ("--older-than", timestamp.isoformat(), "--batch-size", "2", *more)
        result = tidings("prune", *body, folder=tmp_path, db_dsn=database_url)
        return result.code, result.err

    now = datetime.now(UTC)
    assert (0, "Deleted: 0 messages, 0 attempts.\n") == prune(now - timedelta(days=100), SURE)
    assert 1 == prune(now + timedelta(hours=1))[0]
    code, err = prune(now + timedelta(hours=1), SURE, "--discard-deliveries")
    assert (0, "Deleted: 3 messages, 0 attempts, 3 deliveries that were scheduled or in flight.") == (
        code,
        err.splitlines()[-1],
    )
    with serving(database_url, tmp_path, worker_enabled="false") as server:
        path, token = f"/api/v1/app/{app}/msg", server.token_of(OTHER)
        assert [] == server.call("GET", path, token=token)[1]["data"]
        again = {"eventType": "a", "payload": {}, "eventId": "e0"}
        assert 202 == server.call("POST", path, again, token=token)[0]


def test_messages_with_deliveries_are_pruned_only_with_the_flag(tmp_path: Path, database_url: str) -> None:
    with serving(database_url, tmp_path, worker_enabled="false") as server:
        waiting = _filled(server, OTHER)
        quiet = server.call("POST", "/api/v1/app", {"name": "quiet"})[1]["id"]
        for _ in range(4):
            server.call("POST", f"/api/v1/app/{quiet}/msg", {"eventType": "a", "payload": {}})
        endpoint = server.call("GET", f"/api/v1/app/{waiting}/endpoint", token=server.token_of(OTHER))[1]["data"][0][
            "id"
        ]

    def prune(*more: str) -> CommandResult:
        return tidings("prune", "--older-than", "0s", *more, folder=tmp_path, db_dsn=database_url)

    counted = (
        "Messages: 7, with 0 attempts.\nOf these, 3 messages have 3 deliveries (scheduled or in flight) to 1 endpoint."
        f" They are kept, unless --discard-deliveries is given:\n  {endpoint}: 3\n"
    )
    assert (0, counted) == ((dry := prune("--dry-run", SURE)).code, dry.out)
    assert (1, counted) == ((unsure := prune()).code, unsure.out)
    kept = prune(SURE, "--batch-size", "2")
    assert (0, "Deleted: 4 messages, 0 attempts.") == (kept.code, kept.err.splitlines()[1])
    assert "Warning: --older-than includes messages that are less than 90 days old." == kept.err.splitlines()[0]
    assert (
        "Kept: 3 messages with outstanding deliveries; --discard-deliveries deletes them." == kept.err.splitlines()[2]
    )
    with serving(database_url, tmp_path, worker_enabled="false") as server:
        path, token = f"/api/v1/app/{waiting}/msg?event_types=a", server.token_of(OTHER)
        assert 3 == len(server.call("GET", path, token=token)[1]["data"])
    assert "Deleted: 3 messages, 0 attempts, 3 deliveries" in prune(SURE, "--discard-deliveries").err
    assert "Messages: 0, with 0 attempts.\n" == prune("--dry-run").out


@pytest.mark.parametrize(("age", "goes"), [("1h", 0), ("30d", 0), ("2 w", 0), ("0s", 3)])
def test_an_age_is_accepted_with_every_unit(tmp_path: Path, sqlite_url: str, age: str, goes: int) -> None:
    with serving(sqlite_url, tmp_path, worker_enabled="false") as server:
        _filled(server, OTHER)

    result = tidings("prune", "--older-than", age, "--dry-run", folder=tmp_path, db_dsn=sqlite_url)

    assert (0, f"Messages: {goes}, with 0 attempts.") == (result.code, result.out.splitlines()[0])


@pytest.mark.parametrize("timestamp", ["yesterday", "2024-01-01T00:00:00", "2024-W01-1T00:00:00Z", ""])
def test_an_invalid_timestamp_prunes_nothing(tmp_path: Path, timestamp: str) -> None:
    result = tidings("prune", "--older-than", timestamp, SURE, folder=tmp_path)

    assert 2 == result.code
    assert "--older-than" in result.error_line
